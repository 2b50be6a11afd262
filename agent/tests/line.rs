//! What a broken line, a restarted daemon and strangers do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{process::Stdio, sync::atomic::Ordering};

use bytes::Bytes;
use fixture::{
    Daemon, Engine, PATIENCE, TICKET, World, agent,
    proxy::{Proxy, Weather},
    shell,
};
use sockerless_ports::link::{Launch, Link, LinkError};
use tokio::{io::AsyncReadExt, time::timeout};

/// What `seq 1 n` writes.
fn seq(n: u32) -> Vec<u8> {
    (1..=n).flat_map(|i| format!("{i}\n").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_and_input_are_whole_however_often_the_line_breaks() {
    for seed in 0..6 {
        let daemon = Daemon::start(0).await;
        let engine =
            Engine::new(Launch { stdin: true, ..shell("seq 1 200000 >&2 & tee /dev/null; wait; exit 9") });
        let run = daemon.admit(&engine);
        let proxy = Proxy::start(daemon.port, seed, Weather { cuts: 40, most: 150_000, rough: false }).await;
        let mut agent = fixture::Agent(agent(proxy.port).spawn().unwrap());
        let input = Bytes::from(seq(300_000));
        for piece in input.chunks(50_001) {
            let written = daemon.link.write_stdin(&run, input.slice_ref(piece));
            timeout(PATIENCE, written).await.expect("held up").unwrap();
        }
        daemon.link.close_stdin(&run).await.unwrap();
        assert_eq!(engine.exit().await.code, 9);
        daemon.link.dismiss(&run);
        assert_eq!(timeout(PATIENCE, agent.wait()).await.unwrap().unwrap().code(), Some(9));
        let kept = engine.kept.borrow();
        assert!(kept.stdout == input, "seed {seed}");
        assert!(kept.stderr == seq(200_000), "seed {seed}");
        assert_eq!((kept.started.len(), kept.exited.len()), (1, 1));
        assert!(proxy.connections.load(Ordering::Relaxed) > 5, "the line was broken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_restarts_gets_what_was_written_meanwhile_and_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (go, done) = (folder.path().join("go"), folder.path().join("done"));
    let script = format!(
        "echo ready; while [ ! -e {go} ]; do sleep 0.02; done; seq 1 7000000; touch {done}; exit 7",
        go = go.display(),
        done = done.display()
    );
    let mut world = World::new(shell(&script)).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let port = world.daemon.stop().await;
    std::fs::write(&go, "").unwrap();
    // 54 MB fit into the agent's buffer: the process ends without a daemon.
    until(|| done.exists()).await;
    world.daemon = Daemon::start(port).await;
    world.daemon.admit(&world.engine);
    assert_eq!(world.engine.exit().await.code, 7);
    let mut expected = b"ready\n".to_vec();
    expected.extend(seq(7_000_000));
    assert!(world.engine.kept.borrow().stdout == expected);
    assert_eq!(world.engine.kept.borrow().launches, 1);
    assert_eq!(world.code().await, Some(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_daemon_is_away_memory_is_bounded_and_the_writer_waits() {
    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("echo ready; seq 1 5000000"));
    daemon.admit(&engine);
    let mut command = agent(daemon.port);
    let mut agent = command.env("SOCKERLESS_AGENT_BUFFER", "3000000").spawn().unwrap();
    engine.open.send_replace(false);
    engine.until(|kept| kept.started.len() == 1).await;
    let pid = agent.id().unwrap();
    let port = daemon.stop().await;
    // The process sleeps in a write once all buffers are full.
    let child = engine.kept.borrow().started[0];
    let children = format!("/proc/{child}/task/{child}/children");
    until(|| std::fs::read_to_string(&children).is_ok_and(|children| waits_in_a_pipe(children.trim()))).await;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap();
    assert!(resident < 30_000, "{resident} KiB");
    let daemon = Daemon::start(port).await;
    let run = daemon.admit(&engine);
    engine.open.send_replace(true);
    assert_eq!(engine.exit().await.code, 0);
    daemon.link.dismiss(&run);
    let mut expected = b"ready\n".to_vec();
    expected.extend(seq(5_000_000));
    assert!(engine.kept.borrow().stdout == expected);
    agent.wait().await.unwrap();
}

fn waits_in_a_pipe(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("pipe_w"))
        || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
        })
}

#[tokio::test]
async fn signals_sent_while_the_line_is_down_arrive_once() {
    let world = World::new(shell("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let port = world.daemon.stop().await;
    // A new daemon knows the run before the agent is back.
    let daemon = Daemon::start(port).await;
    daemon.admit(&world.engine);
    daemon.link.signal(&world.run, 10).await.unwrap();
    world.engine.until(|kept| kept.stdout == b"ready\nusr1\n").await;
    assert!(daemon.link.is_connected(&world.run));
    let port = daemon.stop().await;
    let daemon = Daemon::start(port).await;
    daemon.admit(&world.engine);
    daemon.link.signal(&world.run, 15).await.unwrap();
    assert_eq!(world.engine.exit().await.code, 143);
    assert_eq!(world.engine.kept.borrow().stdout, b"ready\nusr1\n");
}

#[tokio::test]
async fn who_has_the_wrong_ticket_is_refused() {
    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("true"));
    daemon.admit(&engine);
    let mut command = agent(daemon.port);
    command.env("SOCKERLESS_TICKET", "00".repeat(32));
    let mut stranger = command.stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(timeout(PATIENCE, stranger.wait()).await.unwrap().unwrap().code(), Some(125));
    let mut said = String::new();
    stranger.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("the ticket is not the one that was given out"), "{said}");
    assert_eq!(engine.kept.borrow().calls, 0);
}

#[tokio::test]
async fn who_comes_with_a_used_ticket_and_another_secret_is_refused() {
    let mut world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let mut stranger = agent(world.daemon.port).spawn().unwrap();
    assert_eq!(timeout(PATIENCE, stranger.wait()).await.unwrap().unwrap().code(), Some(125));
    assert!(world.link().is_connected(&world.run));
    // After a restart, too.
    let port = world.daemon.stop().await;
    world.daemon = Daemon::start(port).await;
    world.daemon.admit(&world.engine);
    let mut stranger = agent(port).spawn().unwrap();
    assert_eq!(timeout(PATIENCE, stranger.wait()).await.unwrap().unwrap().code(), Some(125));
    world.engine.until(|kept| kept.lines.last() == Some(&true)).await;
    world.link().signal(&world.run, 9).await.unwrap();
    assert_eq!(world.engine.exit().await.code, 137);
}

#[tokio::test]
async fn a_dismissed_agent_ends_its_process_and_goes() {
    let mut world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world.link().dismiss(&world.run);
    assert_eq!(world.gone().await, Some(143));
    assert_eq!(world.link().signal(&world.run, 9).await, Err(LinkError::Unknown));
    assert_eq!(world.link().write_stdin(&world.run, Bytes::from_static(b"x")).await, Err(LinkError::Unknown));
}

#[tokio::test]
async fn an_agent_that_the_engine_refuses_ends() {
    let mut world = World::new(Launch::default()).await;
    assert_eq!(world.gone().await, Some(125));
    assert_eq!(world.engine.kept.borrow().launches, 1);
}

#[tokio::test]
async fn small_writes_are_told_in_large_pieces_when_the_engine_is_slow() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let script = format!(
        "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; touch {}; echo end >&2; sleep 1000",
        done.display()
    );
    let world = World::new(shell(&script)).await;
    world.engine.open.send_replace(false);
    until(|| done.exists()).await;
    world.engine.open.send_replace(true);
    let kept = world.engine.until(|kept| kept.stderr == b"end\n" && kept.stdout.ends_with(b"\n1999\n")).await;
    assert!(kept.stdout.starts_with(b"0\n1\n2\n"));
    assert!(kept.calls < 1000, "{} calls", kept.calls);
    world.link().dismiss(&world.run);
}

/// Looks until something outside of this process has come about.
async fn until(mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("waited in vain");
}

#[tokio::test]
async fn a_copy_of_the_output_goes_to_the_clouds_log() {
    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("echo out; echo err >&2"));
    let run = daemon.admit(&engine);
    let mut command = agent(daemon.port);
    let agent = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    engine.exit().await;
    daemon.link.dismiss(&run);
    let output = timeout(PATIENCE, agent.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
}

#[tokio::test]
async fn over_tls_only_the_pinned_certificate_is_trusted() {
    let (config, fingerprint) = fixture::tls();
    let daemon = Daemon::with(config, 0).await;
    let engine = Engine::new(shell("echo over tls"));
    let run = daemon.admit(&engine);
    let dial = |fingerprint: Option<String>| {
        let mut command = agent(daemon.port);
        command.env("SOCKERLESS_CALLBACK_URL", format!("wss://127.0.0.1:{}", daemon.port));
        command.stderr(Stdio::piped());
        if let Some(fingerprint) = fingerprint {
            command.env("SOCKERLESS_CALLBACK_FINGERPRINT", fingerprint);
        }
        command.spawn().unwrap()
    };
    for wrong in [None, Some(fixture::hex(&TICKET))] {
        let mut stranger = dial(wrong);
        let mut said = [0; 64];
        let count =
            timeout(PATIENCE, stranger.stderr.as_mut().unwrap().read(&mut said)).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&said[..count]).contains("cannot reach"));
        stranger.kill().await.unwrap();
    }
    assert_eq!(engine.kept.borrow().calls, 0);
    let mut agent = dial(Some(fingerprint));
    engine.exit().await;
    daemon.link.dismiss(&run);
    assert_eq!(timeout(PATIENCE, agent.wait()).await.unwrap().unwrap().code(), Some(0));
    assert_eq!(engine.kept.borrow().stdout, b"over tls\n");
}
