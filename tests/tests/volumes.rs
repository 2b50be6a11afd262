//! Volumes as a user has them: kept in the cloud's bucket, shared, filled from the image, pruned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{
    Backend, Daemon, backend,
    images::{ImageSpec, busybox_layer},
};

#[test]
fn what_one_container_writes_another_one_reads() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    assert_eq!(docker.run("volume create --label of=test shared").ok(), "shared");
    assert_eq!(docker.run("volume create shared").ok(), "shared");
    let write = "mkdir -p /data/deep && echo first > /data/deep/file && echo second > /data/other";
    docker.args(["run", "--rm", "-v", "shared:/data", "busybox", "sh", "-c", write]).ok();
    let read = "cat /there/deep/file /there/other; echo more >> /there/other || echo refused";
    let output = docker.args(["run", "--rm", "-v", "shared:/there:ro", "busybox", "sh", "-c", read]).ok();
    assert_eq!(output, "first\nsecond\nrefused");
    // Part of it, and as `--mount` has it.
    let part = "type=volume,source=shared,target=/part,volume-subpath=deep";
    assert_eq!(docker.args(["run", "--rm", "--mount", part, "busybox", "cat", "/part/file"]).ok(), "first");
    let inspected = docker.args([
        "volume",
        "inspect",
        "--format",
        "{{.Driver}} {{.Mountpoint}} {{.Labels.of}} {{.UsageData.Size}}",
        "shared",
    ]);
    let Backend { volume_driver, mountpoint, .. } = backend();
    let place = mountpoint.replace("{name}", "shared");
    assert_eq!(inspected.ok(), format!("{volume_driver} {place} test 13"));
    let listed = |filter: &str| docker.run(&format!("volume ls -q --filter {filter}")).ok();
    assert_eq!(listed(&format!("driver={volume_driver}")), "shared");
    assert_eq!(listed("driver=nfs"), "");
    let words = docker.run("volume create --driver nfs shared").fails(1);
    assert!(words.contains("create shared: conflict: volume name must be unique"), "{words}");
}

#[test]
fn a_container_that_runs_sees_what_comes_while_it_does() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let wait = "until test -s /data/go; do sleep 0.1; done; cat /data/go";
    docker.args(["run", "-d", "--name", "waits", "-v", "both:/data", "busybox", "sh", "-c", wait]).ok();
    docker.args(["run", "--rm", "-v", "both:/data", "busybox", "sh", "-c", "echo now > /data/go"]).ok();
    assert_eq!(docker.run("wait waits").ok(), "0");
    assert_eq!(docker.run("logs waits").ok(), "now");
}

#[test]
fn an_empty_volume_gets_what_the_image_has() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let mut layer = busybox_layer().unwrap();
    layer.folder("seed", 0o755).unwrap().folder("seed/sub", 0o755).unwrap();
    layer.file("seed/a", 0o644, "from the image\n").unwrap().file("seed/sub/b", 0o644, "below\n").unwrap();
    let spec = ImageSpec::new("seeded:latest").with("Volumes", serde_json::json!({"/own": {}}));
    daemon.load_with(&spec, layer);
    let show = ["sh", "-c", "cat /seed/a /seed/sub/b; ls -d /own; echo changed > /seed/a"];
    let run = |name: &str, options: &[&str]| {
        docker.args([&["run", "--name", name][..], options, &["seeded"], &show].concat()).ok()
    };
    assert_eq!(run("first", &["-v", "data:/seed"]), "from the image\nbelow\n/own");
    assert_eq!(run("second", &["-v", "data:/seed"]), "changed\nbelow\n/own");
    let plain = ["run", "--rm", "-v", "empty:/seed:nocopy", "seeded", "ls", "/seed"];
    assert_eq!(docker.args(plain).ok(), "");

    // The anonymous one of the image is there as long as its container.
    let unnamed = "{{range .Mounts}}{{if eq .Destination \"/own\"}}{{.Name}}{{end}}{{end}}";
    let own = docker.args(["inspect", "--format", unnamed, "first"]).ok();
    assert_eq!(own.len(), 64);
    assert!(docker.run("volume ls -q").ok().lines().any(|name| name == own));
    docker.run("rm -v first").ok();
    assert!(!docker.run("volume ls -q").ok().lines().any(|name| name == own));
}

#[test]
fn an_anonymous_volume_keeps_its_files_over_a_restart() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let script = "echo run >> /not/there/before/runs; cat /not/there/before/runs";
    docker.args(["create", "--name", "box", "-v", "/not/there/before", "busybox", "sh", "-c", script]).ok();
    assert_eq!(docker.run("start -a box").ok(), "run");
    assert_eq!(docker.run("start -a box").ok(), "run\nrun");
}

#[test]
fn a_volume_is_removed_when_nobody_has_it() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    for name in ["used", "one", "two"] {
        docker.args(["volume", "create", name]).ok();
    }
    docker.run("create --name box -v used:/data busybox true").ok();
    let words = docker.run("volume rm used").fails(1);
    assert!(words.contains("remove used: volume is in use - ["), "{words}");
    let words = docker.run("volume rm ghost").fails(1);
    assert!(words.contains("get ghost: no such volume"), "{words}");
    assert_eq!(docker.run("volume rm one").ok(), "one");
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.run("volume ls -q").ok(), "two\nused");
    assert_eq!(docker.run("volume ls -q -f dangling=true").ok(), "two");
    let pruned = docker.run("volume prune -f -a").ok();
    assert!(pruned.contains("two") && !pruned.contains("used"), "{pruned}");
    docker.run("rm box").ok();
    assert_eq!(docker.run("volume rm used").ok(), "used");
    assert_eq!(docker.run("volume ls -q").ok(), "");
}

#[test]
fn a_container_has_the_volumes_of_another_one() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let write =
        ["run", "--name", "first", "-v", "shared:/data", "busybox", "sh", "-c", "echo text > /data/file"];
    docker.args(write).ok();
    let read = "cat /data/file; echo more >> /data/file || echo refused";
    let run = ["run", "--rm", "--volumes-from", "first:ro", "busybox", "sh", "-c", read];
    assert_eq!(docker.args(run).ok(), "text\nrefused");
    let run = ["run", "--rm", "--volumes-from", "first", "busybox", "sh", "-c", read];
    assert_eq!(docker.args(run).ok(), "text");
    let words = docker.run("volume rm shared").fails(1);
    assert!(words.contains("volume is in use"), "{words}");
}

#[test]
fn what_cannot_be_mounted_is_refused() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let words = docker.run("run --rm -v data:relative busybox true").fails(125);
    assert!(words.contains("mount path must be absolute"), "{words}");
    assert_eq!(docker.run("ps -aq").ok(), "");
}
