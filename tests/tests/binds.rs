//! Bind mounts as a user has them: the files of this machine, in containers that run elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use sockerless_tests::{
    Daemon, Docker,
    dist::program,
    images::{ImageSpec, busybox_layer},
    until,
};

/// A folder of the user's.
struct Work(PathBuf);

impl Work {
    fn new(daemon: &Daemon, name: &str) -> Self {
        let folder = daemon.folder().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[track_caller]
    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    /// As `-v` takes it.
    fn on(&self, rest: &str) -> String {
        format!("{}:{rest}", self.0.display())
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn daemon() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    (daemon, docker)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_build_in_a_container_leaves_its_results_in_the_users_folder() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "work");
    work.write("src/a.c", "int a;\n");
    work.write(
        "run.sh",
        "#!/bin/sh\ncp src/a.c out.o && rm old && echo more >> src/a.c && ln -s out.o link\n",
    );
    work.write("old", "x");
    fs::set_permissions(work.at("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("src/a.c", work.at("here")).unwrap();
    // A checkout may have such a link; nothing goes through it.
    symlink("../elsewhere/file", work.at("up")).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::options().write(true).open(work.at("src/a.c")).unwrap().set_modified(long_ago).unwrap();

    let script = "stat -c '%a %Y' run.sh src/a.c && cat here && ./run.sh && chmod 640 out.o && mkdir -p deep/er && \
                  echo end > deep/er/file";
    let output = docker
        .args(["run", "--rm", "-v", &work.on("/work"), "-w", "/work", "busybox", "sh", "-c", script])
        .ok();
    let lines: Vec<_> = output.lines().collect();
    assert!(
        lines[0].starts_with("751 ") && lines[1].ends_with(" 1000000000") && lines[2] == "int a;",
        "{output}"
    );
    // All that is there when the command returns.
    assert_eq!(work.names(""), ["deep", "here", "link", "out.o", "run.sh", "src", "up"]);
    assert_eq!((work.read("out.o"), work.read("src/a.c")), ("int a;\n".into(), "int a;\nmore\n".into()));
    assert_eq!((work.read("deep/er/file"), mode(&work.at("out.o"))), ("end\n".into(), 0o640));
    assert_eq!(fs::read_link(work.at("link")).unwrap(), Path::new("out.o"));
    assert_eq!(mode(&work.at("run.sh")), 0o751);

    // The same folder for the next container, which sees what the last one left.
    let again = docker.args([
        "run",
        "--rm",
        "-v",
        &work.on("/other/place:ro"),
        "busybox",
        "cat",
        "/other/place/out.o",
    ]);
    assert_eq!(again.ok(), "int a;");
}

#[test]
fn configuration_files_are_read_only_and_shown_as_dockerd_shows_them() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "conf");
    work.write("my.conf", "listen 80\n");
    let file = format!("{}:/etc/web/conf.d/default.conf:ro", work.at("my.conf").display());
    let script = "cat /etc/web/conf.d/default.conf; echo changed > /etc/web/conf.d/default.conf";
    docker.args(["run", "--name", "web", "-v", &file, "busybox", "sh", "-c", script]).ok();
    assert_eq!(docker.run("logs web").ok(), "listen 80");
    assert_eq!(work.read("my.conf"), "listen 80\n");
    let shown =
        "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}{{end}}";
    let expected =
        format!("bind {} /etc/web/conf.d/default.conf ro false rprivate", work.at("my.conf").display());
    assert_eq!(docker.args(["inspect", "--format", shown, "web"]).ok(), expected);
    work.write("my.conf", "listen 8080\n");
    assert_eq!(docker.run("start -a web").ok(), "listen 8080");
    // Files of the user's are no part of the container's; where they are mounted is, unless the image has it.
    assert!(
        docker
            .run("diff web")
            .ok()
            .ends_with("A /etc/web\nA /etc/web/conf.d\nA /etc/web/conf.d/default.conf")
    );
}

#[test]
fn what_is_missing_is_made_or_refused_as_by_dockerd() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "some");
    let missing = work.at("not/there");
    let made = format!("{}:/data", missing.display());
    docker.args(["run", "--rm", "-v", &made, "busybox", "sh", "-c", "echo new > /data/file"]).ok();
    assert_eq!(work.read("not/there/file"), "new\n");
    let mount = format!("type=bind,source={},target=/data", work.at("none").display());
    let refused = docker.args(["run", "--rm", "--mount", &mount, "busybox", "true"]).fails(125);
    assert!(
        refused.contains("invalid mount config for type \"bind\": bind source path does not exist"),
        "{refused}"
    );
    let refused = docker.args(["run", "--rm", "-v", "/proc:/data", "busybox", "true"]).fails(125);
    assert!(refused.contains("shows this machine"), "{refused}");
}

