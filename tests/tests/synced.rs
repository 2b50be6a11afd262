//! Volumes of the consistency `synced`, by the docker CLI: on the container's own disk, kept in the cloud's bucket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{
    Daemon, backend,
    cli::Docker,
    images::{ImageSpec, busybox_layer},
};

const SYNCED: &str = "sockerless.consistency=synced";

fn volume(docker: &Docker, name: &str) {
    docker.args(["volume", "create", "--opt", SYNCED, name]).ok();
}

fn sh(docker: &Docker, options: &[&str], script: &str) -> String {
    docker.args([&["run", "--rm"][..], options, &["busybox", "sh", "-ec", script]].concat()).ok()
}

#[test]
fn what_one_container_leaves_the_next_one_finds() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "data");
    let write = "mkdir -m 2770 /data/deep; chown 7:8 /data/deep; echo text > /data/deep/file; chmod 4711 /data/deep/file
        ln /data/deep/file /data/hard; ln -s deep/file /data/soft; touch -d '2001-02-03 04:05:06' /data/old
        ! mount | grep ' /data '";
    sh(&docker, &["-v", "data:/data"], write);
    let show = "stat -c '%A %u:%g %h %n' /there/deep /there/hard; cat /there/soft; stat -c %y /there/old; rm /there/hard";
    let shown = sh(&docker, &["-v", "data:/there"], show);
    assert_eq!(
        shown,
        "drwxrws--- 7:8 2 /there/deep\n-rws--x--x 0:8 2 /there/hard\ntext\n2001-02-03 04:05:06.000000000 +0000"
    );
    // Over a new daemon, read-only, and a part of it.
    daemon.kill();
    daemon.launch();
    let part = "type=volume,source=data,target=/part,volume-subpath=deep";
    assert_eq!(
        sh(&docker, &["-v", "data:/data:ro", "--mount", part], "ls /data /part"),
        "/data:\ndeep\nold\nsoft\n\n/part:\nfile"
    );
    let format = "{{.Driver}} {{json .Options}} {{gt .UsageData.Size 0}}";
    let inspected = docker.args(["volume", "inspect", "--format", format, "data"]).ok();
    let driver = backend().volume_driver;
    assert_eq!(inspected, format!("{driver} {{\"sockerless.consistency\":\"synced\"}} true"));
    assert_eq!(docker.run("volume rm data").ok(), "data");
    assert_eq!(docker.run("volume ls -q").ok(), "");
}

#[test]
fn it_is_filled_from_the_image_and_starts_in_place_with_what_others_wrote() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let mut layer = busybox_layer().unwrap();
    layer.folder("seed", 0o755).unwrap().file("seed/a", 0o644, "from the image\n").unwrap();
    daemon.load_with(&ImageSpec::new("seeded:latest"), layer);
    volume(&docker, "data");
    let show = "cat /seed/*; echo of-$0 > /seed/$0";
    let run = |name: &str| {
        docker.args(["run", "--name", name, "-v", "data:/seed", "seeded", "sh", "-ec", show, name]).ok()
    };
    assert_eq!(run("first"), "from the image");
    assert_eq!(run("second"), "from the image\nof-first");
    assert_eq!(docker.run("start -a first").ok(), "from the image\nof-first\nof-second");
    // The image's files are hidden by what the volume has, and a container's files are none of the volume's.
    docker.args(["run", "--rm", "-v", "data:/seed", "busybox", "rm", "/seed/a"]).ok();
    assert_eq!(run("third"), "of-first\nof-second");
    assert_eq!(docker.run("diff third").ok(), "");
    volume(&docker, "empty");
    assert_eq!(docker.args(["run", "--rm", "-v", "empty:/seed:nocopy", "seeded", "ls", "/seed"]).ok(), "");
}

#[test]
fn both_versions_of_a_file_that_two_wrote_at_once_are_kept() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "data");
    sh(&docker, &["-v", "data:/data"], "echo base > /data/file");
    let slow = "echo slow > /data/file; echo ready; until test -e /go; do sleep 0.1; done";
    let id =
        docker.args(["run", "-d", "--name", "slow", "-v", "data:/data", "busybox", "sh", "-c", slow]).ok();
    while docker.run("logs slow").ok() != "ready" {}
    sh(&docker, &["-v", "data:/data"], "echo quick > /data/file; echo new > /data/new");
    docker.run("exec slow touch /go").ok();
    docker.run("wait slow").ok();
    let shown = sh(&docker, &["-v", "data:/data"], "cd /data; grep . *");
    assert_eq!(shown, format!("file:quick\nfile.conflict-{}:slow\nnew:new", &id[..12]));
}

#[test]
fn what_is_copied_in_or_asked_for_is_there_for_others_at_once() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "data");
    let forever = ["busybox", "sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"];
    docker.args([&["run", "-d", "--name", "box", "-v", "data:/data"][..], &forever].concat()).ok();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("copied"), "by the CLI\n").unwrap();
    docker.args(["cp", &folder.path().join("copied").display().to_string(), "box:/data/"]).ok();
    assert_eq!(
        sh(&docker, &["-v", "data:/data"], "cat /data/copied; echo other > /data/other"),
        "by the CLI"
    );
    docker.args(["exec", "box", "sh", "-c", "echo mine > /data/mine"]).ok();
    assert_eq!(daemon.request("POST", "/containers/box/sync", &[], b"").0, 204);
    assert_eq!(
        docker.args(["exec", "box", "sh", "-c", "cd /data; grep . *"]).ok(),
        "copied:by the CLI\nmine:mine\nother:other"
    );
    assert_eq!(sh(&docker, &["-v", "data:/data"], "cat /data/mine"), "mine");
    docker.args(["cp", "box:/data/other", &folder.path().join("out").display().to_string()]).ok();
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "other\n");
    docker.run("rm -f box").ok();
}

