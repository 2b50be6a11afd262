//! Restart policies and `docker update`, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};

use sockerless_tests::{Daemon, Docker, Gate, until};

/// Ends with 0 each time it is told to by a file, which is gone by then; with 4 when it is stopped.
const TOLD: &str = "trap 'exit 4' TERM; echo up; while [ ! -e /end ]; do sleep 0.05; done; rm /end; exit 0";

/// What a policy has come to.
const OUTCOME: &str = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";

fn daemon() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    (daemon, docker)
}

/// Starts a container with a policy.
#[track_caller]
fn run(docker: &Docker, name: &str, policy: &str, script: &str) {
    docker.args(["run", "-d", "--name", name, "--restart", policy, "busybox", "sh", "-c", script]).ok();
}

/// Repeats a command until it has failed with these words.
#[track_caller]
fn until_refused(docker: &Docker, args: &str, words: &str) {
    until(&format!("{args}: {words}"), || {
        let output = docker.run(args);
        (output.code != 0 && output.stderr.contains(words)).then_some(())
    });
}

#[test]
fn without_a_policy_what_has_ended_stays_ended() {
    let (_daemon, docker) = daemon();
    docker.args(["run", "--name", "plain", "busybox", "sh", "-c", "exit 7"]).fails(7);
    docker.args(["run", "--name", "no", "--restart", "no", "busybox", "sh", "-c", "exit 7"]).fails(7);
    for name in ["plain", "no"] {
        assert_eq!(docker.shows(name, OUTCOME), "exited 7 0");
    }
    assert_eq!(docker.shows("no", "{{.HostConfig.RestartPolicy.Name}}"), "no");
}

#[test]
fn on_failure_tries_as_often_as_it_is_told() {
    let (_daemon, docker) = daemon();
    run(&docker, "fails", "on-failure:2", "echo try; exit 7");
    docker.until_shows("fails", OUTCOME, "exited 7 2");
    assert_eq!(docker.run("logs fails").ok(), "try\ntry\ntry");
    let told = docker.events("fails", "{{.Action}} {{index .Actor.Attributes \"exitCode\"}}");
    assert_eq!(told, ["create", "start", "die 7", "start", "die 7", "start", "die 7"]);
    assert_eq!(docker.run("wait fails").ok(), "7");
    // A user's start begins the count anew.
    docker.run("start fails").ok();
    until("the end of the second round", || {
        (docker.run("logs fails").ok().lines().count() == 6).then_some(())
    });
    docker.until_shows("fails", OUTCOME, "exited 7 2");

    run(&docker, "well", "on-failure:2", "exit 0");
    docker.until_shows("well", OUTCOME, "exited 0 0");
    // The file system is the same for every try, as in dockerd.
    run(
        &docker,
        "second",
        "on-failure",
        "if [ -e /tried ]; then echo again; exit 0; fi; touch /tried; exit 1",
    );
    docker.until_shows("second", OUTCOME, "exited 0 1");
    assert_eq!(docker.run("logs second").ok(), "again");
}

