//! Log drivers, their options, and rotation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, io::Read};

use sockerless_tests::Daemon;

/// Lines with their numbers, from the first to the last.
fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_log_gets_no_larger_than_its_options_say_and_keeps_what_is_newest() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let options = ["--log-opt", "max-size=20k", "--log-opt", "max-file=2"];
    let command = ["--name", "rotated", "busybox", "seq", "1", "100000"];
    // Who is attached gets everything.
    let output = docker.args([&["run"], &options[..], &command[..]].concat()).ok();
    assert_eq!(numbers(&output), (1..=100_000).collect::<Vec<_>>());
    let kept = numbers(&docker.run("logs rotated").ok());
    assert!(kept.len() < 20_000 && kept.last() == Some(&100_000), "{} lines", kept.len());
    assert!(kept.windows(2).skip(1).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(docker.run("logs --tail 2 rotated").ok(), "99999\n100000");
    let path = docker.run("inspect --format {{.LogPath}} rotated").ok();
    let folder = std::path::Path::new(&path).parent().unwrap();
    assert!(std::path::Path::new(&path).exists(), "{path}");
    let size: u64 = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    // Two files, one of which may hold a single large write, and the index.
    assert!(size < 1_000_000, "{size} bytes");
}

#[test]
fn followers_and_a_new_daemon_go_on_in_a_rotated_log() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 300)) -ne 0 ] || sleep 0.2; done; exit 4";
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=3"];
    docker
        .args([&["run", "-d", "--name", "busy"], &options[..], &["busybox", "sh", "-c", script]].concat())
        .ok();
    let mut follower = docker.spawn(["logs", "--follow", "busy"]);
    let mut first = [0; 2];
    follower.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"1\n");
    daemon.kill();
    follower.wait().unwrap();
    daemon.launch();
    let followed = docker.run("logs --follow busy").ok();
    assert_eq!(docker.run("wait busy").ok(), "4");
    let (followed, kept) = (numbers(&followed), numbers(&docker.run("logs busy").ok()));
    assert_eq!((followed.last(), kept.last()), (Some(&3000), Some(&3000)));
    // Nothing is missing, nothing is doubled; the first line that is left may have lost its beginning.
    assert!(kept.windows(2).skip(1).all(|pair| pair[0] + 1 == pair[1]), "{kept:?}");
    assert!(kept.len() < 3000);
}

#[test]
fn the_driver_none_keeps_nothing_to_read_and_shows_everything_to_who_is_attached() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let output = docker.run("run --name none --log-driver none busybox seq 1 200000").ok();
    assert_eq!(numbers(&output), (1..=200_000).collect::<Vec<_>>());
    let words = docker.run("logs none").fails(1);
    assert!(words.contains("configured logging driver does not support reading"), "{words}");
    assert_eq!(docker.run("inspect --format {{.HostConfig.LogConfig.Type}}/{{.LogPath}} none").ok(), "none/");
    assert_eq!(docker.run("run --rm --log-driver local busybox echo local").ok(), "local");
}

#[test]
fn drivers_and_options_that_are_none_are_refused_as_dockerd_refuses_them() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    for (options, expected) in [
        ("--log-driver syslog", "logger: no log driver named 'syslog' is registered"),
        ("--log-opt bogus=1", "unknown log opt 'bogus' for json-file log driver"),
        ("--log-driver local --log-opt labels=a", "unknown log opt 'labels' for log driver local"),
        ("--log-opt mode=foo", "logger: logging mode not supported: foo"),
    ] {
        let words = docker.run(&format!("run --name refused {options} busybox true")).fails(125);
        assert!(words.contains(expected), "{options}: {words}");
        docker.run("inspect refused").fails(1);
    }
    for (options, expected) in [
        ("max-size=x", "failed to initialize logging driver: invalid size: 'x'"),
        ("max-size=0", "failed to initialize logging driver: max-size must be a positive number"),
        ("max-file=0", "failed to initialize logging driver: max-file cannot be less than 1"),
    ] {
        let words = docker.run(&format!("run --name wrong --log-opt {options} busybox true")).fails(125);
        assert!(words.contains(expected), "{options}: {words}");
        assert_eq!(
            docker.run("inspect --format {{.State.Status}}/{{.State.ExitCode}} wrong").ok(),
            "created/128"
        );
        docker.run("rm wrong").ok();
    }
}
