//! The container's processes as the agent sees, measures, stops and probes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::fs;

use fixture::{Daemon, PATIENCE, World, shell};
use sockerless_ports::link::{
    Launch, Link, TerminalSize,
    request::{Health, HealthCheck, HealthStatus, ProcessInfo, Reply, Request, Sample},
};
use tokio::time::{Duration, sleep, timeout};

async fn started(launch: Launch) -> World {
    let world = World::new(launch).await;
    world.engine.until(|kept| kept.stdout.starts_with(b"ready")).await;
    world
}

async fn ask(world: &World, request: Request) -> Reply {
    timeout(PATIENCE, world.link().open(&world.run, request)).await.expect("waited in vain").unwrap().0
}

async fn processes(world: &World) -> Vec<ProcessInfo> {
    match ask(world, Request::Processes).await {
        Reply::Processes { list } => list,
        other => panic!("{other:?}"),
    }
}

async fn sample(world: &World) -> Sample {
    match ask(world, Request::Sample).await {
        Reply::Sample(sample) => *sample,
        other => panic!("{other:?}"),
    }
}

/// Waits until something that nobody tells is so.
async fn until<F: Future<Output = bool>>(mut check: impl FnMut() -> F) {
    let waiting = async {
        while !check().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("waited in vain");
}

#[tokio::test]
async fn the_list_has_the_containers_processes_and_not_the_agent() {
    let world = started(shell("sleep 1000 & echo ready; wait")).await;
    // A program has its name a moment before its arguments.
    let sleeps = |process: &ProcessInfo| process.name == "sleep" && !process.command.is_empty();
    until(|| async { processes(&world).await.iter().any(sleeps) }).await;
    let list = processes(&world).await;
    let [first, second] = &list[..] else { panic!("{list:?}") };
    assert_eq!((first.name.as_str(), first.parent, first.tty.as_str()), ("sh", 0, ""));
    assert_eq!(first.command, ["/bin/sh", "-c", "sleep 1000 & echo ready; wait"]);
    assert_eq!(
        (second.parent, &second.command[..]),
        (first.pid, &["sleep".to_owned(), "1000".to_owned()][..])
    );
    assert_eq!(
        (first.uid, first.user.as_str(), first.group, first.session),
        (0, "root", first.pid, first.pid)
    );
    assert!(first.resident_bytes > 0 && first.virtual_bytes > first.resident_bytes && first.threads == 1);
    assert!(second.started >= first.started && first.started > 1_700_000_000_000);
}

#[tokio::test]
async fn a_process_on_a_terminal_is_listed_with_it() {
    let size = Some(TerminalSize { columns: 80, rows: 24 });
    let world = started(Launch { tty: true, size, ..shell("echo ready; sleep 1000") }).await;
    let list = processes(&world).await;
    assert!(list[0].tty.starts_with("pts/"), "{list:?}");
}

#[tokio::test]
async fn what_is_used_is_measured() {
    let world = started(shell("echo ready; while :; do :; done")).await;
    let first = sample(&world).await;
    assert!(
        first.memory > 0 && first.memory_limit >= first.memory && first.pids >= 1 && first.cpus > 0,
        "{first:?}"
    );
    until(|| async {
        let next = sample(&world).await;
        assert!(
            next.cpu_total >= first.cpu_total
                && next.machine_cpu >= first.machine_cpu
                && next.time >= first.time
        );
        next.cpu_total > first.cpu_total && next.cpu_user > first.cpu_user
    })
    .await;
}

#[tokio::test]
async fn time_of_processes_that_have_ended_is_not_forgotten() {
    let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let world = started(shell(&format!("sh -c '{work}'; echo ready; sleep 1000"))).await;
    // Two hundredths of a second at the very least.
    assert!(sample(&world).await.cpu_total >= 20_000_000);
}

#[tokio::test]
async fn frozen_processes_stand_still_and_go_on_when_thawed() {
    let world =
        started(shell("echo ready; while :; do echo x; sleep 0.001; done & while :; do (:); done")).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, Request::Freeze).await, Reply::Ready);
        for process in processes(&world).await {
            // A shell that has just forked waits in the kernel (D) for its child, which stands still.
            assert!(matches!(process.state, 'T' | 'Z' | 'D'), "{process:?}");
        }
        let still = processes(&world).await;
        let times = |list: &[ProcessInfo]| {
            list.iter().map(|one| (one.pid, one.user_time, one.system_time)).collect::<Vec<_>>()
        };
        assert_eq!(times(&processes(&world).await), times(&still));
        let before = world.engine.kept.borrow().stdout.len();
        assert_eq!(ask(&world, Request::Thaw).await, Reply::Ready);
        // More than a pipe could have held back.
        world.engine.until(|kept| kept.stdout.len() > before + 20).await;
    }
}

