//! `docker cp`, `diff`, `export`, `commit` and `save`, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;
use sockerless_tests::{
    Daemon, Docker,
    images::{ImageSpec, busybox_layer},
};

/// Patience of a test for what has to come; it fails after that.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `changing` does to its image.
const SCRIPT: &str = "echo made > /made; echo more >> /etc/passwd; rm /etc/group; mkdir -p /d/e; echo f > /d/e/f; ln -s f /d/e/l; \
                      rm -r /var; chmod 700 /home";

/// What `docker diff` says of that.
const CHANGES: &str =
    "A /d\nA /d/e\nA /d/e/f\nA /d/e/l\nC /etc\nD /etc/group\nC /etc/passwd\nC /home\nA /made\nD /var";

fn daemon() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    (daemon, docker)
}

/// A folder of the test's own with something of everything in it.
fn things(daemon: &Daemon) -> PathBuf {
    let folder = daemon.folder().join("things");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("file"), "text\n").unwrap();
    fs::set_permissions(folder.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(folder.join("sub/deep"), "down\n").unwrap();
    std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
    folder
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// `docker cp FROM TO`.
#[track_caller]
fn cp(docker: &Docker, options: &[&str], from: &str, to: &str) -> sockerless_tests::Output {
    docker.args([&["cp", "-q"], options, &[from, to]].concat())
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Members of an archive that a command writes.
fn members(docker: &Docker, args: &[&str]) -> Vec<String> {
    let output = docker.command(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    names.collect()
}

/// Waits until the daemon keeps so many archives of a container's files.
#[track_caller]
fn kept(daemon: &Daemon, docker: &Docker, name: &str, count: usize) {
    let id = docker.args(["inspect", "--format", "{{.Id}}", name]).ok();
    let folder = daemon.state().join("files/containers").join(id);
    let end = Instant::now() + PATIENCE;
    loop {
        let names: Vec<_> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        if names.iter().filter(|name| name.ends_with(".tar")).count() == count {
            return;
        }
        assert!(Instant::now() < end, "{names:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the last run's changes are saved and its agent is gone.
#[track_caller]
fn saved(daemon: &Daemon, docker: &Docker, name: &str) {
    let id = docker.args(["inspect", "--format", "{{.Id}}", name]).ok();
    let folder = daemon.state().join("files/containers").join(id);
    let end = Instant::now() + PATIENCE;
    let is_layer = |entry: std::io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().contains("-layer-")
    };
    while !fs::read_dir(&folder).is_ok_and(|mut entries| entries.any(is_layer)) {
        assert!(Instant::now() < end, "nothing is saved");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What every container that has done `SCRIPT` has to answer, whoever has its files.
fn has_changed(docker: &Docker, name: &str, folder: &Path) {
    assert_eq!(docker.args(["diff", name]).ok(), CHANGES);
    let out = folder.join(format!("{name}-d"));
    cp(docker, &[], &format!("{name}:/d"), shown(&out)).ok();
    assert_eq!((text(out.join("e/f")), fs::read_link(out.join("e/l")).unwrap()), ("f\n".into(), "f".into()));
    let words = cp(docker, &[], &format!("{name}:/etc/group"), "-").fails(1);
    assert!(words.contains(&format!("Could not find the file /etc/group in container {name}")), "{words}");
    let all = members(docker, &["export", name]);
    for (path, there) in
        [("made", true), ("d/e/l", true), ("bin/busybox", true), ("etc/group", false), ("var/", false)]
    {
        assert_eq!(all.iter().any(|name| name == path), there, "{path}: {all:?}");
    }
    let image = format!("{name}:committed");
    docker
        .args(["commit", "-m", "by a test", "-a", "me", "-c", "CMD [\"cat\", \"/made\"]", name, &image])
        .ok();
    assert_eq!(docker.args(["run", "--rm", &image]).ok(), "made");
    let script = "cat /d/e/l; tail -n1 /etc/passwd; ls -d /var /etc/group 2>/dev/null; stat -c %a /home";
    assert_eq!(docker.args(["run", "--rm", &image, "sh", "-c", script]).ok(), "f\nmore\n700");
    let step = docker.args(["history", "--no-trunc", "--format", "{{.Comment}}", &image]).ok();
    assert_eq!(step.lines().next(), Some("by a test"));
}

#[test]
fn files_go_in_and_out_of_a_running_container() {
    let (daemon, docker) = daemon();
    let things = things(&daemon);
    let out = daemon.folder().join("out");
    fs::create_dir(&out).unwrap();
    let at = |path: &str| out.join(path);
    docker.run("run -d --name box busybox sleep 100000").ok();
    let says = |script: &str| docker.args(["exec", "box", "sh", "-c", script]).ok();

    cp(&docker, &[], shown(&things), "box:/opt").ok();
    assert_eq!(says("cd /opt; cat file sub/deep; readlink link; stat -c %a file"), "text\ndown\nfile\n640");
    cp(&docker, &[], shown(&things), "box:/tmp").ok();
    assert_eq!(says("cat /tmp/things/file"), "text");
    cp(&docker, &[], &format!("{}/.", shown(&things)), "box:/tmp").ok();
    assert_eq!(says("cat /tmp/sub/deep"), "down");
    cp(&docker, &[], shown(&things.join("file")), "box:/tmp/other").ok();
    assert_eq!(says("cat /tmp/other"), "text");
    cp(&docker, &[], shown(&things.join("link")), "box:/tmp/copied").ok();
    assert_eq!(says("readlink /tmp/copied"), "file");
    cp(&docker, &["-L"], shown(&things.join("link")), "box:/tmp/followed").ok();
    assert_eq!(says("cat /tmp/followed; test -L /tmp/followed || echo real"), "text\nreal");
    assert_eq!(says("mkdir /real; ln -s /real /alias"), "");
    cp(&docker, &[], shown(&things.join("file")), "box:/alias/").ok();
    assert_eq!(says("cat /real/file"), "text");

    cp(&docker, &[], "box:/tmp/things", shown(&at("tree"))).ok();
    assert_eq!(text(at("tree/sub/deep")), "down\n");
    assert_eq!(fs::metadata(at("tree/file")).unwrap().permissions().mode() & 0o777, 0o640);
    cp(&docker, &[], "box:/tmp/things/.", shown(&out)).ok();
    assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("file"));
    cp(&docker, &["-L"], "box:/tmp/things/link", shown(&at("followed"))).ok();
    assert_eq!(text(at("followed")), "text\n");
    assert_eq!(members(&docker, &["cp", "box:/tmp/things/sub", "-"]), ["sub/", "sub/deep"]);

    for (from, to, words) in [
        ("box:/nope", "-", "Could not find the file /nope in container box"),
        ("box:/etc/passwd/x", "-", "not a directory"),
        (shown(&things.join("file")), "box:/nope/x", "Could not find the file /nope in container box"),
        (shown(&things), "box:/etc/passwd", "cannot copy directory"),
        (shown(&things), "nobody:/", "No such container: nobody"),
    ] {
        let words_of = cp(&docker, &[], from, to).fails(1);
        assert!(words_of.contains(words), "{from} {to}: {words_of}");
    }
}

#[test]
fn owners_are_those_of_the_archive_or_with_a_the_containers_user() {
    let (_daemon, docker) = daemon();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    header.set_mode(0o600);
    header.set_uid(1234);
    header.set_gid(50);
    header.set_mtime(0);
    builder.append_data(&mut header, "own", &b"x"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    docker.run("run -d --name box busybox sleep 100000").ok();
    docker.with_input(["cp", "-", "box:/tmp"], &archive).ok();
    assert_eq!(docker.run("exec box stat -c %u:%g /tmp/own").ok(), "1234:50");
    docker.run("create --name created --user nobody busybox stat -c %u:%g /tmp/own").ok();
    docker.with_input(["cp", "-a", "-", "created:/tmp"], &archive).ok();
    assert_eq!(docker.run("start -a created").ok(), "65534:65534");
}

#[test]
fn what_is_copied_into_a_created_container_is_there_when_its_process_starts() {
    let (mut daemon, docker) = daemon();
    let things = things(&daemon);
    docker
        .args(["create", "--name", "made", "busybox", "sh", "-c", "cat /opt/file /opt/sub/deep /etc/passwd"])
        .ok();
    // Before the first start the image answers.
    assert_eq!(members(&docker, &["cp", "made:/etc", "-"]), ["etc/", "etc/passwd", "etc/group"]);
    let words = cp(&docker, &[], "made:/opt", "-").fails(1);
    assert!(words.contains("Could not find the file /opt in container made"), "{words}");
    cp(&docker, &[], shown(&things), "made:/opt").ok();
    fs::write(things.join("file"), "second\n").unwrap();
    cp(&docker, &[], shown(&things.join("file")), "made:/opt/file").ok();
    docker
        .with_input(["cp", "-", "made:/"], &{
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            header.set_size(6);
            header.set_mode(0o644);
            builder.append_data(&mut header, "etc/passwd", &b"nobody"[..]).unwrap();
            builder.into_inner().unwrap()
        })
        .ok();
    daemon.kill();
    daemon.launch();
    kept(&daemon, &docker, "made", 3);
    let out = daemon.folder().join("out");
    cp(&docker, &[], "made:/opt/file", shown(&out)).ok();
    assert_eq!(text(&out), "second\n");
    assert_eq!(
        docker.run("diff made").ok(),
        "C /etc\nC /etc/passwd\nA /opt\nA /opt/file\nA /opt/link\nA /opt/sub\nA /opt/sub/deep"
    );
    assert_eq!(docker.run("start -a made").ok(), "second\ndown\nnobody");
    let words = cp(&docker, &[], shown(&things), "made:/nope/x").fails(1);
    assert!(words.contains("Could not find the file /nope in container made"), "{words}");
    docker.run("rm made").ok();
    assert_eq!(fs::read_dir(daemon.state().join("files/containers")).unwrap().count(), 0);
}

#[test]
fn after_its_exit_a_containers_files_are_still_there() {
    let (daemon, docker) = daemon();
    docker.args(["run", "--name", "over", "busybox", "sh", "-c", SCRIPT]).ok();
    has_changed(&docker, "over", daemon.folder());
    let file = things(&daemon).join("file");
    cp(&docker, &[], shown(&file), "over:/late").ok();
    let out = daemon.folder().join("late");
    cp(&docker, &[], "over:/late", shown(&out)).ok();
    assert_eq!(text(out), "text\n");
}

#[test]
fn when_the_agent_has_gone_what_was_saved_answers_and_the_next_start_has_it() {
    let (mut daemon, docker) = daemon();
    let label = ["--label", "sockerless.linger=1"];
    let run = [&["run", "--name", "over"], &label[..], &["busybox", "sh", "-c"]].concat();
    let script =
        format!("if test -e /made; then cat /made /late /d/e/l; ls -d /var /etc/group; else {SCRIPT}; fi");
    docker.args([&run[..], &[&script]].concat()).ok();
    saved(&daemon, &docker, "over");
    daemon.kill();
    daemon.launch();
    has_changed(&docker, "over", daemon.folder());
    let file = things(&daemon).join("file");
    cp(&docker, &[], shown(&file), "over:/late").ok();
    let again = docker.run("start -a over");
    assert_eq!(again.stdout, "made\ntext\nf\n");
    assert!(again.stderr.contains("/var: No such file"), "{}", again.stderr);
    // And what the second run had is saved in its turn.
    let end = Instant::now() + PATIENCE;
    while !docker.run("diff over").ok().contains("A /late") {
        assert!(Instant::now() < end);
    }
}

#[test]
fn what_a_running_container_does_to_its_files_is_told_at_once() {
    let (daemon, docker) = daemon();
    docker
        .args([
            "run",
            "-d",
            "--name",
            "busy",
            "busybox",
            "sh",
            "-c",
            &format!("{SCRIPT}; echo done; sleep 100000"),
        ])
        .ok();
    let end = Instant::now() + PATIENCE;
    while docker.run("logs busy").ok() != "done" {
        assert!(Instant::now() < end);
    }
    has_changed(&docker, "busy", daemon.folder());
    assert_eq!(docker.args(["inspect", "--format", "{{.State.Status}}", "busy"]).ok(), "running");
}

/// Content of a member of an archive that a command writes.
fn member(docker: &Docker, args: &[&str], path: &str) -> Option<String> {
    let output = docker.command(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let mut found = archive.entries().unwrap().map(|entry| entry.unwrap());
    let mut found = found.find(|entry| entry.path().unwrap() == Path::new(path))?;
    let mut content = String::new();
    found.read_to_string(&mut content).unwrap();
    Some(content)
}

#[test]
fn what_the_images_user_may_not_read_comes_from_the_image_and_fails_nothing() {
    let (daemon, docker) = daemon();
    let mut layer = busybox_layer().unwrap();
    layer.file("etc/shadow", 0o640, "secret\n").unwrap().file("root/.rc", 0o644, "rc\n").unwrap();
    daemon.load_with(&ImageSpec::new("own-user:1").with("User", json!("nobody")), layer);
    docker.run("run -d --name own --label sockerless.linger=1 own-user:1 sleep 1000").ok();
    let script = "echo made > /tmp/made; echo closed > /tmp/closed; chmod 0 /tmp/closed";
    docker.args(["exec", "own", "sh", "-c", script]).ok();
    let whole = |name: &str, args: &[&str]| {
        for (path, content) in
            [("etc/shadow", Some("secret\n")), ("root/.rc", Some("rc\n")), ("tmp/made", Some("made\n"))]
        {
            assert_eq!(member(&docker, args, path).as_deref(), content, "{name}: {path}");
        }
        assert_eq!(member(&docker, args, "tmp/closed"), None, "{name}");
    };
    whole("running", &["export", "own"]);
    assert!(daemon.log_text().contains("/tmp/closed"), "the log says what is not there");
    assert_eq!(member(&docker, &["cp", "own:/etc", "-"], "etc/shadow").as_deref(), Some("secret\n"));
    let words = cp(&docker, &[], "own:/etc/shadow", "-").fails(1);
    assert!(words.contains("open /etc/shadow: permission denied"), "{words}");
    // Nobody takes a part of it for the whole.
    cp(&docker, &[], "own:/tmp", "-").fails(1);
    docker.run("commit own made:1").ok();
    let script = "cat /tmp/made; ls /tmp";
    assert_eq!(docker.args(["run", "--rm", "made:1", "sh", "-c", script]).ok(), "made\nmade");
    docker.run("kill own").ok();
    saved(&daemon, &docker, "own");
    whole("saved", &["export", "own"]);
    assert_eq!(docker.run("inspect --format {{.State.Error}} own").ok(), "");
}

#[test]
fn archives_that_mean_harm_or_are_broken_are_refused_in_every_state() {
    let (daemon, docker) = daemon();
    docker.run("create --name created busybox true").ok();
    docker.run("run -d --name running busybox sleep 100000").ok();
    docker.run("run --name exited busybox true").ok();
    let archive = |name: &str, kind: tar::EntryType, link: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    };
    let whole = archive("big", tar::EntryType::Regular, "", &[7; 5000]);
    for name in ["created", "running", "exited"] {
        for (body, words) in [
            (archive("../etc/evil", tar::EntryType::Regular, "", b"x"), "is outside of"),
            (archive("up", tar::EntryType::Symlink, "../../../etc", b""), "invalid symlink"),
            (archive("hard", tar::EntryType::Link, "../etc/passwd", b""), "invalid hardlink"),
            (whole[..2000].to_vec(), "unexpected EOF"),
            (b"no archive at all".repeat(100), "archive/tar: invalid tar header"),
        ] {
            let target = format!("/v1.41/containers/{name}/archive?path=/tmp");
            let (status, answer) =
                daemon.request("PUT", &target, &[("Content-Type", "application/x-tar")], &body);
            assert!(status == 500 && answer.contains(words), "{name}: {status} {answer} / {words}");
        }
        // What begins with a slash stays below the directory.
        let body = archive("/etc/evil", tar::EntryType::Regular, "", b"x");
        docker.with_input(["cp", "-", &format!("{name}:/tmp")], &body).ok();
        let words = cp(&docker, &[], &format!("{name}:/etc/evil"), "-").fails(1);
        assert!(words.contains("Could not find the file"), "{words}");
        assert!(members(&docker, &["cp", &format!("{name}:/tmp"), "-"]).contains(&"tmp/etc/evil".to_owned()));
    }
    let target = "/v1.41/containers/created/archive";
    for (method, path, status, words) in [
        ("GET", "", 400, "path cannot be empty"),
        ("PUT", "", 400, "path cannot be empty"),
        ("GET", "?path=/nope", 404, "Could not find the file /nope in container created"),
        ("PUT", "?path=/nope", 404, "Could not find the file /nope in container created"),
        ("PUT", "?path=/etc/passwd", 500, "extraction point is not a directory"),
    ] {
        let (got, answer) = daemon.request(method, &format!("{target}{path}"), &[], b"");
        assert!(got == status && answer.contains(words), "{method} {path}: {got} {answer}");
    }
}

#[test]
fn a_read_only_container_takes_no_files() {
    let (_daemon, docker) = daemon();
    for run in ["create", "run -d"] {
        docker.run(&format!("{run} --name box --read-only busybox sleep 100000")).ok();
        let words = cp(&docker, &[], "/etc/hostname", "box:/tmp/x").fails(1);
        assert!(words.contains("container rootfs is marked read-only"), "{words}");
        docker.run("rm -f box").ok();
    }
}

/// The daemon's largest resident size so far, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = text(format!("/proc/{}/status", daemon.pid()));
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_file_goes_both_ways_without_being_held_in_memory() {
    const BYTES: u64 = 400 << 20;
    let (daemon, docker) = daemon();
    let (large, back) = (daemon.folder().join("large"), daemon.folder().join("back"));
    // Random bytes at its ends tell a shift; the middle is a hole.
    let mut file = fs::File::create(&large).unwrap();
    file.set_len(BYTES).unwrap();
    file.write_all(&[7; 100_000]).unwrap();
    docker.run("run -d --name running busybox sleep 100000").ok();
    docker.run("create --name created busybox true").ok();
    let before = peak(&daemon);
    for name in ["running", "created"] {
        cp(&docker, &[], shown(&large), &format!("{name}:/tmp/large")).ok();
        cp(&docker, &[], &format!("{name}:/tmp/large"), shown(&back)).ok();
        assert!(std::process::Command::new("cmp").arg(&large).arg(&back).status().unwrap().success());
    }
    let grown = peak(&daemon).saturating_sub(before);
    assert!(grown < 64 << 10, "the daemon grew by {grown} KiB");
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let (daemon, docker) = daemon();
    docker.run("run -d --name running busybox sleep 100000").ok();
    docker.run("create --name created busybox true").ok();
    for name in ["running", "created"] {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("half").unwrap();
        header.set_size(1 << 30);
        header.set_mode(0o644);
        header.set_cksum();
        let head = format!(
            "PUT /containers/{name}/archive?path=/tmp HTTP/1.1\r\nHost: docker\r\nContent-Length: {}\r\n\r\n",
            2_u64 << 30
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(header.as_bytes()).unwrap();
        stream.write_all(&[7; 100_000]).unwrap();
        drop(stream);
    }
    // The container goes on, and what was begun is not kept.
    docker.run("exec running true").ok();
    kept(&daemon, &docker, "created", 0);
    assert_eq!(docker.run("start -a created").ok(), "");

    // The same the other way round: who reads too little is no burden.
    docker.run("exec running dd if=/dev/zero of=/tmp/zeros bs=1M count=64").ok();
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream
        .write_all(b"GET /containers/running/archive?path=/tmp/zeros HTTP/1.1\r\nHost: docker\r\n\r\n")
        .unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    docker.run("exec running rm /tmp/zeros").ok();
}

#[test]
fn a_commit_changes_what_it_is_told_to_and_a_save_can_be_loaded_elsewhere() {
    let (_daemon, docker) = daemon();
    docker
        .args(["run", "--name", "box", "-e", "A=1", "-l", "own=yes", "busybox", "sh", "-c", "echo x > /x"])
        .ok();
    let id = docker
        .args([
            "commit",
            "-c",
            "ENV B=2",
            "-c",
            "LABEL l=m",
            "-c",
            "EXPOSE 80",
            "-c",
            "WORKDIR /tmp",
            "-c",
            "USER nobody",
            "-c",
            "ENTRYPOINT [\"echo\"]",
            "-c",
            "VOLUME /v",
            "-c",
            "STOPSIGNAL SIGINT",
            "-c",
            "HEALTHCHECK CMD true",
            "-c",
            "ONBUILD RUN x",
            "box",
            "made:1",
        ])
        .ok();
    assert!(id.starts_with("sha256:"), "{id}");
    let format = "{{.Config.Env}} {{.Config.Labels}} {{.Config.ExposedPorts}} {{.Config.WorkingDir}} {{.Config.User}} \
                  {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Volumes}} {{.Config.StopSignal}} \
                  {{.Config.Healthcheck.Test}} {{.Config.OnBuild}}";
    let config = docker.args(["inspect", "--format", format, "made:1"]).ok();
    assert!(config.starts_with("[A=1 ") && config.contains("B=2] map[l:m own:yes] map[80/tcp:{}] /tmp nobody [echo] [] map[/v:{}] SIGINT [CMD-SHELL true] [RUN x]"), "{config}");
    for (args, words) in [
        (vec!["commit", "-c", "RUN x", "box"], "run is not a valid change command"),
        (vec!["commit", "nobody"], "No such container: nobody"),
        (vec!["commit", "box", "Made"], "must be lowercase"),
        (vec!["save", "nope"], "No such image: nope"),
    ] {
        let told = docker.args(&args).fails(1);
        assert!(told.contains(words), "{args:?}: {told}");
    }
    // Nothing has changed in this one: an image with its parent's layers.
    docker.run("create --name same busybox true").ok();
    docker.run("commit same same:1").ok();
    let layers = |image: &str| docker.args(["inspect", "--format", "{{.RootFS.Layers}}", image]).ok();
    assert_eq!(layers("same:1"), layers("busybox"));

    let saved = docker.command(["save", "made:1", "busybox"]).output().unwrap().stdout;
    let other = Daemon::start();
    let loaded = other.docker().with_input(["load"], &saved).ok();
    assert!(
        loaded.contains("Loaded image: made:1") && loaded.contains("Loaded image: busybox:latest"),
        "{loaded}"
    );
    assert_eq!(other.docker().args(["inspect", "--format", "{{.Id}}", "made:1"]).ok(), id);
    assert_eq!(other.docker().run("run --rm --entrypoint cat made:1 /x").ok(), "x");
}

#[test]
fn the_events_of_files_are_dockerds() {
    let (daemon, docker) = daemon();
    docker.run("create --name box busybox true").ok();
    let file = things(&daemon).join("file");
    cp(&docker, &[], shown(&file), "box:/x").ok();
    members(&docker, &["cp", "box:/x", "-"]);
    members(&docker, &["export", "box"]);
    docker.run("commit -m why box made").ok();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    let until = now.to_string();
    let format =
        "{{.Action}} {{index .Actor.Attributes \"comment\"}} {{index .Actor.Attributes \"imageRef\"}}";
    let all = docker
        .args(["events", "--since", "0", "--until", &until, "--filter", "container=box", "--format", format])
        .ok();
    let told: Vec<&str> = all.lines().map(str::trim).collect();
    assert_eq!(told, ["create", "extract-to-dir", "archive-path", "export", "commit why made:latest"]);
}
