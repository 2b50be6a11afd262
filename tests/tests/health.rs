//! Health checks, as a user asks for them and sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use sockerless_tests::{Daemon, Docker, images::ImageSpec, until};

/// The state of health in a word.
const STATUS: &str = "{{.State.Health.Status}}";
/// Healthy once there is a file.
const CHECK: &str = "if [ -e /ready ]; then echo well; else echo ill; exit 1; fi";

fn daemon() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    (daemon, docker)
}

/// Starts a container that waits, with these options for its health.
#[track_caller]
fn run(docker: &Docker, name: &str, options: &[&str], image: &str) {
    docker.args([&["run", "-d", "--name", name], options, &[image, "sleep", "100000"]].concat()).ok();
}

fn health(docker: &Docker, name: &str) -> Value {
    serde_json::from_str(&docker.shows(name, "{{json .State.Health}}")).unwrap()
}

fn listed(docker: &Docker, filter: &str) -> Vec<String> {
    let text = docker.run(&format!("ps --all --filter health={filter} --format {{{{.Names}}}}")).ok();
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn status(docker: &Docker, name: &str) -> String {
    docker.run(&format!("ps --all --filter name=^/{name}$ --format {{{{.Status}}}}")).ok()
}

#[test]
fn an_images_check_is_run_and_its_outcome_shown_everywhere() {
    let (daemon, docker) = daemon();
    let check = json!({"Test": ["CMD-SHELL", CHECK], "Interval": 200_000_000, "Timeout": 30_000_000_000_u64,
        "StartPeriod": 3_600_000_000_000_u64, "StartInterval": 200_000_000, "Retries": 2});
    daemon.load(&ImageSpec::new("checked:latest").with("Healthcheck", check.clone()));
    run(&docker, "box", &[], "checked");
    run(&docker, "plain", &[], "busybox");
    // In the start period no failure counts.
    until("two failures", || (health(&docker, "box")["Log"].as_array().unwrap().len() >= 2).then_some(()));
    let now = health(&docker, "box");
    assert_eq!((&now["Status"], &now["FailingStreak"]), (&json!("starting"), &json!(0)), "{now}");
    assert!(status(&docker, "box").ends_with("(health: starting)"), "{}", status(&docker, "box"));
    assert_eq!(listed(&docker, "starting"), ["box"]);
    assert_eq!(listed(&docker, "none"), ["plain"]);
    let set: Value = serde_json::from_str(&docker.shows("box", "{{json .Config.Healthcheck}}")).unwrap();
    assert_eq!(set, check);
    assert_eq!(docker.shows("plain", "{{json .State.Health}}"), "null");

    docker.run("exec box touch /ready").ok();
    docker.until_shows("box", STATUS, "healthy");
    assert!(status(&docker, "box").ends_with(" (healthy)"));
    assert_eq!(listed(&docker, "healthy"), ["box"]);
    // What succeeded once has left its start period.
    docker.run("exec box rm /ready").ok();
    docker.until_shows("box", STATUS, "unhealthy");
    assert!(status(&docker, "box").ends_with(" (unhealthy)"));
    assert_eq!(listed(&docker, "unhealthy"), ["box"]);

    let now = health(&docker, "box");
    assert!(now["FailingStreak"].as_u64().unwrap() >= 2, "{now}");
    let log = now["Log"].as_array().unwrap();
    assert!((2..=5).contains(&log.len()), "{now}");
    let last = log.last().unwrap();
    assert_eq!((&last["ExitCode"], &last["Output"]), (&json!(1), &json!("ill\n")), "{now}");
    // Zeros at the end of a second's part are left out, as dockerd does: with a Z behind it the shorter one would be greater.
    let [start, end] = ["Start", "End"].map(|field| last[field].as_str().unwrap().trim_end_matches('Z'));
    assert!(start.starts_with("20") && start <= end, "{now}");

    let told = docker.events("box", "{{.Action}}");
    let health: Vec<_> = told.iter().filter(|line| line.starts_with("health_status")).collect();
    assert_eq!(health, ["health_status: healthy", "health_status: unhealthy"]);
    assert!(told.contains(&format!("exec_start: /bin/sh -c {CHECK}")), "{told:?}");

    // What has ended is looked at no more, and a new run begins anew.
    docker.run("kill box").ok();
    assert_eq!(docker.shows("box", STATUS), "unhealthy");
    assert!(status(&docker, "box").starts_with("Exited (137)"));
    docker.run("start box").ok();
    docker.until_shows("box", STATUS, "starting");
    docker.run("exec box touch /ready").ok();
    docker.until_shows("box", STATUS, "healthy");
}

#[test]
fn options_make_a_check_and_override_the_images() {
    let (daemon, docker) = daemon();
    let check = json!({"Test": ["CMD", "false"], "Interval": 3_600_000_000_000_u64, "Retries": 9});
    daemon.load(&ImageSpec::new("checked:latest").with("Healthcheck", check));
    let own = ["--health-cmd", CHECK, "--health-interval", "200ms", "--health-retries", "1"];
    run(&docker, "own", &own, "busybox");
    docker.until_shows("own", STATUS, "unhealthy");
    docker.run("exec own touch /ready").ok();
    docker.until_shows("own", STATUS, "healthy");
    assert_eq!(health(&docker, "own")["FailingStreak"], 0);

    run(&docker, "both", &["--health-interval", "200ms", "--health-retries", "1"], "checked");
    assert_eq!(
        docker.shows("both", "{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}}"),
        "[CMD false] 1"
    );
    docker.until_shows("both", STATUS, "unhealthy");

    run(&docker, "off", &["--no-healthcheck"], "checked");
    assert_eq!(docker.shows("off", "{{json .State.Health}} {{.Config.Healthcheck.Test}}"), "null [NONE]");
    assert!(!status(&docker, "off").contains('('));
    assert_eq!(listed(&docker, "none"), ["off"]);

    for (options, words) in [
        (
            ["--health-cmd", "true", "--health-interval", "1us"],
            "Interval in Healthcheck cannot be less than 1ms",
        ),
        (
            ["--health-cmd", "true", "--health-timeout", "1us"],
            "Timeout in Healthcheck cannot be less than 1ms",
        ),
    ] {
        let told = docker.args([&["create"][..], &options, &["busybox"]].concat()).fails(1);
        assert!(told.contains(words), "{told}");
    }
    assert!(docker.run("ps --filter health=sick").fails(1).contains("invalid filter"));
}

#[test]
fn a_check_that_takes_too_long_says_too_much_or_cannot_run_is_a_failure() {
    let (_daemon, docker) = daemon();
    let check = |name: &str, cmd: &str, timeout: &str| {
        let options = [
            "--health-interval",
            "200ms",
            "--health-retries",
            "1",
            "--health-timeout",
            timeout,
            "--health-cmd",
            cmd,
        ];
        run(&docker, name, &options, "busybox");
        docker.until_shows(name, STATUS, "unhealthy");
        health(&docker, name)["Log"][0].clone()
    };
    let slow = check("slow", "echo begun; sleep 100", "300ms");
    assert_eq!(slow["ExitCode"], -1, "{slow}");
    assert!(slow["Output"].as_str().unwrap().starts_with("Health check exceeded timeout (300ms)"), "{slow}");
    let chatty = check("chatty", "yes | head -c 100000; exit 3", "30s");
    assert_eq!(chatty["ExitCode"], 3, "{chatty}");
    // dockerd keeps so much of it.
    assert!(chatty["Output"].as_str().unwrap().len() <= 4096 + 3, "{chatty}");
    let unknown = check("unknown", "no-such-command", "30s");
    assert_eq!(unknown["ExitCode"], 127, "{unknown}");
    assert!(unknown["Output"].as_str().unwrap().contains("not found"), "{unknown}");
}

#[test]
fn checks_go_on_over_the_death_of_the_daemon() {
    let (mut daemon, docker) = daemon();
    let options = ["--health-cmd", CHECK, "--health-interval", "200ms", "--health-retries", "1"];
    run(&docker, "box", &options, "busybox");
    docker.run("exec box touch /ready").ok();
    docker.until_shows("box", STATUS, "healthy");
    daemon.kill();
    daemon.launch();
    docker.until_shows("box", STATUS, "healthy");
    until("the log", || (!health(&docker, "box")["Log"].as_array()?.is_empty()).then_some(()));
    docker.run("exec box rm /ready").ok();
    docker.until_shows("box", STATUS, "unhealthy");
    let told = docker.events("box", "{{.Action}}");
    assert_eq!(told.iter().filter(|line| *line == "health_status: unhealthy").count(), 1, "{told:?}");
}

#[test]
fn a_pause_is_no_illness() {
    let (_daemon, docker) = daemon();
    let options = [
        ["--health-cmd", "sleep 0.2"],
        ["--health-interval", "50ms"],
        ["--health-timeout", "1s"],
        ["--health-retries", "1"],
    ]
    .concat();
    run(&docker, "box", &options, "busybox");
    docker.until_shows("box", STATUS, "healthy");
    for _ in 0..3 {
        docker.run("pause box").ok();
        assert!(status(&docker, "box").ends_with(" (Paused)"));
        // Longer than a probe that is frozen could last without being late.
        std::thread::sleep(std::time::Duration::from_millis(1_300));
        docker.run("unpause box").ok();
        let before = health(&docker, "box")["Log"].as_array().unwrap().last().unwrap().clone();
        until("another probe", || {
            (*health(&docker, "box")["Log"].as_array()?.last()? != before).then_some(())
        });
        let now = health(&docker, "box");
        assert_eq!((&now["Status"], &now["FailingStreak"]), (&json!("healthy"), &json!(0)), "{now}");
    }
    let told = docker.events("box", "{{.Action}}");
    assert!(!told.contains(&"health_status: unhealthy".to_owned()), "{told:?}");
}
