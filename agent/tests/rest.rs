//! The agent after its process's end: how long it stays, and how it does the next run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::sync::Arc;

use bytes::Bytes;
use fixture::{Daemon, Engine, World, admission, agent, program, shell};
use sockerless_ports::link::{Launch, Link, LinkError, RunId};

fn signal(child: &tokio::process::Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

#[tokio::test]
async fn it_stays_until_it_is_dismissed_and_then_ends_as_the_process_did() {
    let mut world = World::new(shell("exit 7")).await;
    world.engine.exit().await;
    assert!(world.link().is_connected(&world.run));
    // Also after a restart of the daemon.
    let port = world.daemon.stop().await;
    world.daemon = Daemon::start(port).await;
    world.daemon.admit(&world.engine);
    // An end is told to each daemon.
    world.engine.until(|kept| kept.exited.len() == 2).await;
    assert_eq!(world.code().await, Some(7));
}

/// Has the world's agent do another run.
fn succeed(world: &World, generation: u32, launch: Launch) -> (Arc<Engine>, RunId) {
    let engine = Engine::new(launch);
    let next = admission(generation, None);
    let run = next.run.clone();
    world.link().succeed(&world.run, next, Arc::clone(&engine) as _).unwrap();
    (engine, run)
}

#[tokio::test]
async fn the_next_run_begins_on_the_same_line_with_nothing_of_the_one_before() {
    let mut world = World::new(Launch { stdin: true, ..shell("cat; echo first; exit 7") }).await;
    world.link().write_stdin(&world.run, Bytes::from_static(b"in")).await.unwrap();
    world.link().close_stdin(&world.run).await.unwrap();
    world.engine.exit().await;
    let mut pids = vec![];
    for (generation, code) in [(4, 0), (5, 9)] {
        let script = format!("read line; echo $line; echo {generation} >&2; exit {code}");
        let (engine, run) = succeed(&world, generation, Launch { stdin: true, ..shell(&script) });
        world.link().write_stdin(&run, Bytes::from(format!("hello {generation}\n"))).await.unwrap();
        assert_eq!(engine.exit().await.code, code);
        let kept = engine.kept.borrow().clone();
        assert_eq!(kept.stdout, format!("hello {generation}\n").into_bytes());
        assert_eq!(kept.stderr, format!("{generation}\n").into_bytes());
        assert_eq!(kept.secret, world.engine.kept.borrow().secret, "the agent keeps its secret");
        assert_eq!(world.link().signal(&world.run, 1).await, Err(LinkError::Unknown), "the old run is over");
        pids.push(kept.started[0]);
        (world.engine, world.run) = (engine, run);
    }
    assert_ne!(pids[0], pids[1]);
    assert_eq!(world.code().await, Some(9));
}

#[tokio::test]
async fn what_could_not_be_started_can_be_followed_by_what_can() {
    let mut world = World::new(program(&["nosuch"])).await;
    world.engine.until(|kept| !kept.failed.is_empty()).await;
    (world.engine, world.run) = succeed(&world, 4, shell("exit 3"));
    assert_eq!(world.engine.exit().await.code, 3);
    assert_eq!(world.code().await, Some(3));
}

#[tokio::test]
async fn the_next_run_is_begun_when_the_line_is_back_and_a_restarted_daemon_finds_it() {
    let mut world = World::new(shell("exit 7")).await;
    world.engine.exit().await;
    let port = world.daemon.stop().await;
    let daemon = Daemon::start(port).await;
    daemon.admit(&world.engine);
    // Nobody is connected yet.
    let engine = Engine::new(shell("echo ready; sleep 1000"));
    let secret = world.engine.kept.borrow().secret;
    daemon.link.succeed(&world.run, admission(4, secret), Arc::clone(&engine) as _).unwrap();
    engine.until(|kept| kept.stdout == b"ready\n").await;
    assert!(engine.kept.borrow().secret.is_none(), "it is bound already");
    let port = daemon.stop().await;
    world.daemon = Daemon::start(port).await;
    let next = admission(4, secret);
    world.run = next.run.clone();
    world.link().admit(next, Arc::clone(&engine) as _);
    world.link().signal(&world.run, 15).await.unwrap();
    assert_eq!(engine.exit().await.code, 143);
    world.engine = engine;
    assert_eq!(world.code().await, Some(143));
}

#[tokio::test]
async fn who_dismisses_the_next_run_before_it_began_dismisses_the_agent() {
    let mut world = World::new(shell("exit 7")).await;
    world.engine.exit().await;
    let port = world.daemon.stop().await;
    world.daemon = Daemon::start(port).await;
    world.daemon.admit(&world.engine);
    let (_, run) = succeed(&world, 4, shell("true"));
    world.link().dismiss(&run);
    assert_eq!(world.link().signal(&world.run, 1).await, Err(LinkError::Unknown));
    // It is sent away as one whom nobody knows; that takes a minute.
    world.agent.kill().await.unwrap();
}

#[tokio::test]
async fn when_the_cloud_wants_it_to_go_it_says_so_and_stays_a_moment() {
    let mut world = World::new(shell("exit 7")).await;
    world.engine.exit().await;
    signal(&world.agent, nix::sys::signal::SIGTERM);
    world.engine.until(|kept| kept.leaving == 1).await;
    assert!(world.link().is_connected(&world.run));
    assert_eq!(world.code().await, Some(7));
}

#[tokio::test]
async fn after_the_clouds_signal_it_waits_for_the_daemon_no_longer_than_the_cloud_does() {
    let mut world =
        World::new(shell("trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.02; done")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let port = world.daemon.stop().await;
    signal(&world.agent, nix::sys::signal::SIGTERM);
    // Ten seconds are what clouds give.
    let status = tokio::time::timeout(fixture::PATIENCE, world.agent.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4));
    world.daemon = Daemon::start(port).await;
}

#[tokio::test]
async fn memory_file_systems_begin_empty_in_each_run() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap().to_owned();
    let daemon = Daemon::start(0).await;
    let launch = || Launch {
        tmpfs: vec![(place.clone(), String::new())],
        ..shell(&format!("ls {place}; touch {place}/x; grep -c ' {place} tmpfs ' /proc/mounts"))
    };
    let mut engine = Engine::new(launch());
    let mut run = daemon.admit(&engine);
    let _agent = fixture::isolated(agent(daemon.port)).spawn().unwrap();
    for generation in 4..6 {
        engine.exit().await;
        assert_eq!(String::from_utf8_lossy(&engine.kept.borrow().stdout), "1\n");
        let next = admission(generation, None);
        let id = next.run.clone();
        engine = Engine::new(launch());
        daemon.link.succeed(&run, next, Arc::clone(&engine) as _).unwrap();
        run = id;
    }
    engine.exit().await;
}

