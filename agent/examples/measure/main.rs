//! Measures what goes over an agent's line, how long things take there, and what they cost in memory.
//!
//! `cargo run --release -p sockerless-agent --example measure -- PATH-OF-AGENT [MEBIBYTES | relay [seccomp | tun | loopback]]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod relay;
mod world;

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sockerless_ports::link::{
    Channel, Link, Reach, Rung, Target,
    request::{Exec, Protocol, Put, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use world::{Counter, Run, World};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--client", to, connections, name] => relay::client(to, connections.parse().unwrap(), name),
        [agent, "relay", rung @ ..] => runtime().block_on(async {
            let rung = match rung {
                ["seccomp"] => Some(Rung::Seccomp),
                ["tun"] => Some(Rung::Tun),
                ["loopback"] => Some(Rung::Loopback),
                _ => None,
            };
            let world = World::new((*agent).to_owned()).await;
            relay::join(&world, rung);
            relay::relay(&world, rung).await;
        }),
        [agent, rest @ ..] => {
            let mebibytes = rest.first().map_or(1024, |count| count.parse().unwrap());
            runtime().block_on(all((*agent).to_owned(), mebibytes));
        }
        [] => panic!("the path of an agent is missing"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

async fn all(agent: String, mebibytes: usize) {
    let world = World::new(agent).await;
    // First, before this process has memory to use again.
    idle(&world).await;
    output(&world, mebibytes).await;
    starts(&world).await;
    let run = world.run("exec sleep 1000").await;
    execs(&world, &run, mebibytes).await;
    copies(&world, &run, mebibytes).await;
    connections(&world, &run, mebibytes).await;
    println!("the agent after all that: {}", memory(run.child.id()));
    world.dismiss(run).await;
}

fn speed(what: &str, bytes: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what}: {bytes} bytes in {seconds:.2} s, {:.0} MB/s", bytes as f64 / seconds / 1e6);
}

fn times(what: &str, mut took: Vec<Duration>) {
    took.sort();
    println!("{what}: {:?} median, {:?} best", took[took.len() / 2], took[0]);
}

fn memory(pid: Option<u32>) -> String {
    let pid = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").to_owned()
    };
    format!("{} KiB of its own, {} resident, {} at most", line("RssAnon:"), line("VmRSS:"), line("VmHWM:"))
}

async fn output(world: &World, mebibytes: usize) {
    for _ in 0..3 {
        let begin = Instant::now();
        let run = world.run(&format!("exec head -c {mebibytes}M /dev/zero")).await;
        run.counter.exited.notified().await;
        let (bytes, calls) =
            (run.counter.bytes.load(Ordering::Relaxed), run.counter.calls.load(Ordering::Relaxed));
        speed("the process's output", bytes as usize, begin);
        println!("  {} bytes a call", bytes / calls.max(1));
        world.dismiss(run).await;
    }
}

async fn starts(world: &World) {
    let mut took = vec![];
    for _ in 0..20 {
        let run = world.run("true").await;
        took.push(*run.counter.took.lock().unwrap());
        run.counter.exited.notified().await;
        world.dismiss(run).await;
    }
    times("from the agent's question for a launch to the start", took);
    let mut run = world.run("true").await;
    let mut took = vec![];
    for _ in 0..50 {
        run.counter.exited.notified().await;
        let (next, counter, begin) = (world.admission(), Counter::new("true"), Instant::now());
        let id = next.run.clone();
        world.link.succeed(&run.id, next, Arc::clone(&counter) as _).unwrap();
        counter.started.notified().await;
        took.push(begin.elapsed());
        (run.id, run.counter) = (id, counter);
    }
    times("starting again in place", took);
    world.dismiss(run).await;
}

async fn open(world: &World, run: &Run, request: Request) -> Box<dyn Channel> {
    let (reply, channel) = world.link.open(&run.id, request).await.unwrap();
    assert!(!matches!(reply, Reply::Failed(_) | Reply::Unstarted { .. }), "{reply:?}");
    channel
}

/// Reads to the end; gives the number of bytes.
async fn drain(channel: &dyn Channel) -> usize {
    let mut count = 0;
    while let Some((_, bytes)) = channel.read().await {
        count += bytes.len();
    }
    channel.end().await.unwrap();
    count
}

async fn pour(channel: &dyn Channel, mebibytes: usize) {
    let piece = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..mebibytes {
        channel.write(piece.clone()).await.unwrap();
    }
    channel.finish();
}

async fn execs(world: &World, run: &Run, mebibytes: usize) {
    let exec = |script: &str, stdin| {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let env = vec!["PATH=/usr/bin:/bin".to_owned()];
        Request::Exec(Box::new(Exec { id: "e".repeat(64), argv, env, stdin, ..Exec::default() }))
    };
    let mut took = vec![];
    for _ in 0..50 {
        let begin = Instant::now();
        drain(&*open(world, run, exec("exec true", false)).await).await;
        took.push(begin.elapsed());
    }
    times("an exec of true", took);
    let begin = Instant::now();
    let channel = open(world, run, exec(&format!("exec head -c {mebibytes}M /dev/zero"), false)).await;
    speed("an exec's output", drain(&*channel).await, begin);
    let begin = Instant::now();
    let channel = open(world, run, exec("exec cat >/dev/null", true)).await;
    tokio::join!(pour(&*channel, mebibytes), drain(&*channel));
    speed("an exec's input", mebibytes << 20, begin);
}

async fn copies(world: &World, run: &Run, mebibytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![7; mebibytes << 20]).unwrap();
    let begin = Instant::now();
    let channel = open(world, run, Request::Get { path: file.display().to_string() }).await;
    let mut archive = Vec::new();
    while let Some((_, bytes)) = channel.read().await {
        archive.extend_from_slice(&bytes);
    }
    speed("a copy out", archive.len(), begin);
    let begin = Instant::now();
    let (length, archive) = (archive.len(), Bytes::from(archive));
    let put = Put { path: folder.path().display().to_string(), owners: true, ..Put::default() };
    let channel = open(world, run, Request::Put(put)).await;
    channel.write(archive).await.unwrap();
    channel.finish();
    drain(&*channel).await;
    speed("a copy in", length, begin);
}

