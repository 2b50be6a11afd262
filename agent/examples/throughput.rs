//! Measures the way of a process's output: process, agent, line, `AgentEvents::output`; the agent's memory; and starts.
//!
//! `cargo run --release -p sockerless-agent --example throughput -- PATH-OF-AGENT [MEBIBYTES]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sockerless_link::{AgentLink, AgentLinkConfig};
use sockerless_ports::link::{
    Admission, AgentEvents, Digest, Exit, Launch, LaunchFailure, Link, Output, Refusal, RunId,
    request::Health,
};
use tokio::{process::Command, sync::Notify};

struct Counter {
    run: RunId,
    launch: Launch,
    bytes: AtomicU64,
    calls: AtomicU64,
    asked: Mutex<Option<Instant>>,
    started: Notify,
    exited: Notify,
    took: Mutex<Duration>,
}

#[async_trait]
impl AgentEvents for Counter {
    async fn bound(&self, _: &RunId, _: Digest) -> Result<(), Refusal> {
        Ok(())
    }
    async fn launch(&self, _: &RunId) -> Result<Launch, Refusal> {
        *self.asked.lock().unwrap() = Some(Instant::now());
        Ok(self.launch.clone())
    }
    async fn started(&self, _: &RunId, _: u32) {
        *self.took.lock().unwrap() = self.asked.lock().unwrap().unwrap().elapsed();
        self.started.notify_one();
    }
    async fn failed(&self, _: &RunId, failure: LaunchFailure) {
        panic!("{failure:?}");
    }
    async fn kept(&self, _: &RunId, output: Output) -> u64 {
        if output == Output::Stdout { self.bytes.load(Ordering::Relaxed) } else { 0 }
    }
    async fn output(&self, _: &RunId, _: Output, _: u64, bytes: Bytes) -> Result<(), Refusal> {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    async fn exited(&self, _: &RunId, _: Exit) {
        self.exited.notify_one();
    }
    async fn health(&self, _: &RunId, _: Health) {}

    async fn leaving(&self, _: &RunId) {}

    async fn line(&self, _: &RunId, _: bool) {}
}

#[tokio::main]
async fn main() {
    let agent = std::env::args().nth(1).expect("the path of an agent");
    let mebibytes: u64 = std::env::args().nth(2).map_or(1024, |count| count.parse().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = AgentLink::new(AgentLinkConfig::default());
    tokio::spawn(Arc::clone(&link).serve(listener));
    let mut generation = 0;
    let mut run = async |script: &str| {
        generation += 1;
        let run = RunId { container: "c".repeat(64), generation };
        let counter = Arc::new(Counter {
            run: run.clone(),
            launch: Launch {
                argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
                env: vec!["PATH=/usr/bin:/bin".into()],
                ..Launch::default()
            },
            bytes: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            asked: Mutex::new(None),
            started: Notify::new(),
            exited: Notify::new(),
            took: Mutex::default(),
        });
        let ticket = Sha256::digest([7; 32]).into();
        link.admit(Admission { run: run.clone(), ticket, secret: None }, Arc::clone(&counter) as _);
        let child = Command::new(&agent)
            .env_clear()
            .env("SOCKERLESS_CALLBACK_URL", format!("ws://127.0.0.1:{port}/agent/v1"))
            .env("SOCKERLESS_RUN", run.to_string())
            .env("SOCKERLESS_TICKET", "07".repeat(32))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        counter.started.notified().await;
        (counter, child)
    };

    for _ in 0..3 {
        let script = format!("exec head -c {}M /dev/zero", mebibytes);
        let begin = Instant::now();
        let (counter, child) = run(&script).await;
        counter.exited.notified().await;
        let (seconds, bytes) = (begin.elapsed().as_secs_f64(), counter.bytes.load(Ordering::Relaxed));
        let calls = counter.calls.load(Ordering::Relaxed);
        println!(
            "{bytes} bytes in {seconds:.2} s: {:.0} MB/s, {} bytes a call",
            bytes as f64 / seconds / 1e6,
            bytes / calls.max(1)
        );
        drop(child);
    }

    let mut took = vec![];
    for _ in 0..20 {
        let (counter, mut child) = run("true").await;
        took.push(*counter.took.lock().unwrap());
        counter.exited.notified().await;
        link.dismiss(&counter.run);
        child.wait().await.unwrap();
    }
    took.sort();
    println!(
        "asked for a launch until told of the start: {:?} median, {:?} best",
        took[took.len() / 2],
        took[0]
    );

    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .unwrap()
    };
    let before = memory();
    let mut idle = vec![];
    for _ in 0..100 {
        idle.push(run("exec sleep 1000").await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("this side grew by {} KiB for each of 100 idle agents", (memory().saturating_sub(before)) / 100);
    let pid = idle[0].1.id().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        println!("an idle agent: {line}");
    }
    for (counter, child) in &mut idle {
        link.dismiss(&counter.run);
        child.wait().await.unwrap();
    }
}
