use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, mknodat};

use super::*;
use crate::volumes::mounts::Source;

fn rules(allow: &[&Path], state: &Path) -> Rules {
    let allow = allow.iter().map(|path| path.to_path_buf()).collect();
    Rules { options: BindOptions { allow, ..BindOptions::default() }, state: state.to_owned() }
}

fn wanted(source: &Path, makes: bool) -> Wanted {
    Wanted { source: source.to_owned(), makes, real: None }
}

#[test]
fn what_is_missing_is_made_for_v_and_refused_for_mount() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(&[Path::new("/")], Path::new("/nowhere/state"));
    let path = folder.path().join("new/deep");
    let error = rules.check(&wanted(&path, false)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.starts_with(&format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {}",
        path.display()
    )));
    rules.check(&wanted(&path, true)).unwrap();
    assert!(!path.exists(), "creating a container makes nothing");
    assert!(!rules.open(&wanted(&path, true), None).unwrap().is_file());
    assert!(path.is_dir());
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(rules.open(&wanted(&folder.path().join("file"), false), None).unwrap().is_file());
    let through = wanted(&folder.path().join("file/below"), true);
    assert!(rules.check(&through).unwrap_err().message.contains("the daemon cannot see it"));
}

#[test]
fn only_what_the_operator_permits_is_taken_whatever_links_say() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = folder.path().join("state");
    fs::create_dir_all(&state).unwrap();
    let rules = rules(&[folder.path()], &state);
    rules.check(&wanted(folder.path(), true)).unwrap();
    rules.check(&wanted(&folder.path().join("new"), true)).unwrap();
    let link = folder.path().join("link");
    symlink(outside.path(), &link).unwrap();
    for path in [outside.path(), &link, &link.join("new"), Path::new("/etc")] {
        let error = rules.check(&wanted(path, true)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden);
        assert!(error.message.contains("`allow` in `[binds]`"), "{error}");
    }
    let own = rules.check(&wanted(&state.join("logs"), true)).unwrap_err();
    assert!(own.message.contains("the daemon's own state"), "{own}");
}

#[test]
fn a_path_leads_where_it_led_when_the_container_was_created_or_nowhere() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rules = rules(&[Path::new("/")], Path::new("/nowhere/state"));
    let at = |path: &str| folder.path().canonicalize().unwrap().join(path);
    fs::create_dir_all(at("one/sub")).unwrap();
    symlink("one", at("current")).unwrap();
    let mut current = wanted(&at("current/sub"), true);
    current.real = Some(rules.check(&current).unwrap());
    assert_eq!(current.real.as_deref(), Some(&*at("one/sub")));
    assert_eq!(rules.open(&current, None).unwrap().path(), at("one/sub"));
    // The user may make it anew.
    fs::remove_dir_all(at("one/sub")).unwrap();
    assert_eq!(rules.open(&current, None).unwrap().path(), at("one/sub"));
    fs::remove_dir(at("one/sub")).unwrap();
    symlink(outside.path(), at("one/sub")).unwrap();
    let error = rules.open(&current, None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.message.contains("nothing is taken there or back"), "{error}");
    // What is not there yet, too.
    let mut new = wanted(&at("new/sub"), true);
    new.real = Some(rules.check(&new).unwrap());
    symlink(outside.path(), at("new")).unwrap();
    assert_eq!(rules.open(&new, None).unwrap_err().kind, ErrorKind::Forbidden);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    let error = rules.open(&wanted(&at("one"), true), Some(true)).unwrap_err();
    assert!(error.message.contains("is a directory now and was a file"), "{error}");
}

#[test]
fn the_machine_itself_is_no_directory_of_the_users() {
    let rules = rules(&[Path::new("/")], Path::new("/nowhere/state"));
    for path in ["/proc", "/sys/kernel", "/dev/null", "/"] {
        let error = rules.check(&wanted(Path::new(path), true)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden, "{path}");
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(rules.check(&wanted(&socket, true)).unwrap_err().kind, ErrorKind::Unsupported);
}

fn mounted(destination: &str) -> Mounted {
    Mounted {
        source: Source::Bind("/src".into()),
        destination: destination.into(),
        read_only: false,
        mode: String::new(),
        copy: false,
        subpath: None,
        real: None,
    }
}

#[test]
fn what_is_mounted_within_a_mount_is_no_part_of_it() {
    let mut spec = Spec {
        mounts: ["/work", "/work/node_modules", "/workshop"].map(mounted).to_vec(),
        ..Spec::default()
    };
    spec.host.tmpfs = Some([("/work/tmp/".to_owned(), String::new())].into());
    assert_eq!(others(&spec, &spec.mounts[0]), [b"tmp".to_vec(), b"node_modules".to_vec()]);
}

#[test]
fn patterns_come_from_the_directory_and_from_labels() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir_all(&state).unwrap();
    let rules = rules(&[Path::new("/")], &state);
    let mut spec = Spec { mounts: vec![mounted("/work")], ..Spec::default() };
    let scope = |spec: &Spec| {
        let wanted = wanted(&folder.path().canonicalize().unwrap(), true);
        rules.scope(&wanted, None, spec, &spec.mounts[0])
    };
    assert!(scope(&spec).unwrap().has(b"target") && !scope(&spec).unwrap().has(b"state/logs"));
    fs::write(folder.path().join(".sockerlessignore"), "target\n").unwrap();
    fs::write(folder.path().join("mine"), "other\n").unwrap();
    assert!(!scope(&spec).unwrap().has(b"target/a"));
    let mut label = |key: &str, value: &str| {
        spec.config.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        scope(&spec)
    };
    let both = label(LABEL_EXCLUDE, "*.o,a/**").unwrap();
    assert!(!both.has(b"x.o") && !both.has(b"a/b") && !both.has(b"target") && both.has(b"other"));
    let named = label(LABEL_IGNORE, "mine").unwrap();
    assert!(named.has(b"target") && !named.has(b"other") && !named.has(b"x.o"));
    assert!(label(LABEL_IGNORE, "").unwrap().has(b"target"));
    assert!(label(LABEL_IGNORE, "../mine").unwrap_err().message.contains("within the directory"));
    assert!(label(LABEL_IGNORE, "none").unwrap_err().message.contains("/none: "));
    // What a container may have put there.
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("secret"), "[").unwrap();
    symlink(secret.path().join("secret"), folder.path().join("link")).unwrap();
    symlink(secret.path(), folder.path().join("through")).unwrap();
    mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    for file in ["link", "fifo"] {
        let error = label(LABEL_IGNORE, file).unwrap_err();
        assert!(error.message.contains("it is not a regular file"), "{error}");
    }
    assert!(label(LABEL_IGNORE, "through/secret").unwrap_err().message.contains("not found"));
    let kept = label(LABEL_IGNORE, "./mine").unwrap();
    assert!(!kept.may_change(b"mine") && !kept.may_change(b"mine/x") && kept.may_change(b"mines"));
    label(LABEL_IGNORE, "").unwrap();
    assert!(label(LABEL_EXCLUDE, "[").unwrap_err().message.contains("syntax error"));
    assert!(check_labels(&spec).is_err());
}
