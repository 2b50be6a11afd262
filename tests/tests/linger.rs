//! What is left of a container after its end: in place while its agent lingers, in a new job after that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Child,
};

use sockerless_tests::{Daemon, Docker, Gate, until};

/// Tells how often it has run in this file system, and which process it is.
const COUNTS: &str = "echo x >> /runs; wc -l < /runs";

fn daemon() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    (daemon, docker)
}

/// A daemon whose agents stay so long after the end of their process. The folder has its configuration.
fn brief(linger: &str) -> (tempfile::TempDir, Daemon, Docker) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, format!("linger = '{linger}'\n")).unwrap();
    let daemon = Daemon::with(&["--config", file.to_str().unwrap()], &[]);
    daemon.load_busybox();
    let docker = daemon.docker();
    (folder, daemon, docker)
}

/// Waits until the agent is gone, and with it the job.
#[track_caller]
fn gone(daemon: &Daemon) {
    until("the end of all jobs", || daemon.jobs().is_empty().then_some(()));
}

/// A file of a container.
#[track_caller]
fn copied(daemon: &Daemon, docker: &Docker, from: &str) -> String {
    let to = daemon.folder().join("copied");
    docker.args(["cp", "-q", from, to.to_str().unwrap()]).ok();
    fs::read_to_string(to).unwrap()
}

