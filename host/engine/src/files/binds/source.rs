//! Which paths of the daemon's machine may be mounted, and what is mounted there.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::{disk, ignore::Ignore, scan::Scope};
use crate::{BindOptions, Error, ErrorKind, Result, containers::Spec, tuning, volumes::Mounted};

/// Patterns of what stays at home, with commas or line ends between them.
const LABEL_EXCLUDE: &str = "sockerless.binds.exclude";
/// A file in the directory that has such patterns.
const LABEL_IGNORE: &str = "sockerless.binds.ignore";

/// What shows the machine, and is no file of the user's.
const MACHINE: [&str; 3] = ["/dev", "/proc", "/sys"];

/// What decides whether a path may be mounted.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub options: BindOptions,
    /// The daemon's own folder.
    pub state: PathBuf,
}

/// A path that a container was created with.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub source: PathBuf,
    /// Made when it is not there, as for `-v`; not so for `--mount`.
    pub makes: bool,
}

impl Rules {
    /// What is looked at when a container is created. Errors: 400 in dockerd's words for what has to be there, 403 for what may
    /// not be mounted, 501 for what cannot be copied.
    pub fn check(&self, wanted: &Wanted) -> Result<()> {
        match fs::metadata(&wanted.source) {
            Ok(_) => self.resolve(wanted).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound && wanted.makes => {
                // As far as it is there already.
                let above = wanted.source.ancestors().skip(1).find_map(|above| above.canonicalize().ok());
                self.permit(&wanted.source, &above.unwrap_or_else(|| "/".into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(&wanted.source)),
            Err(error) => Err(unseen(&wanted.source, &error)),
        }
    }

    /// The path without links on it, and whether it is a file; a directory is made if that is wanted.
    pub fn resolve(&self, wanted: &Wanted) -> Result<(PathBuf, bool)> {
        let source = &wanted.source;
        if wanted.makes && fs::metadata(source).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.check(wanted)?;
            disk::make(source).map_err(|error| {
                let message =
                    format!("error while creating mount source path '{}': {error}", source.display());
                Error::new(ErrorKind::Internal, message)
            })?;
        }
        let real = source.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(source),
            _ => unseen(source, &error),
        })?;
        self.permit(source, &real)?;
        let meta = fs::metadata(&real).map_err(|error| unseen(source, &error))?;
        if !meta.is_dir() && !meta.is_file() {
            let message = format!(
                "bind mount {}: it is neither a directory nor a file, and nothing else can be taken to the cloud",
                source.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok((real, meta.is_file()))
    }

    fn permit(&self, source: &Path, real: &Path) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::new(ErrorKind::Forbidden, format!("bind mount {}: {why}", source.display())))
        };
        if real == Path::new("/") && source.canonicalize().is_ok_and(|source| source == real) {
            return refuse("the whole file system of this machine cannot be taken to the cloud".into());
        }
        if let Some(folder) = MACHINE.iter().find(|folder| real.starts_with(folder)) {
            return refuse(format!("{folder} shows this machine, which the container does not run on"));
        }
        let state = self.state.canonicalize().unwrap_or_else(|_| self.state.clone());
        if real.starts_with(&state) {
            return refuse("the daemon's own state is there".into());
        }
        let allowed = |root: &PathBuf| real.starts_with(root.canonicalize().as_ref().unwrap_or(root));
        if !self.options.allow.iter().any(allowed) {
            let roots: Vec<_> = self.options.allow.iter().map(|root| root.display().to_string()).collect();
            return refuse(format!(
                "the operator permits only what is below {} (`allow` in `[binds]`)",
                if roots.is_empty() { "nothing".to_owned() } else { roots.join(", ") }
            ));
        }
        Ok(())
    }

    /// All that belongs to a mount of a container.
    ///
    /// Errors: as for [`Self::resolve`]; 400 for patterns that cannot be read.
    pub fn scope(&self, wanted: &Wanted, spec: &Spec, mounted: &Mounted) -> Result<Scope> {
        let (source, is_file) = self.resolve(wanted)?;
        let mut except = others(spec, mounted);
        // A home directory may have the daemon's state in it.
        let state = self.state.canonicalize().unwrap_or_else(|_| self.state.clone());
        except.extend(state.strip_prefix(&source).ok().map(|below| below.as_os_str().as_bytes().to_vec()));
        let ignore = if is_file { Ignore::default() } else { self.ignore(spec, &source)? };
        Ok(Scope { source, is_file, ignore, except, tag: spec.short_id().to_owned() })
    }

    fn ignore(&self, spec: &Spec, source: &Path) -> Result<Ignore> {
        let read = |text: &str, of: &str| {
            Ignore::parse(text).map_err(|pattern| {
                Error::new(ErrorKind::Invalid, format!("{of}: syntax error in pattern: {pattern:?}"))
            })
        };
        let name = spec.label(LABEL_IGNORE);
        let file = name.unwrap_or(&self.options.ignore);
        let mut ignore = Ignore::default();
        if !file.is_empty() {
            let path = inside(source, file).ok_or_else(|| {
                let words =
                    format!("{LABEL_IGNORE}={file}: expected the path of a file within the directory");
                Error::new(ErrorKind::Invalid, words)
            })?;
            match read_small(&path) {
                Ok(text) => ignore = read(&text, &path.display().to_string())?,
                // The usual one need not be there; one that is named has to.
                Err(error) if error.kind() == io::ErrorKind::NotFound && name.is_none() => {}
                Err(error) => {
                    return Err(Error::new(ErrorKind::Internal, format!("{}: {error}", path.display())));
                }
            }
        }
        let patterns = spec.label(LABEL_EXCLUDE).unwrap_or_default().replace(',', "\n");
        Ok(ignore.and(read(&patterns, LABEL_EXCLUDE)?))
    }
}

