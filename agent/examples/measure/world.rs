//! A daemon's side that counts, and agents for it.

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
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
use tokio::{
    process::{Child, Command},
    sync::Notify,
};

/// Counts what it is told.
pub struct Counter {
    launch: Launch,
    pub bytes: AtomicU64,
    pub calls: AtomicU64,
    pub errors: Mutex<Vec<u8>>,
    asked: Mutex<Option<Instant>>,
    pub started: Notify,
    pub exited: Notify,
    /// From being asked for a launch to being told of the start.
    pub took: Mutex<Duration>,
}

impl Counter {
    pub fn new(script: &str) -> Arc<Self> {
        Arc::new(Self {
            launch: Launch {
                argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
                env: vec!["PATH=/usr/bin:/bin".into()],
                ..Launch::default()
            },
            bytes: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            errors: Mutex::default(),
            asked: Mutex::new(None),
            started: Notify::new(),
            exited: Notify::new(),
            took: Mutex::default(),
        })
    }
}

#[async_trait]
impl AgentEvents for Counter {
    async fn bound(&self, _: &RunId, _: Digest) -> Result<(), Refusal> {
        Ok(())
    }
    async fn launch(&self, _: &RunId) -> Result<Option<Launch>, Refusal> {
        *self.asked.lock().unwrap() = Some(Instant::now());
        Ok(Some(self.launch.clone()))
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
    async fn output(&self, _: &RunId, output: Output, _: u64, bytes: Bytes) -> Result<(), Refusal> {
        if output == Output::Stderr {
            self.errors.lock().unwrap().extend_from_slice(&bytes);
            return Ok(());
        }
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

/// A link that serves, and starts agents.
pub struct World {
    pub link: Arc<AgentLink>,
    agent: String,
    port: u16,
    generation: AtomicU32,
    /// For what agents write of names.
    etc: tempfile::TempDir,
}

/// An agent and its run.
pub struct Run {
    pub id: RunId,
    pub counter: Arc<Counter>,
    pub child: Child,
}

impl World {
    pub async fn new(agent: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = AgentLink::new(AgentLinkConfig::default());
        tokio::spawn(Arc::clone(&link).serve(listener));
        Self { link, agent, port, generation: AtomicU32::new(0), etc: tempfile::tempdir().unwrap() }
    }

    pub fn admission(&self) -> Admission {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let run = RunId { container: "c".repeat(64), generation };
        Admission { run, ticket: Sha256::digest([7; 32]).into(), secret: None }
    }

    /// Has an agent run a script, and waits for its start.
    pub async fn run(&self, script: &str) -> Run {
        let admission = self.admission();
        let (id, counter) = (admission.run.clone(), Counter::new(script));
        self.link.admit(admission, Arc::clone(&counter) as _);
        let child = Command::new(&self.agent)
            .env_clear()
            .env("SOCKERLESS_CALLBACK_URL", format!("ws://127.0.0.1:{}/agent/v1", self.port))
            .env("SOCKERLESS_RUN", id.to_string())
            .env("SOCKERLESS_TICKET", "07".repeat(32))
            .env("SOCKERLESS_AGENT_ETC", self.etc.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        counter.started.notified().await;
        Run { id, counter, child }
    }

    /// Lets an agent go.
    pub async fn dismiss(&self, mut run: Run) {
        self.link.dismiss(&run.id);
        run.child.wait().await.unwrap();
    }
}