/// The members of `docker export`.
fn exported(docker: &Docker, name: &str) -> Vec<String> {
    let output = docker.command(["export", name]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn an_ended_container_is_started_in_place_as_long_as_its_agent_lingers() {
    let (daemon, docker) = daemon();
    docker.args(["run", "--name", "box", "busybox", "sh", "-c", COUNTS]).ok();
    let jobs = daemon.jobs();
    for round in 2..=5 {
        assert_eq!(docker.run("start -a box").ok(), round.to_string());
    }
    assert_eq!(docker.run("logs box").ok(), "1\n2\n3\n4\n5");
    assert_eq!(daemon.jobs(), jobs, "no start needed a new job");
    assert_eq!(jobs.len(), 1);
    assert_eq!(docker.shows("box", "{{.RestartCount}} {{.State.Error}}"), "0 ");
    docker.run("rm box").ok();
    gone(&daemon);
}

#[test]
fn a_restart_keeps_the_files_and_begins_another_process() {
    let (daemon, docker) = daemon();
    let script =
        format!("trap 'exit 4' TERM; {COUNTS}; echo $$ > /pid; echo up; while :; do sleep 0.05; done");
    docker.args(["run", "-d", "--name", "box", "busybox", "sh", "-c", &script]).ok();
    docker.until_says("box", "1");
    let up = |times: usize| {
        until("up", || {
            (docker.run("logs box").ok().lines().filter(|line| *line == "up").count() == times).then_some(())
        });
        docker.run("exec box cat /pid").ok()
    };
    let (jobs, first) = (daemon.jobs(), up(1));
    assert_eq!(docker.shows("box", "{{.State.Pid}}"), first);
    docker.run("restart box").ok();
    let second = up(2);
    assert_ne!(first, second);
    docker.run("kill box").ok();
    docker.run("wait box").ok();
    docker.run("start box").ok();
    assert_ne!(second, up(3));
    assert_eq!(docker.run("logs box").ok(), "1\nup\n2\nup\n3\nup");
    assert_eq!(daemon.jobs(), jobs);
    let told = docker.events("box", "{{.Action}}");
    let told: Vec<_> = told.iter().filter(|line| !line.starts_with("exec")).collect();
    assert_eq!(told, ["create", "start", "kill", "die", "stop", "start", "restart", "kill", "die", "start"]);
}

#[test]
fn nothing_of_a_run_lives_on_in_the_next_one() {
    let (daemon, docker) = daemon();
    let script = "sleep 11111 & (setsid sleep 22222 &); echo up; exec sleep 33333";
    docker.args(["run", "-d", "--name", "box", "busybox", "sh", "-c", script]).ok();
    docker.args(["exec", "-d", "box", "sleep", "44444"]).ok();
    let processes = |docker: &Docker| {
        let told = docker.args(["exec", "box", "ps", "-o", "args"]).ok();
        let mut sleeping: Vec<_> = told
            .lines()
            .filter_map(|line| line.strip_prefix("sleep "))
            .map(|seconds| seconds.trim().to_owned())
            .collect();
        sleeping.sort_unstable();
        sleeping
    };
    let all = ["11111", "22222", "33333", "44444"];
    until("all of them", || (processes(&docker) == all).then_some(()));
    let id = docker.shows("box", "{{index .ExecIDs 0}}");
    for verb in ["restart box", "kill box"] {
        docker.run(verb).ok();
        docker.run("start box").ok();
        until("those of the new run", || (processes(&docker) == all[..3]).then_some(()));
        let (_, body) = daemon.request("GET", &format!("/v1.43/exec/{id}/json"), &[], b"");
        assert!(body.is_empty() || !body.contains("\"Running\":true"), "{body}");
    }
    assert_eq!(daemon.jobs().len(), 1);
}

#[test]
fn after_the_linger_a_new_job_has_what_was_saved() {
    for (set, label) in [("0", "other=1h"), ("1h", "sockerless.linger=1s")] {
        let (_folder, mut daemon, docker) = brief(set);
        let script = format!("{COUNTS}; rm -f /etc/group; ln -sf runs /link");
        docker.args(["run", "--name", "box", "--label", label, "busybox", "sh", "-c", &script]).ok();
        gone(&daemon);
        assert_eq!(copied(&daemon, &docker, "box:/runs"), "x\n");
        let names = exported(&docker, "box");
        for (name, there) in [("runs", true), ("link", true), ("bin/busybox", true), ("etc/group", false)] {
            assert_eq!(names.iter().any(|known| known == name), there, "{name}: {names:?}");
        }
        assert_eq!(docker.run("start -a box").ok(), "2");
        gone(&daemon);
        daemon.kill();
        daemon.launch();
        assert_eq!(copied(&daemon, &docker, "box:/runs"), "x\nx\n");
        assert_eq!(docker.run("start -a box").ok(), "3");
        assert_eq!(docker.shows("box", "{{.State.Error}}"), "");
        docker.run("rm box").ok();
    }
}

#[test]
fn a_start_that_comes_at_once_waits_for_what_is_being_saved() {
    let (_daemon, docker) = daemon();
    docker
        .args(["run", "--name", "box", "--label", "sockerless.linger=0", "busybox", "sh", "-c", COUNTS])
        .ok();
    for round in 2..=5 {
        assert_eq!(docker.run("start -a box").ok(), round.to_string());
    }
    assert_eq!(docker.shows("box", "{{.State.Error}}"), "");
    docker.run("restart box").ok();
    docker.run("wait box").ok();
    assert_eq!(docker.run("logs box").ok(), "1\n2\n3\n4\n5\n6");
}

#[test]
fn a_job_that_the_cloud_ends_is_left_with_what_has_changed() {
    let (daemon, docker) = daemon();
    docker.args(["run", "--name", "box", "busybox", "sh", "-c", COUNTS]).ok();
    // The cloud asks before it kills: there is time to save what has changed.
    daemon.cancel_jobs();
    gone(&daemon);
    assert_eq!(docker.shows("box", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}"), "exited 0 ");
    assert_eq!(copied(&daemon, &docker, "box:/runs"), "x\n");
    assert_eq!(docker.run("start -a box").ok(), "2");
}

#[test]
fn what_is_lost_with_a_job_that_breaks_down_is_said() {
    let (daemon, docker) = daemon();
    docker.args(["run", "--name", "box", "busybox", "sh", "-c", COUNTS]).ok();
    daemon.kill_agent("box");
    until("the words of inspect", || {
        docker.shows("box", "{{.State.Error}}").contains("the next start begins without it").then_some(())
    });
    assert_eq!(docker.shows("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    // Nobody has had the file since.
    docker.args(["cp", "box:/runs", "-"]).fails(1);
    assert_eq!(docker.run("start -a box").ok(), "1");
    assert_eq!(docker.shows("box", "{{.State.Error}}"), "");

    // And one that is started before anybody knows.
    daemon.kill_agent("box");
    assert_eq!(docker.run("start -a box").ok(), "1");
}

#[test]
fn of_a_container_that_goes_with_its_end_no_agent_stays() {
    let (daemon, docker) = daemon();
    docker.args(["run", "--rm", "--name", "box", "busybox", "sh", "-c", COUNTS]).ok();
    gone(&daemon);
    docker.run("inspect box").fails(1);
}

/// `docker start -ai`, with its input open.
struct Stage {
    child: Child,
}

impl Stage {
    fn begin(docker: &Docker, name: &str) -> Self {
        Self { child: docker.spawn(["start", "-a", "-i", name]) }
    }

    /// Writes the script, closes the input, and gives what came and the exit code.
    fn end(mut self, script: &str) -> (String, i32) {
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        let output = self.child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    }
}

#[test]
fn a_runners_stages_are_attached_and_started_on_one_container_with_new_input() {
    let (daemon, docker) = daemon();
    docker.run("create --name helper -i busybox sh").ok();
    for round in 1..=4 {
        // Of one that has ended, or never ran, a stop is no news.
        let (status, _) = daemon.request("POST", "/v1.43/containers/helper/stop", &[], b"");
        assert_eq!(status, 304);
        let stage = Stage::begin(&docker, "helper");
        let (told, code) = stage.end(&format!("{COUNTS}; echo stage {round}; exit {round}\n"));
        assert_eq!((told, code), (format!("{round}\nstage {round}\n"), round));
        assert_eq!(docker.run("wait helper").ok(), round.to_string());
    }
    // One that was stopped while it waited for its input.
    let mut stage = Stage::begin(&docker, "helper");
    stage
        .child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done\n")
        .unwrap();
    let mut said = BufReader::new(stage.child.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    docker.run("stop helper").ok();
    assert_eq!(docker.shows("helper", "{{.State.ExitCode}}"), "9");
    assert!(said.next().is_none());
    drop(stage.child.stdin.take());
    assert_eq!(stage.child.wait().unwrap().code(), Some(9));
    assert_eq!(Stage::begin(&docker, "helper").end(COUNTS), ("5\n".to_owned(), 0));
    assert_eq!(daemon.jobs().len(), 1);
}

#[test]
fn the_death_of_the_daemon_takes_nothing_from_a_container_that_lingers() {
    let (mut daemon, docker) = daemon();
    docker.args(["run", "--name", "box", "busybox", "sh", "-c", COUNTS]).ok();
    let jobs = daemon.jobs();
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.shows("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    assert_eq!(copied(&daemon, &docker, "box:/runs"), "x\n");
    assert_eq!(docker.run("start -a box").ok(), "2");
    // Once more, with no time for the agent to come back before it is needed.
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.run("start -a box").ok(), "3");
    assert_eq!(daemon.jobs(), jobs);
    assert_eq!(docker.run("logs box").ok(), "1\n2\n3");
}

#[test]
fn a_linger_that_ends_while_the_daemon_is_dead_is_made_up_for() {
    let (mut daemon, docker) = daemon();
    let gate = Gate::of(&daemon);
    let script = format!("{COUNTS}; {}", gate.command);
    docker
        .args([
            "run",
            "-d",
            "--name",
            "box",
            "--label",
            "sockerless.linger=0",
            "busybox",
            "sh",
            "-c",
            &script,
        ])
        .ok();
    let guest = gate.guest();
    daemon.kill();
    drop(guest);
    daemon.launch();
    gone(&daemon);
    assert_eq!(docker.shows("box", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}"), "exited 0 ");
    assert_eq!(copied(&daemon, &docker, "box:/runs"), "x\n");
    docker.run("start box").ok();
    drop(gate.guest());
    docker.run("wait box").ok();
    assert_eq!(docker.run("logs box").ok(), "1\n2");
}

#[test]
fn an_exec_that_ends_while_the_daemon_is_dead_is_known_by_the_next_one() {
    let (mut daemon, docker) = daemon();
    let gate = Gate::of(&daemon);
    docker.run("run -d --name box busybox sleep 100000").ok();
    let script = format!("echo up; {}; echo over > /out; exit 7", gate.command);
    let mut exec = docker.spawn(["exec", "box", "sh", "-c", &script]);
    let guest = gate.guest();
    let id = docker.shows("box", "{{index .ExecIDs 0}}");
    let inspect = |daemon: &Daemon| -> serde_json::Value {
        let (status, body) = daemon.request("GET", &format!("/v1.43/exec/{id}/json"), &[], b"");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    daemon.kill();
    // The client's connection goes with the daemon.
    let mut rest = String::new();
    exec.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    exec.wait().unwrap();
    assert_eq!(rest, "up\n");
    daemon.launch();
    assert_eq!(inspect(&daemon)["Running"], true);
    daemon.kill();
    drop(guest);
    daemon.launch();
    until("its end", || (inspect(&daemon)["Running"] == false).then_some(()));
    assert_eq!(inspect(&daemon)["ExitCode"], 7);
    assert_eq!(docker.run("exec box cat /out").ok(), "over");
}