#[tokio::test]
async fn without_a_daemon_it_goes_after_its_time() {
    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("exit 7"));
    daemon.admit(&engine);
    let mut agent = agent(daemon.port).env("SOCKERLESS_AGENT_LINGER", "1").spawn().unwrap();
    engine.exit().await;
    daemon.stop().await;
    let status = tokio::time::timeout(fixture::PATIENCE, agent.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[tokio::test]
async fn without_a_daemon_it_stays_as_long_as_the_process_of_another_in_its_job_runs() {
    let folder = tempfile::tempdir().unwrap();
    let over = folder.path().join("over");
    let wait = format!("echo ready; until [ -e {} ]; do sleep 0.05; done", over.display());
    let job = format!("job-{}", std::process::id());
    let mut daemons = vec![];
    let mut agents = vec![];
    // The last one is of another job, and waits longer: without the others' company the first would be gone before it.
    let all = [
        ("exit 7", format!("{job}/0/2"), "1"),
        (&wait, format!("{job}/1/2"), "1"),
        ("exit 9", format!("{job}x/0/2"), "3"),
    ];
    for (script, pod, linger) in all {
        let daemon = Daemon::start(0).await;
        let engine = Engine::new(shell(script));
        daemon.admit(&engine);
        let mut agent = agent(daemon.port);
        agent.env("SOCKERLESS_AGENT_LINGER", linger).env("SOCKERLESS_POD", pod);
        agents.push(fixture::Agent(agent.spawn().unwrap()));
        engine.until(|kept| !kept.exited.is_empty() || kept.stdout == b"ready\n").await;
        daemons.push(daemon);
    }
    for daemon in daemons {
        daemon.stop().await;
    }
    let mut codes = vec![];
    let mut last = agents.pop().unwrap();
    codes.push(tokio::time::timeout(fixture::PATIENCE, last.wait()).await.unwrap().unwrap().code());
    assert_eq!(agents[0].try_wait().unwrap(), None, "another's process runs");
    std::fs::write(over, "").unwrap();
    for agent in &mut agents {
        codes.push(tokio::time::timeout(fixture::PATIENCE, agent.wait()).await.unwrap().unwrap().code());
    }
    assert_eq!(codes, [Some(9), Some(7), Some(0)]);
}