#[test]
fn nothing_is_lost_when_the_container_is_stopped_killed_or_removed_by_force() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "data");
    let script = "echo $0 > /data/$0; echo ready; while :; do sleep 0.1; done";
    for (name, end) in
        [("stopped", "stop -t 1 stopped"), ("killed", "kill killed"), ("removed", "rm -f removed")]
    {
        docker
            .args(["run", "-d", "--name", name, "-v", "data:/data", "busybox", "sh", "-c", script, name])
            .ok();
        while docker.run(&format!("logs {name}")).ok() != "ready" {}
        docker.run(end).ok();
    }
    docker.run("wait killed").ok();
    assert_eq!(sh(&docker, &["-v", "data:/data"], "ls /data"), "killed\nremoved\nstopped");
}

#[test]
fn a_daemon_that_is_killed_on_the_way_back_finds_it_again() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "data");
    // Enough that it takes a while.
    let script = "cd /data; for i in $(seq 1 2000); do echo $i > $i; done; head -c 50000000 /dev/urandom > large; md5sum large > sum; echo written";
    for round in 0..3_u64 {
        docker.args(["run", "-d", "--name", "box", "-v", "data:/data", "busybox", "sh", "-ec", script]).ok();
        docker.until_says("box", "written");
        // At different points of the way; whichever that is, nothing is lost.
        std::thread::sleep(std::time::Duration::from_millis(round * 200));
        daemon.kill();
        daemon.launch();
        assert_eq!(docker.run("wait box").ok(), "0");
        docker.run("rm box").ok();
        let check = "cd /data; md5sum -c sum; ls | wc -l";
        assert_eq!(sh(&docker, &["-v", "data:/data"], check), "large: OK\n2002");
    }
}

/// Rows in fixed pages, changed in place, behind a log that is synced: as a database writes.
const DATABASE: &str =
    "cd /var/lib/db; test -e pages || dd if=/dev/zero of=pages bs=8192 count=2048 2>/dev/null
    n=$(cat committed 2>/dev/null || echo 0); end=$((n + 50))
    while [ $n -lt $end ]; do n=$((n + 1)); echo \"row $n\" >> wal; sync
        printf '%-16s' \"row $n\" | dd of=pages bs=8192 seek=$((n * 7 % 2048)) conv=notrunc 2>/dev/null
        echo $n > committed.new; mv committed.new committed; done";

#[test]
fn a_database_on_a_fresh_volume_has_its_rows_after_a_stop_and_a_start() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    volume(&docker, "db");
    docker.args(["run", "--name", "db", "-v", "db:/var/lib/db", "busybox", "sh", "-ec", DATABASE]).ok();
    docker.run("start -a db").ok();
    let rows = "cd /var/lib/db; cat committed; tail -n 1 wal; for n in 1 50 100; do dd if=pages bs=8192 skip=$((n * 7 % 2048)) count=1 2>/dev/null | head -c 16; echo; done";
    let expected = "100\nrow 100\nrow 1           \nrow 50          \nrow 100         ";
    assert_eq!(sh(&docker, &["-v", "db:/var/lib/db"], rows).trim_end(), expected.trim_end());
    // Sixteen megabytes, of which little was changed: little is written.
    docker.run("rm db").ok();
    assert_eq!(docker.run("volume rm db").ok(), "db");
}

#[test]
fn the_container_of_an_ordinary_user_has_it_too() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    daemon.load_with(
        &ImageSpec::new("ordinary:latest").with("User", serde_json::json!("1000:1000")),
        busybox_layer().unwrap(),
    );
    volume(&docker, "data");
    sh(&docker, &["-v", "data:/data"], "echo of-root > /data/root; chown 7 /data/root; chmod 777 /data");
    let write = "cat /data/root; echo mine > /data/mine; id -u";
    assert_eq!(
        docker.args(["run", "--rm", "-v", "data:/data", "ordinary", "sh", "-ec", write]).ok(),
        "of-root\n1000"
    );
    // Whose files they are is not lost on the way.
    assert_eq!(
        sh(&docker, &["-v", "data:/data"], "stat -c '%u %n' /data/*"),
        "1000 /data/mine\n7 /data/root"
    );
}

#[test]
fn anonymous_volumes_are_no_part_of_what_diff_export_and_commit_show() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let script = "echo own > /own/file; echo here > /here";
    docker.args(["run", "--name", "box", "-v", "/own", "busybox", "sh", "-c", script]).ok();
    let exported = || {
        let output = docker.command(["export", "box"]).output().unwrap();
        assert!(output.status.success());
        let mut archive = tar::Archive::new(output.stdout.as_slice());
        let names =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        names
            .filter(|name| name.starts_with("own") || name == "here" || name.contains("sockerless"))
            .collect::<Vec<_>>()
    };
    assert_eq!(docker.run("diff box").ok(), "A /here\nA /own", "the mount point alone, as with dockerd");
    assert_eq!(exported(), ["here", "own/"]);
    docker.run("commit box committed").ok();
    assert_eq!(docker.args(["run", "--rm", "committed", "sh", "-c", "cat /here; ls /own"]).ok(), "here");
    // It is kept with the container all the same.
    assert_eq!(docker.args(["start", "-a", "box"]).code, 0);
    docker.args(["cp", "box:/own/file", "-"]).ok();
}
