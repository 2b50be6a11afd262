//! `docker pause` and `unpause`, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};

use sockerless_tests::{Daemon, Docker, until};

/// Writes a line again and again; ends with 4 when it is stopped.
const CLOCK: &str = "trap 'exit 4' TERM; while :; do echo tick; sleep 0.02; done";

const STATE: &str = "{{.State.Status}} {{.State.Paused}} {{.State.Running}} {{.State.ExitCode}}";

/// A daemon with a container named `clock` that has begun to tick.
fn ticking() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.args(["run", "-d", "--name", "clock", "busybox", "sh", "-c", CLOCK]).ok();
    docker.until_says("clock", "tick");
    (daemon, docker)
}

fn ticks(docker: &Docker) -> usize {
    docker.run("logs clock").ok().lines().count()
}

/// Waits until it has written more than it had.
#[track_caller]
fn goes_on(docker: &Docker, before: usize) {
    until("another tick", || (ticks(docker) > before).then_some(()));
}

/// The kernel's word on what is frozen: each process of the container is stopped or sits in the freezer, so that what it
/// has written by now is all.
#[track_caller]
fn stands_still(docker: &Docker) -> usize {
    // What was written before it froze may be on its way; after that nothing comes.
    let mut last = ticks(docker);
    until("silence", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = ticks(docker);
        (std::mem::replace(&mut last, now) == now).then_some(now)
    })
}

#[test]
fn a_paused_container_does_nothing_until_it_is_unpaused() {
    let (daemon, docker) = ticking();
    assert_eq!(docker.run("pause clock").ok(), "clock");
    assert_eq!(docker.shows("clock", STATE), "paused true true 0");
    let json = [("Content-Type", "application/json")];
    let (status, answer) =
        daemon.request("POST", "/v1.43/containers/clock/exec", &json, br#"{"Cmd":["true"]}"#);
    assert_eq!(status, 409, "{answer}");
    let line = docker.run("ps --filter status=paused --format {{.Names}}:{{.State}}:{{.Status}}").ok();
    assert!(line.starts_with("clock:paused:Up ") && line.ends_with(" (Paused)"), "{line}");
    assert_eq!(docker.run("ps --quiet --filter status=running").ok(), "");
    let before = stands_still(&docker);

    let id = docker.shows("clock", "{{.Id}}");
    for (args, words) in [
        ("exec clock true", "Container clock is paused, unpause the container before exec".to_owned()),
        ("pause clock", format!("Container {id} is already paused")),
        ("start clock", "cannot start a paused container, try unpause instead".to_owned()),
        ("rm clock", "container is paused and must be unpaused first".to_owned()),
    ] {
        let told = docker.run(args);
        assert!(told.code != 0 && told.stderr.contains(&words), "{args}: {told:?} / {words}");
    }
    // As in dockerd, who looks disturbs nobody.
    assert!(docker.run("top clock").ok().contains("echo tick"));
    assert_eq!(ticks(&docker), before);
    assert_eq!(docker.run("unpause clock").ok(), "clock");
    assert_eq!(docker.shows("clock", STATE), "running false true 0");
    goes_on(&docker, before);
    docker.run("exec clock true").ok();
    let told = docker.run("unpause clock").fails(1);
    assert!(told.contains(&format!("Container {id} is not paused")), "{told}");
    let told: Vec<_> =
        docker.events("clock", "{{.Action}}").into_iter().filter(|line| line.ends_with("pause")).collect();
    assert_eq!(told, ["pause", "unpause"]);
}

#[test]
fn what_does_not_run_cannot_be_paused() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("create --name fresh busybox true").ok();
    docker.run("run --name over busybox true").ok();
    for name in ["fresh", "over"] {
        let id = docker.shows(name, "{{.Id}}");
        for (verb, words) in [("pause", "is not running"), ("unpause", "is not paused")] {
            let told = docker.run(&format!("{verb} {name}")).fails(1);
            assert!(told.contains(&format!("Container {id} {words}")), "{told}");
        }
    }
    assert!(docker.run("pause nobody").fails(1).contains("No such container: nobody"));
    for (path, status) in
        [("fresh/pause", 409), ("fresh/unpause", 409), ("nobody/pause", 404), ("nobody/unpause", 404)]
    {
        let (got, answer) = daemon.request("POST", &format!("/v1.43/containers/{path}"), &[], b"");
        assert_eq!(got, status, "{path}: {answer}");
    }
}

#[test]
fn a_paused_container_can_be_stopped_killed_and_removed() {
    let (_daemon, docker) = ticking();
    docker.run("pause clock").ok();
    docker.run("stop clock").ok();
    assert_eq!(docker.shows("clock", STATE), "exited false false 4");

    docker.run("start clock").ok();
    docker.run("pause clock").ok();
    docker.run("kill clock").ok();
    assert_eq!(docker.run("wait clock").ok(), "137");
    assert_eq!(docker.shows("clock", STATE), "exited false false 137");

    docker.run("start clock").ok();
    docker.run("pause clock").ok();
    docker.run("restart -t 0 clock").ok();
    assert_eq!(docker.shows("clock", STATE), "running false true 0");

    docker.run("pause clock").ok();
    docker.run("rm -f clock").ok();
    assert_eq!(docker.run("ps --all --quiet").ok(), "");
}

#[test]
fn execs_are_frozen_with_the_container_and_go_on_with_it() {
    let (_daemon, docker) = ticking();
    let script = "echo up; while [ ! -e /go ]; do sleep 0.02; done; echo went";
    docker.args(["exec", "-d", "clock", "sh", "-c", &format!("({script}) > /out")]).ok();
    until("the exec", || (docker.run("exec clock cat /out").stdout == "up\n").then_some(()));
    let mut waits = docker.spawn(["exec", "clock", "sh", "-c", script]);
    let mut said = BufReader::new(waits.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "up");
    docker.run("pause clock").ok();
    docker.run("unpause clock").ok();
    docker.run("exec clock touch /go").ok();
    assert_eq!(said.next().unwrap().unwrap(), "went");
    assert!(said.next().is_none() && waits.wait().unwrap().success());
    until("its end", || (docker.run("exec clock cat /out").stdout == "up\nwent\n").then_some(()));
}

#[test]
fn a_pause_outlives_the_daemon() {
    let (mut daemon, docker) = ticking();
    docker.run("pause clock").ok();
    let before = stands_still(&docker);
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.shows("clock", STATE), "paused true true 0");
    let told = docker.run("exec clock true").fails(1);
    assert!(told.contains("is paused, unpause the container before exec"), "{told}");
    assert_eq!(stands_still(&docker), before);
    docker.run("unpause clock").ok();
    assert_eq!(docker.shows("clock", STATE), "running false true 0");
    goes_on(&docker, before);
    docker.run("stop clock").ok();
    assert_eq!(docker.shows("clock", STATE), "exited false false 4");
}