/// Errors of labels, told before the container exists.
pub(super) fn check_labels(spec: &Spec) -> Result<()> {
    let patterns = spec.label(LABEL_EXCLUDE).unwrap_or_default().replace(',', "\n");
    let read = Ignore::parse(&patterns).map(drop);
    read.map_err(|pattern| {
        Error::new(ErrorKind::Invalid, format!("{LABEL_EXCLUDE}: syntax error in pattern: {pattern:?}"))
    })
}

/// What else is mounted within a mount, from that on.
fn others(spec: &Spec, mounted: &Mounted) -> Vec<Vec<u8>> {
    let memory = spec.host.tmpfs.iter().flatten().map(|(path, _)| path.as_str());
    let typed = spec.host.mounts.iter().flatten().filter_map(|mount| mount.target.as_deref());
    let kept = spec.mounts.iter().map(|other| other.destination.as_str());
    memory
        .chain(typed)
        .chain(kept)
        .filter_map(|path| path.strip_prefix(&mounted.destination)?.strip_prefix('/'))
        .map(|path| path.trim_end_matches('/').as_bytes().to_vec())
        .filter(|path| !path.is_empty())
        .collect()
}

/// A path within a directory; none for one that leads out.
fn inside(directory: &Path, relative: &str) -> Option<PathBuf> {
    let path = Path::new(relative);
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| directory.join(path))
}

fn read_small(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > tuning::SMALL_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read_to_string(path)
}

fn missing(source: &Path) -> Error {
    let message = format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {} (on the daemon's machine)",
        source.display()
    );
    Error::new(ErrorKind::Invalid, message)
}

fn unseen(source: &Path, error: &io::Error) -> Error {
    let message = format!("bind mount {}: the daemon cannot see it: {error}", source.display());
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::volumes::mounts::Source;

    fn rules(allow: &[&Path], state: &Path) -> Rules {
        let allow = allow.iter().map(|path| path.to_path_buf()).collect();
        Rules { options: BindOptions { allow, ..BindOptions::default() }, state: state.to_owned() }
    }

    fn wanted(source: &Path, makes: bool) -> Wanted {
        Wanted { source: source.to_owned(), makes }
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
        let (real, is_file) = rules.resolve(&wanted(&path, true)).unwrap();
        assert!(real.is_dir() && !is_file);
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(rules.resolve(&wanted(&folder.path().join("file"), false)).unwrap().1);
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
        let scope = |spec: &Spec| rules.scope(&wanted(folder.path(), true), spec, &spec.mounts[0]);
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
        label(LABEL_IGNORE, "").unwrap();
        assert!(label(LABEL_EXCLUDE, "[").unwrap_err().message.contains("syntax error"));
        assert!(check_labels(&spec).is_err());
    }
}