#[tokio::test]
async fn a_frozen_container_can_be_killed() {
    let world = started(shell("echo ready; sleep 1000")).await;
    assert_eq!(ask(&world, Request::Freeze).await, Reply::Ready);
    world.link().signal(&world.run, 9).await.unwrap();
    assert_eq!(world.engine.exit().await.code, 137);
}

#[tokio::test]
async fn the_agent_may_open_more_files_than_the_container_is_given() {
    let daemon = Daemon::start(0).await;
    let engine = fixture::Engine::new(shell("echo $(ulimit -Sn) $(ulimit -Hn); sleep 1000"));
    daemon.admit(&engine);
    let agent = fixture::agent(daemon.port);
    let mut limited = tokio::process::Command::new("prlimit");
    limited.arg("--nofile=500:1500").arg(agent.as_std().get_program());
    limited.env_clear().envs(agent.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let agent = fixture::Agent(limited.kill_on_drop(true).spawn().unwrap());
    assert_eq!(engine.until(|kept| kept.stdout.ends_with(b"\n")).await.stdout, b"500 1500\n");
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id().unwrap())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1500"));
}

fn probed(test: &str, check: HealthCheck) -> Launch {
    let argv = ["/bin/sh", "-c", test].map(str::to_owned).to_vec();
    let check = HealthCheck { argv, ..check };
    Launch { health: Some(check), ..shell("echo ready; read x") }
}

fn quick() -> HealthCheck {
    HealthCheck {
        interval: 5,
        timeout: 20_000,
        retries: 2,
        start_period: 0,
        start_interval: 5,
        ..HealthCheck::default()
    }
}

async fn health(world: &World, condition: impl Fn(&Health) -> bool) -> Health {
    let is_there = |kept: &fixture::Kept| kept.health.iter().any(&condition);
    world.engine.until(is_there).await.health.into_iter().find(&condition).unwrap()
}

#[tokio::test]
async fn health_follows_the_probes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ok");
    let test = format!("echo looked; echo why >&2; test -e {}", file.display());
    let world = started(Launch { stdin: true, ..probed(&test, quick()) }).await;
    let first = world.engine.until(|kept| !kept.health.is_empty()).await.health[0].clone();
    assert_eq!((first.status, first.probes), (HealthStatus::Starting, 0));
    let unhealthy = health(&world, |health| health.status == HealthStatus::Unhealthy).await;
    assert_eq!(unhealthy.failing_streak, 2);
    let probe = &unhealthy.log[1];
    assert_eq!(probe.code, 1);
    assert!(matches!(probe.output.as_str(), "looked\nwhy\n" | "why\nlooked\n"), "{:?}", probe.output);
    assert!(probe.start > 1_700_000_000_000 && probe.end >= probe.start);
    fs::write(&file, "").unwrap();
    let healthy = health(&world, |health| health.status == HealthStatus::Healthy).await;
    assert_eq!((healthy.failing_streak, healthy.log.last().unwrap().code), (0, 0));
    assert!(healthy.log.len() <= 5);
    // With the process probing ends, too.
    world.link().close_stdin(&world.run).await.unwrap();
    world.engine.exit().await;
}