#[test]
fn always_starts_again_after_every_end_until_it_is_stopped() {
    let (mut daemon, docker) = daemon();
    run(&docker, "ever", "always", TOLD);
    docker.run("exec ever touch /end").ok();
    docker.until_shows("ever", OUTCOME, "running 0 1");
    assert_eq!(daemon.jobs().len(), 1, "the second try is in another job");
    // Not by a user's wish: somebody inside ends it.
    let pid = docker.shows("ever", "{{.State.Pid}}");
    // The exec may be torn down with what it ends.
    let _ = docker.args(["exec", "ever", "kill", "-9", &pid]);
    docker.until_shows("ever", OUTCOME, "running 0 2");

    // The trap is set once it has said that it is up.
    until("the third run", || (docker.run("logs ever").ok().lines().count() == 3).then_some(()));
    docker.run("stop ever").ok();
    assert_eq!(docker.shows("ever", OUTCOME), "exited 4 2");
    let told = docker.events("ever", "{{.Action}} {{index .Actor.Attributes \"exitCode\"}}");
    let told: Vec<_> = told.iter().filter(|line| !line.starts_with("exec")).collect();
    let expected = ["create", "start", "die 0", "start", "die 137", "start", "kill", "die 4", "stop"];
    assert_eq!(told, expected);
    // dockerd: of a container that is always to run, a new daemon thinks anew.
    daemon.kill();
    daemon.launch();
    docker.until_shows("ever", "{{.State.Status}}", "running");
    docker.run("kill ever").ok();
    assert_eq!(docker.shows("ever", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

#[test]
fn unless_stopped_heeds_a_stop_over_the_death_of_the_daemon() {
    let (mut daemon, docker) = daemon();
    let gate = Gate::of(&daemon);
    let once = format!("if [ -e /was ]; then exec sleep 100000; fi; touch /was; {}; exit 3", gate.command);
    run(&docker, "stopped", "unless-stopped", TOLD);
    run(&docker, "ends", "unless-stopped", TOLD);
    run(&docker, "orphan", "unless-stopped", &once);
    docker.until_says("stopped", "up");
    docker.run("stop stopped").ok();
    docker.run("exec ends touch /end").ok();
    docker.until_shows("ends", OUTCOME, "running 0 1");
    let guest = gate.guest();
    daemon.kill();
    drop(guest);
    daemon.launch();
    // The end that nobody saw is an end all the same.
    docker.until_shows("orphan", OUTCOME, "running 0 1");
    assert_eq!(docker.shows("ends", OUTCOME), "running 0 1");
    assert_eq!(docker.shows("stopped", OUTCOME), "exited 4 0");
    docker.run("exec ends touch /end").ok();
    docker.until_shows("ends", OUTCOME, "running 0 2");
}

#[test]
fn between_two_tries_it_is_restarting_and_can_be_removed_by_force() {
    let (_daemon, docker) = daemon();
    run(&docker, "loops", "always", "echo try; exit 5");
    until("the words of ps", || {
        let line =
            docker.run("ps --filter status=restarting --format {{.Names}}:{{.State}}:{{.Status}}").ok();
        line.starts_with("loops:restarting:Restarting (5) ").then_some(())
    });
    docker.until_shows(
        "loops",
        "{{.State.Status}} {{.State.Restarting}} {{.State.Running}}",
        "restarting true true",
    );
    let waits = "is restarting, wait until the container is running";
    until_refused(&docker, "exec loops true", waits);
    until_refused(&docker, "pause loops", waits);
    until_refused(&docker, "rm loops", "cannot remove container \"/loops\": container is restarting");
    docker.run("rm -f loops").ok();
    assert_eq!(docker.run("ps --all --quiet").ok(), "");

    run(&docker, "halts", "always", "exit 5");
    docker.until_shows("halts", "{{.State.Status}}", "restarting");
    docker.run("stop halts").ok();
    assert_eq!(docker.shows("halts", "{{.State.Status}} {{.State.ExitCode}}"), "exited 5");
}

#[test]
fn the_death_of_the_daemon_between_two_tries_ends_no_policy() {
    let (mut daemon, docker) = daemon();
    run(&docker, "loops", "on-failure:6", "echo try; exit 5");
    until("a longer pause", || {
        let shown = docker.shows("loops", "{{.State.Status}} {{.RestartCount}}");
        (shown == "restarting 5").then_some(())
    });
    daemon.kill();
    daemon.launch();
    docker.until_shows("loops", OUTCOME, "exited 5 6");
    assert_eq!(docker.run("logs loops").ok().lines().count(), 7);
}

#[test]
fn a_client_that_is_attached_sees_one_try() {
    let (_daemon, docker) = daemon();
    let script = "echo try; exit 7";
    let output =
        docker.args(["run", "--name", "box", "--restart", "on-failure:2", "busybox", "sh", "-c", script]);
    assert_eq!((output.code, output.stdout.as_str()), (7, "try\n"));
    docker.until_shows("box", OUTCOME, "exited 7 2");
    let again = docker.run("start -a box");
    assert_eq!((again.code, again.stdout.as_str()), (7, "try\n"));
}

#[test]
fn a_command_that_cannot_be_executed_is_not_tried_again() {
    let (_daemon, docker) = daemon();
    docker.run("run -d --name box --restart always busybox no-such-command").fails(127);
    assert_eq!(docker.shows("box", OUTCOME), "created 127 0");
    let told = docker.run("restart box").fails(1);
    assert!(
        told.contains("Cannot restart container box: ") && told.contains("executable file not found"),
        "{told}"
    );
    assert_eq!(docker.shows("box", OUTCOME), "created 127 0");
}

#[test]
fn a_users_signal_that_means_the_end_ends_the_policy_too() {
    let (_daemon, docker) = daemon();
    let script = "trap 'exit 3' USR1; trap 'exit 4' USR2; echo up; while :; do sleep 0.05; done";
    let runs = |name: &str, times: usize| {
        until("another run", || {
            (docker.run(&format!("logs {name}")).ok().lines().count() == times).then_some(())
        });
    };
    // Without a stop signal of its own any signal of a user's means the end.
    for (name, signal, code) in [("killed", "KILL", 137), ("signalled", "USR1", 3)] {
        run(&docker, name, "always", script);
        runs(name, 1);
        docker.run(&format!("kill -s {signal} {name}")).ok();
        docker.run(&format!("wait {name}")).ok();
        assert_eq!(docker.shows(name, OUTCOME), format!("exited {code} 0"));
    }
    // With one, just that and SIGKILL.
    let own =
        ["run", "-d", "--name", "own", "--restart", "always", "--stop-signal", "USR2", "busybox", "sh", "-c"];
    docker.args(own.iter().chain([&script])).ok();
    runs("own", 1);
    docker.run("kill -s USR1 own").ok();
    runs("own", 2);
    docker.until_shows("own", OUTCOME, "running 0 1");
    docker.run("kill -s USR2 own").ok();
    docker.run("wait own").ok();
    assert_eq!(docker.shows("own", OUTCOME), "exited 4 1");

    // Between two tries there is nothing that could get it, and no event tells of it.
    run(&docker, "loops", "always", "exit 5");
    until("a longer pause", || {
        (docker.shows("loops", "{{.State.Status}} {{.RestartCount}}") == "restarting 5").then_some(())
    });
    docker.run("kill -s HUP loops").ok();
    assert_eq!(docker.shows("loops", OUTCOME), "exited 5 5");
    let told = docker.events("loops", "{{.Action}}");
    assert_eq!((told.len(), told.last().map(String::as_str)), (11, Some("die")), "{told:?}");
}

/// Ends with 143 by SIGTERM, and by nothing else.
const WAITS: &str = "echo x >> /runs; exec sleep 100000";

#[test]
fn a_job_that_the_cloud_ends_is_followed_by_another_one_with_its_files() {
    let (daemon, docker) = daemon();
    run(&docker, "again", "always", WAITS);
    run(&docker, "no", "no", WAITS);
    until("both", || (docker.run("exec again cat /runs").stdout == "x\n").then_some(()));
    let jobs = daemon.jobs();
    // The cloud asks before it kills: there is time to save what has changed.
    daemon.cancel_jobs();
    docker.until_shows("again", OUTCOME, "running 0 1");
    docker.until_shows("no", OUTCOME, "exited 143 0");
    until("the second run", || (docker.run("exec again cat /runs").stdout == "x\nx\n").then_some(()));
    assert_eq!(docker.shows("again", "{{.State.Error}}"), "");
    until("the old jobs' end", || (!daemon.jobs().iter().any(|job| jobs.contains(job))).then_some(()));
    assert_eq!(daemon.jobs().len(), 1);
    docker.run("start no").ok();
    until("the second run", || (docker.run("exec no cat /runs").stdout == "x\nx\n").then_some(()));
}

#[test]
fn a_job_that_breaks_down_is_followed_by_another_one_and_what_is_lost_is_said() {
    let (daemon, docker) = daemon();
    run(&docker, "again", "on-failure", WAITS);
    run(&docker, "no", "no", WAITS);
    until("both", || (docker.run("exec no cat /runs").stdout == "x\n").then_some(()));
    docker.run("exec again true").ok();
    for name in ["again", "no"] {
        daemon.kill_agent(name);
    }
    docker.until_shows("again", OUTCOME, "running 0 1");
    until("the end", || (docker.shows("no", "{{.State.Status}}") == "exited").then_some(()));
    // An end that nobody saw is no success.
    assert_ne!(docker.shows("no", "{{.State.ExitCode}}"), "0");
    until("the new run", || (docker.run("exec again cat /runs").stdout == "x\n").then_some(()));
    let told = docker.shows("again", "{{.State.Error}}");
    assert!(told.contains("the next start begins without it"), "{told}");
    let told = docker.run("logs again");
    assert_eq!(told.code, 0);
}

#[test]
fn a_wish_that_comes_while_another_job_is_made_is_heeded() {
    let (mut daemon, docker) = daemon();
    for name in ["removed", "stopped", "killed"] {
        run(&docker, name, "unless-stopped", WAITS);
        docker.run(&format!("exec {name} true")).ok();
        daemon.kill_agent(name);
        until("the end", || (docker.shows(name, "{{.State.Status}}") == "restarting").then_some(()));
    }
    docker.run("rm -f removed").ok();
    docker.run("stop stopped").ok();
    docker.run("kill killed").ok();
    for name in ["stopped", "killed"] {
        until("rest", || (docker.shows(name, "{{.State.Status}}") == "exited").then_some(()));
    }
    daemon.kill();
    daemon.launch();
    let mut names: Vec<String> =
        docker.run("ps --all --format {{.Names}}:{{.State}}").ok().lines().map(str::to_owned).collect();
    names.sort_unstable();
    assert_eq!(names, ["killed:exited", "stopped:exited"]);
    docker.run("rm stopped killed").ok();
    until("the end of all jobs", || daemon.jobs().is_empty().then_some(()));
}

#[test]
fn a_published_port_leads_to_every_try() {
    let (daemon, docker) = daemon();
    let script = "echo x >> /runs; cp /runs /tmp/runs; exec httpd -f -p 8080 -h /tmp";
    let run =
        ["run", "-d", "--name", "web", "--restart", "always", "-p", "127.0.0.1::8080", "busybox", "sh", "-c"];
    docker.args(run.iter().chain([&script])).ok();
    let runs = |times: usize| {
        until(&format!("{times} runs by the port"), || {
            let port = docker.run("port web 8080").stdout.trim().rsplit(':').next()?.parse::<u16>().ok()?;
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(b"GET /runs HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            (answer.matches("x\n").count() == times).then_some(())
        });
    };
    runs(1);
    let pid = docker.shows("web", "{{.State.Pid}}");
    let _ = docker.args(["exec", "web", "kill", "-9", &pid]);
    runs(2);
    daemon.cancel_jobs();
    runs(3);
}

#[test]
fn policies_that_cannot_be_are_refused_in_dockerds_words() {
    let (daemon, docker) = daemon();
    for (policy, words) in [
        (
            "nonsense",
            "invalid restart policy: unknown policy 'nonsense'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        ("always:3", "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        ("no:3", "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        ("on-failure:-1", "invalid restart policy: maximum retry count cannot be negative"),
    ] {
        let told = docker.args(["create", "--restart", policy, "busybox"]).fails(1);
        assert!(told.contains(words), "{policy}: {told}");
    }
    let body = br#"{"Image":"busybox","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}"#;
    let json = [("Content-Type", "application/json")];
    let (status, answer) = daemon.request("POST", "/v1.43/containers/create", &json, body);
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("can't create 'AutoRemove' container with restart policy"), "{answer}");
}

#[test]
fn an_updated_policy_holds_at_once() {
    let (_daemon, docker) = daemon();
    docker.args(["run", "-d", "--name", "box", "busybox", "sh", "-c", TOLD]).ok();
    assert_eq!(docker.run("update --restart always box").ok(), "box");
    assert_eq!(docker.shows("box", "{{.HostConfig.RestartPolicy.Name}}"), "always");
    docker.run("exec box touch /end").ok();
    docker.until_shows("box", OUTCOME, "running 0 1");
    docker.run("update --restart no box").ok();
    docker.run("exec box touch /end").ok();
    docker.until_shows("box", OUTCOME, "exited 0 1");
    assert!(docker.events("box", "{{.Action}}").contains(&"update".to_owned()));

    assert!(docker.run("update --restart always nobody").fails(1).contains("No such container: nobody"));
    let told = docker.run("update --restart nonsense box").fails(1);
    assert!(told.contains("invalid restart policy"), "{told}");
    docker.run("run -d --rm --name rm busybox sleep 100000").ok();
    let told = docker.run("update --restart always rm").fails(1);
    assert!(
        told.contains("Restart policy cannot be updated because AutoRemove is enabled for the container"),
        "{told}"
    );
}

#[test]
fn updated_resources_are_those_of_the_next_start_and_the_answer_says_so() {
    let (daemon, docker) = daemon();
    docker.args(["run", "-d", "--name", "box", "--memory", "600m", "busybox", "sh", "-c", TOLD]).ok();
    docker.run("exec box touch /kept").ok();
    let job = daemon.jobs();
    let output = docker.run("update --memory 700m --memory-swap 1400m box");
    assert!(
        output.stderr.contains("hold from the next start on")
            || output.stdout.contains("hold from the next start on"),
        "{output:?}"
    );
    output.ok();
    assert_eq!(docker.shows("box", "{{.HostConfig.Memory}}"), (700_u64 << 20).to_string());
    assert_eq!(daemon.jobs(), job, "a running one is left alone");
    docker.run("restart -t 0 box").ok();
    assert_ne!(daemon.jobs(), job, "the size of a job cannot change");
    docker.run("exec box test -e /kept").ok();
    let told = docker.run("update --memory 2k box").fails(1);
    assert!(told.contains("Minimum memory limit allowed is 6MB"), "{told}");
    // The files of one that has ended go with it into the other job.
    docker.run("stop box").ok();
    let job = daemon.jobs();
    docker.run("update --memory 800m --memory-swap 1600m box").ok();
    docker.run("start box").ok();
    assert_ne!(daemon.jobs(), job);
    docker.run("exec box test -e /kept").ok();
    // Of one that does not run there is nothing to be said.
    docker.run("create --name fresh busybox true").ok();
    let output = docker.run("update --memory 700m --memory-swap 1400m fresh");
    // A cloud with fixed sizes tells what it rounds, and that is all.
    assert!(output.stdout.starts_with("fresh\n") && output.stderr.is_empty(), "{output:?}");
    assert!(!output.stdout.contains("next start"), "{output:?}");
}
