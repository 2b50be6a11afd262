//! Whatever the network does, everything that the line carries arrives whole, in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use fixture::{
    Daemon, Engine, agent,
    proxy::{Proxy, Weather},
    shell, tls,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sockerless_link::{AgentLink, AgentLinkConfig};
use sockerless_ports::link::{
    Channel, Launch, Link, Output, Reach, RunId, Target,
    request::{End, Exec, Protocol, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

/// A round may have to wait for several connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// 200 rounds in all; each of these worlds has its own weather, and one has TLS.
const WORLDS: u64 = 4;
const ROUNDS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_line_that_breaks_all_the_time_every_stream_is_byte_exact() {
    futures_util::future::join_all((0..WORLDS).map(|seed| tokio::spawn(world(seed))))
        .await
        .into_iter()
        .for_each(Result::unwrap);
}

async fn world(seed: u64) {
    let (config, fingerprint) = if seed == 0 { tls() } else { (AgentLinkConfig::default(), String::new()) };
    let scheme = if seed == 0 { "wss" } else { "ws" };
    let daemon = Daemon::with(config, 0).await;
    let engine = Engine::new(Launch { stdin: true, ..shell("cat; echo end >&2; exit 9") });
    let run = daemon.admit(&engine);
    let proxy =
        Proxy::start(daemon.port, seed, Weather { cuts: usize::MAX, most: 150_000, rough: true }).await;
    let mut agent = agent(proxy.port)
        .env("SOCKERLESS_CALLBACK_URL", format!("{scheme}://127.0.0.1:{}", proxy.port))
        .env("SOCKERLESS_CALLBACK_FINGERPRINT", fingerprint)
        .spawn()
        .unwrap();
    engine.until(|kept| !kept.started.is_empty()).await;

    let link = &daemon.link;
    let exec =
        Exec { id: format!("{seed:064}"), argv: vec!["/bin/cat".to_owned()], stdin: true, ..Exec::default() };
    let exec = open(link, &run, Request::Exec(Box::new(exec))).await;
    let port = echo().await;
    let dial = open(link, &run, reach(port)).await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut written = Vec::new();
    for round in 0..ROUNDS {
        let mut piece = || {
            let mut piece = vec![0; random.random_range(1..40_000)];
            random.fill(&mut piece[..]);
            Bytes::from(piece)
        };
        let [standard, to_exec, to_dial] = [piece(), piece(), piece()];
        written.extend_from_slice(&standard);
        let process = async {
            link.write_stdin(&run, standard).await.unwrap();
            let mut kept = engine.kept.subscribe();
            let kept = kept.wait_for(|kept| kept.stdout.len() >= written.len()).await.unwrap();
            assert!(kept.stdout == written, "seed {seed}, round {round}");
        };
        let everything =
            async { tokio::join!(process, there_and_back(&*exec, to_exec), there_and_back(&*dial, to_dial)) };
        timeout(PATIENCE, everything).await.unwrap_or_else(|_| panic!("seed {seed}, round {round}: held up"));
    }
    for (channel, expected) in [(exec, End::Exited { code: 0 }), (dial, End::Done)] {
        channel.finish();
        assert_eq!(timeout(PATIENCE, channel.read()).await.unwrap(), None);
        assert_eq!(timeout(PATIENCE, channel.end()).await.unwrap(), Ok(expected));
    }
    link.close_stdin(&run).await.unwrap();
    assert_eq!(engine.exit().await.code, 9);
    assert_eq!(engine.kept.borrow().stderr, b"end\n");
    let connections = proxy.connections.load(Ordering::Relaxed);
    assert!(connections > ROUNDS / 4, "{connections} connections");
    agent.kill().await.unwrap();
}

async fn open(link: &Arc<AgentLink>, run: &RunId, request: Request) -> Box<dyn Channel> {
    let (reply, channel) = timeout(PATIENCE, link.open(run, request)).await.expect("held up").unwrap();
    assert!(matches!(reply, Reply::Started { .. } | Reply::Ready), "{reply:?}");
    channel
}

/// What is written comes back.
async fn there_and_back(channel: &dyn Channel, bytes: Bytes) {
    let back = async {
        let mut back = Vec::new();
        while back.len() < bytes.len() {
            let (output, more) = channel.read().await.expect("it goes on");
            assert_eq!(output, Output::Stdout);
            back.extend_from_slice(&more);
        }
        back
    };
    let (written, back) = tokio::join!(channel.write(bytes.clone()), back);
    written.unwrap();
    assert!(back == bytes);
}

/// A server that sends back what it gets.
/// From another container.
fn reach(port: u16) -> Request {
    let [from, address] = [3, 2].map(|last| Ipv4Addr::new(172, 18, 0, last));
    let target = Target { protocol: Protocol::Tcp, address, port };
    Request::Reach(Reach { from, target, window: 256 << 10 })
}

async fn echo() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    });
    port
}

#[tokio::test]
async fn a_daemon_that_falls_silent_is_noticed_within_fifteen_seconds_and_dialled_again() {
    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("echo ready; sleep 1000"));
    daemon.admit(&engine);
    // The first connection is swallowed once it is up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _agent = fixture::Agent(agent(listener.local_addr().unwrap().port()).spawn().unwrap());
    let (mut first, _) = listener.accept().await.unwrap();
    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", daemon.port)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut first, &mut server) => panic!("the line broke"),
        _ = engine.until(|kept| kept.stdout == b"ready\n") => {}
    }
    let accepted = timeout(Duration::from_secs(20), listener.accept()).await;
    let (mut second, _) = accepted.expect("the agent has not noticed").unwrap();
    // The end that was swallowed is closed.
    while first.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", daemon.port)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut second, &mut server) => panic!("the line broke"),
        _ = engine.until(|kept| kept.lines == [true, false, true]) => {}
    }
    second.shutdown().await.unwrap();
}
