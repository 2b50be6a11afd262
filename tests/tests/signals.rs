//! Signals by name and number, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{Daemon, until};

/// Tells of every signal that it gets.
const TELLS: &str = "for s in HUP INT USR1 USR2 TERM WINCH ALRM; do trap \"echo $s\" $s; done; echo up; \
                     while :; do sleep 0.02; done";

#[test]
fn signals_are_known_by_every_name_that_docker_takes() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.args(["run", "-d", "--name", "box", "busybox", "sh", "-c", TELLS]).ok();
    docker.until_says("box", "up");
    let mut told = vec!["up"];
    for (signal, name) in [
        ("15", "TERM"),
        ("SIGTERM", "TERM"),
        ("TERM", "TERM"),
        ("term", "TERM"),
        ("sigusr1", "USR1"),
        ("12", "USR2"),
        ("HUP", "HUP"),
        ("2", "INT"),
        ("SIGWINCH", "WINCH"),
        ("ALRM", "ALRM"),
    ] {
        docker.run(&format!("kill -s {signal} box")).ok();
        told.push(name);
        // One after the other: the kernel merges equal signals that are pending.
        until(signal, || (docker.run("logs box").ok().lines().collect::<Vec<_>>() == told).then_some(()));
    }
    for bad in ["NOPE", "SIGNOPE", "0", "65", "-1", "1.5"] {
        let told = docker.args(["kill", "--signal", bad, "box"]).fails(1);
        assert!(told.contains(&format!("invalid signal: {bad}")), "{bad}: {told}");
        let (status, _) =
            daemon.request("POST", &format!("/v1.43/containers/box/kill?signal={bad}"), &[], b"");
        assert_eq!(status, 400, "{bad}");
    }
    assert_eq!(docker.shows("box", "{{.State.Status}}"), "running");
    let told = docker.events("box", "{{.Action}} {{index .Actor.Attributes \"signal\"}}");
    let numbers: Vec<_> = told.iter().filter_map(|line| line.strip_prefix("kill ")).collect();
    assert_eq!(numbers, ["15", "15", "15", "15", "10", "12", "1", "2", "28", "14"]);
    docker.run("kill -s 9 box").ok();
    assert_eq!(docker.run("wait box").ok(), "137");
    let told = docker.run("kill -s TERM box").fails(1);
    assert!(told.contains("is not running"), "{told}");
    assert!(docker.run("kill -s TERM nobody").fails(1).contains("No such container: nobody"));
}

#[test]
fn a_stop_signal_is_that_of_the_option_of_the_container_or_of_the_image() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let script =
        "trap 'exit 5' USR1; trap 'exit 6' 12; trap 'exit 7' HUP; echo up; while :; do sleep 0.02; done";
    let spec = sockerless_tests::images::ImageSpec::new("signalled:latest");
    daemon.load(&spec.with("StopSignal", "SIGUSR1".into()));
    for (name, create, stop, code) in [
        ("image", "", "", 5),
        ("container", "--stop-signal 12", "", 6),
        ("option", "--stop-signal 12", "--signal SIGHUP", 7),
    ] {
        let run = format!("run -d --name {name} {create} signalled sh -c");
        docker.args(run.split_whitespace().chain([script])).ok();
        docker.until_says(name, "up");
        docker.run(&format!("stop {stop} {name}")).ok();
        assert_eq!(docker.shows(name, "{{.State.ExitCode}}"), code.to_string(), "{name}");
    }
    let told = docker.run("create --stop-signal NOPE busybox").fails(1);
    assert!(told.contains("invalid signal: NOPE"), "{told}");
    let told = docker.run("stop --signal NOPE image").fails(1);
    assert!(told.contains("invalid signal: NOPE"), "{told}");
}