#[test]
fn a_running_container_and_the_users_folder_are_merged_when_asked() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "site");
    work.write("page", "one\n");
    let serve = "echo started > /site/log; until grep -q two /site/page; do sleep 0.1; done; echo seen >> /site/log; sleep 1000";
    docker.args(["run", "-d", "--name", "web", "-v", &work.on("/site"), "busybox", "sh", "-c", serve]).ok();
    let sync = || {
        let output = Command::new(program("sockerless"))
            .args(["sync", "--socket", daemon.socket().to_str().unwrap(), "web"])
            .env("SOCKERLESS_CONFIG", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    work.write("page", "two\n");
    until("what the container has seen", || {
        sync();
        work.names("").contains(&"log".to_owned()).then_some(())?;
        (work.read("log") == "started\nseen\n").then_some(())
    });
    docker.run("rm -f web").ok();
}

#[test]
fn both_keep_theirs_where_both_changed_a_file() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "both");
    work.write("file", "base\n");
    let script = "until test -e /go; do sleep 0.1; done; echo theirs > /both/file";
    docker.args(["run", "-d", "--name", "box", "-v", &work.on("/both"), "busybox", "sh", "-c", script]).ok();
    work.write("file", "the user's own\n");
    docker.args(["exec", "box", "touch", "/go"]).ok();
    docker.run("wait box").ok();
    let names = work.names("");
    assert_eq!((names.len(), names[0].as_str()), (2, "file"));
    assert_eq!((work.read("file"), work.read(&names[1])), ("the user's own\n".into(), "theirs\n".into()));
    assert!(daemon.log_text().contains("changed on both sides"));
}

#[test]
fn a_daemon_that_was_killed_brings_everything_back() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let work = Work::new(&daemon, "work");
    for number in 0..200 {
        work.write(&format!("d{}/{number}", number % 7), "x");
    }
    let script =
        "until test -e /go; do sleep 0.1; done; cd /work; for file in */*; do echo y > $file; done; rm -r d3";
    docker.args(["run", "-d", "--name", "box", "-v", &work.on("/work"), "busybox", "sh", "-c", script]).ok();
    daemon.kill();
    daemon.launch();
    docker.args(["exec", "box", "touch", "/go"]).ok();
    // Wherever it is by now.
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.run("wait box").ok(), "0");
    assert_eq!(work.names(""), ["d0", "d1", "d2", "d4", "d5", "d6"]);
    for number in (0..200).filter(|number| number % 7 != 3) {
        assert_eq!(work.read(&format!("d{}/{number}", number % 7)), "y\n");
    }
}

#[test]
fn another_job_has_what_the_first_one_left() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "work");
    let script = "echo run >> /work/runs; cat /work/runs; echo own >> /own; wc -l < /own";
    let options = ["create", "--name", "box", "--label", "sockerless.linger=0", "-v", &work.on("/work")];
    docker.args([&options[..], &["busybox", "sh", "-c", script]].concat()).ok();
    assert_eq!(docker.run("start -a box").ok(), "run\n1");
    until("the end of all jobs", || daemon.jobs().is_empty().then_some(()));
    work.write("runs", "mine\n");
    assert_eq!(docker.run("start -a box").ok(), "mine\nrun\n2");
    assert_eq!(work.read("runs"), "mine\nrun\n");
}

#[test]
fn an_image_with_a_user_of_its_own_can_write_to_the_target_all_the_same() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let spec = ImageSpec::new("someone:latest").with("User", serde_json::json!("1000:1000"));
    daemon.load_with(&spec, busybox_layer().unwrap());
    let work = Work::new(&daemon, "work");
    work.write("in", "from here\n");
    let script = "id -u; cat in; echo out > out";
    let output = docker
        .args(["run", "--rm", "-v", &work.on("/work"), "-w", "/work", "someone", "sh", "-c", script])
        .ok();
    assert_eq!(output, "1000\nfrom here");
    assert_eq!(work.read("out"), "out\n");
}

#[test]
fn patterns_and_other_mounts_keep_things_where_they_are() {
    let (daemon, docker) = daemon();
    let work = Work::new(&daemon, "work");
    work.write("src/a", "a");
    work.write("target/large", "here");
    work.write("node_modules/here", "here");
    let script = "find . | sort; mkdir -p target; touch target/built node_modules/built src/b";
    let options = ["run", "--rm", "-v", &work.on("/work"), "-v", "/work/node_modules", "-w", "/work"];
    let label = ["--label", "sockerless.binds.exclude=target", "busybox", "sh", "-c", script];
    let output = docker.args([&options[..], &label].concat()).ok();
    assert_eq!(output, ".\n./node_modules\n./src\n./src/a");
    assert_eq!(
        (work.names("target"), work.names("node_modules")),
        (vec!["large".into()], vec!["here".into()])
    );
    assert_eq!(work.names("src"), ["a", "b"]);
}