async fn connections(world: &World, run: &Run, mebibytes: usize) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = read.read(&mut buffer).await {
                    write.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    let [from, address] = [3, 2].map(|last| Ipv4Addr::new(172, 18, 0, last));
    let target = Target { protocol: Protocol::Tcp, address, port };
    let dial = || Request::Reach(Reach { from, target, window: 256 << 10 });
    let channel = open(world, run, dial()).await;
    let mut took = vec![];
    for _ in 0..500 {
        let begin = Instant::now();
        channel.write(Bytes::from_static(b"ping")).await.unwrap();
        channel.read().await.unwrap();
        took.push(begin.elapsed());
    }
    times("there and back through a port", took);
    let begin = Instant::now();
    let (count, ()) = tokio::join!(drain(&*channel), pour(&*channel, mebibytes));
    speed("there and back through a port", count, begin);
    let begin = Instant::now();
    let all = futures_util::future::join_all((0..500).map(|_| async {
        let channel = open(world, run, dial()).await;
        channel.write(Bytes::from(vec![1; 100_000])).await.unwrap();
        channel.finish();
        drain(&*channel).await
    }));
    speed("500 connections at once", all.await.into_iter().sum(), begin);
}

async fn idle(world: &World) {
    let resident = || memory(None).split(' ').next().unwrap().parse::<u64>().unwrap();
    for (what, script) in [
        ("idle agents", "exec sleep 1000"),
        ("agents that are idle after much output", "head -c 20M /dev/zero; exec sleep 1000"),
    ] {
        // What the first one costs is not paid again.
        let mut runs = vec![world.run(script).await];
        let before = resident();
        for _ in 0..100 {
            runs.push(world.run(script).await);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let each = resident().saturating_sub(before) / 100;
        println!(
            "this side grew by {each} KiB for each of 100 {what}; the agent: {}",
            memory(runs[0].child.id())
        );
        for run in runs {
            world.dismiss(run).await;
        }
    }
}