#[tokio::test]
async fn a_probe_that_takes_too_long_is_killed_with_all_that_it_started() {
    let check = HealthCheck { timeout: 50, ..quick() };
    let world = started(Launch { stdin: true, ..probed("sleep 4242 & echo begun; wait", check) }).await;
    let health = health(&world, |health| health.probes == 1).await;
    let probe = &health.log[0];
    assert_eq!(probe.code, -1);
    assert!(
        probe.output == "Health check exceeded timeout (50ms): begun\n"
            || probe.output == "Health check exceeded timeout (50ms)",
        "{}",
        probe.output
    );
    until(|| async {
        let list = processes(&world).await;
        list.iter().filter(|process| process.command.get(1).is_some_and(|word| word == "4242")).count() <= 1
    })
    .await;
}

#[tokio::test]
async fn what_a_probe_left_behind_does_not_hold_it_up() {
    let world = started(Launch { stdin: true, ..probed("sleep 1000 & echo out", quick()) }).await;
    let health = health(&world, |health| health.probes >= 2).await;
    assert!(health.log.iter().all(|probe| (probe.code, probe.output.as_str()) == (0, "out\n")), "{health:?}");
}

#[tokio::test]
async fn a_probe_that_cannot_be_run_says_why() {
    let check = HealthCheck { argv: vec!["nosuch".to_owned()], ..quick() };
    let world = started(Launch { stdin: true, health: Some(check), ..shell("echo ready; read x") }).await;
    let health = health(&world, |health| health.status == HealthStatus::Unhealthy).await;
    let words = "OCI runtime exec failed: exec failed: unable to start container process: \
                 exec: \"nosuch\": executable file not found in $PATH: unknown";
    assert_eq!((health.log[0].code, health.log[0].output.as_str()), (-1, words));
}

#[tokio::test]
async fn of_a_probes_output_no_more_than_a_part_is_kept() {
    let world = started(Launch { stdin: true, ..probed("yes | head -c 100000", quick()) }).await;
    let health = health(&world, |health| health.probes == 1).await;
    assert_eq!((health.log[0].code, health.log[0].output.len()), (0, 4096 + 3));
    assert!(health.log[0].output.ends_with("..."));
}

#[tokio::test]
async fn probes_go_on_while_the_daemon_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let world =
        started(Launch { stdin: true, ..probed(&format!("echo x >> {}", count.display()), quick()) }).await;
    let World { daemon, engine, run: _, agent: _agent } = world;
    let port = daemon.stop().await;
    let before = fs::read(&count).unwrap_or_default().len();
    until(|| async { fs::read(&count).unwrap_or_default().len() > before + 20 }).await;
    let heard = engine.kept.borrow().health.len();
    let daemon = Daemon::start(port).await;
    daemon.admit(&engine);
    let health = engine.until(|kept| kept.health.len() > heard).await.health[heard].clone();
    assert!(health.status == HealthStatus::Healthy && health.probes >= 10, "{health:?}");
}

#[tokio::test]
async fn a_frozen_container_is_not_probed() {
    let world = started(Launch { stdin: true, ..probed("exec sleep 4343", quick()) }).await;
    let probes = || async {
        let list = processes(&world).await;
        list.iter().filter(|process| process.command.get(1).is_some_and(|word| word == "4343")).count()
    };
    until(|| async { probes().await == 1 }).await;
    assert_eq!(ask(&world, Request::Freeze).await, Reply::Ready);
    until(|| async { probes().await == 0 }).await;
    assert_eq!(ask(&world, Request::Thaw).await, Reply::Ready);
    until(|| async { probes().await == 1 }).await;
    assert_eq!(
        world.engine.kept.borrow().health.last().unwrap().probes,
        0,
        "a probe that was broken off is none"
    );
}
