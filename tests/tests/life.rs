//! The life of a container: started, watched, stopped, renamed, removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader},
    time::{SystemTime, UNIX_EPOCH},
};

use sockerless_tests::{Daemon, Docker};

/// Runs until it is told to end, by signals of which it tells.
const OBEDIENT: &str =
    "trap 'echo hup' HUP; trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.05; done";
/// Ignores SIGTERM.
const STUBBORN: &str = "trap '' TERM; echo up; while :; do sleep 0.05; done";

/// Starts a container and waits until it has said that it is up.
#[track_caller]
fn start(docker: &Docker, name: &str, script: &str, options: &[&str]) {
    let run: Vec<&str> = ["run", "-d", "--name", name]
        .into_iter()
        .chain(options.iter().copied())
        .chain(["busybox", "sh", "-c", script])
        .collect();
    docker.args(run).ok();
    wait_for(docker, name, "up");
}

/// Follows the log until the line is there.
#[track_caller]
fn wait_for(docker: &Docker, name: &str, line: &str) {
    let mut logs = docker.spawn(["logs", "--follow", name]);
    let lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|read| read == line);
    logs.kill().unwrap();
    logs.wait().unwrap();
    assert!(found, "the container ended without saying {line:?}");
}

fn state(docker: &Docker, name: &str) -> String {
    docker.args(["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name]).ok()
}

#[test]
fn stop_asks_first_and_kills_then() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "obedient", OBEDIENT, &[]);
    docker.run("stop obedient").ok();
    assert_eq!(state(&docker, "obedient"), "exited 3");
    assert_eq!(docker.run("logs obedient").ok(), "up\nterm");

    start(&docker, "stubborn", STUBBORN, &[]);
    docker.run("stop --time 1 stubborn").ok();
    assert_eq!(state(&docker, "stubborn"), "exited 137");

    start(
        &docker,
        "other-signal",
        "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done",
        &["--stop-signal", "USR1"],
    );
    docker.run("stop other-signal").ok();
    assert_eq!(state(&docker, "other-signal"), "exited 9");
}

#[test]
fn signals_are_delivered_and_kill_kills() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "one", OBEDIENT, &[]);
    docker.run("kill -s HUP one").ok();
    wait_for(&docker, "one", "hup");
    assert_eq!(state(&docker, "one"), "running 0");
    docker.run("kill one").ok();
    assert_eq!(docker.run("wait one").ok(), "137");
    let words = docker.run("kill one").fails(1);
    assert!(words.contains("is not running"), "{words}");
}

#[test]
fn wait_gives_the_code_of_a_container_that_runs_and_of_one_that_ended() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "one", OBEDIENT, &[]);
    let waiting = docker.spawn(["wait", "one"]);
    docker.run("stop one").ok();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n");
    assert_eq!(docker.run("wait one").ok(), "3");
}

#[test]
fn an_ended_container_starts_again_and_keeps_its_log() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    assert_eq!(docker.run("run --name again busybox echo once").ok(), "once");
    assert_eq!(docker.run("start --attach again").ok(), "once");
    assert_eq!(docker.run("logs again").ok(), "once\nonce");
    start(&docker, "restarted", OBEDIENT, &[]);
    docker.run("restart restarted").ok();
    assert_eq!(state(&docker, "restarted"), "running 0");
    docker.run("rm -f restarted").ok();
}

#[test]
fn lists_and_filters_show_what_they_should() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "runs", OBEDIENT, &["--label", "tier=web"]);
    docker.run("run --name ended --label tier=db busybox no-such-command").fails(127);
    docker.args(["run", "--name", "seven", "busybox", "sh", "-c", "exit 7"]).fails(7);
    docker.run("create --name fresh busybox true").ok();
    let names = |arguments: &str| {
        let text = docker.run(&format!("ps --format {{{{.Names}}}} {arguments}")).ok();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(""), ["runs"]);
    assert_eq!(names("--all"), ["ended", "fresh", "runs", "seven"]);
    assert_eq!(names("--all --filter label=tier"), ["ended", "runs"]);
    assert_eq!(names("--all --filter label=tier=web"), ["runs"]);
    assert_eq!(names("--all --filter exited=7"), ["seven"]);
    assert_eq!(names("--all --filter status=created"), ["ended", "fresh"]);
    assert_eq!(names("--all --filter name=^/se"), ["seven"]);
    assert_eq!(names("--all --filter ancestor=busybox --filter status=running"), ["runs"]);
    assert_eq!(names("--latest"), ["fresh"]);
    assert!(docker.run("ps --filter nonsense=1").fails(1).contains("invalid filter"));
    assert!(docker.run("ps --all --filter name=seven --format {{.Status}}").ok().starts_with("Exited (7)"));
}

#[test]
fn logs_take_all_their_options() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.args(["run", "--name", "log", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done"]).ok();
    assert_eq!(docker.run("logs --tail 2 log").ok(), "2\n3");
    let stamped = docker.run("logs --timestamps log").ok();
    let first = stamped.lines().next().unwrap();
    let (stamp, rest) = first.split_once(' ').unwrap();
    assert_eq!(rest, "1");
    assert_eq!(stamp.len(), "2026-01-01T00:00:00.000000000Z".len(), "{stamp}");
    assert_eq!(docker.run("logs --since 1h log").ok().lines().count(), 3);
    assert_eq!(docker.run("logs --until 1h log").ok(), "");
    assert_eq!(docker.run("logs --follow log").ok(), "1\n2\n3");
    docker.args(["run", "--name", "both", "busybox", "sh", "-c", "echo o; echo e >&2"]).ok();
    let output = docker.run("logs both");
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("o\n", "e\n"));
}

#[test]
fn following_a_log_ends_with_the_container() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "one", OBEDIENT, &[]);
    let follower = docker.spawn(["logs", "--follow", "one"]);
    docker.run("stop one").ok();
    let output = follower.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "up\nterm\n");
}

#[test]
fn rename_and_remove() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    start(&docker, "old", OBEDIENT, &[]);
    docker.run("create --name taken busybox").ok();
    assert!(docker.run("rename old taken").fails(1).contains("already in use"));
    docker.run("rename old new").ok();
    assert_eq!(state(&docker, "new"), "running 0");
    assert!(docker.run("inspect old").fails(1).to_lowercase().contains("no such"));
    assert!(docker.run("rm new").fails(1).contains("container is running"));
    docker.run("rm -f new").ok();
    docker.run("container prune --force").ok();
    assert_eq!(docker.run("ps --all --quiet").ok(), "");
}

#[test]
fn events_tell_the_life_in_order() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("run --name told --label a=b busybox true").ok();
    docker.run("rm told").ok();
    // The CLI cuts times to whole seconds: what happened in this one lies before the next.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let until = (now + 1).to_string();
    let filter = ["--filter", "type=container", "--format", "{{.Action}}"];
    let text = docker.args([&["events", "--since", "1h", "--until", &until], &filter[..]].concat()).ok();
    let told: Vec<&str> = text.lines().collect();
    assert_eq!(told, ["create", "attach", "start", "die", "destroy"]);
}

#[test]
fn inspect_shows_what_was_asked_for() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker
        .run("create --name shown --label a=b -e X=1 -w /tmp --memory 64m --hostname box busybox echo hello")
        .ok();
    let text = docker.run("inspect shown").ok();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let shown = &shown[0];
    assert_eq!(shown["Name"], "/shown");
    assert_eq!(shown["Path"], "echo");
    assert_eq!(shown["Args"], serde_json::json!(["hello"]));
    assert_eq!(shown["State"]["Status"], "created");
    assert_eq!(shown["Config"]["Labels"]["a"], "b");
    assert_eq!(shown["Config"]["WorkingDir"], "/tmp");
    assert_eq!(shown["HostConfig"]["Memory"], 64 * 1024 * 1024);
    assert_eq!(shown["Id"].as_str().unwrap().len(), 64);
}
