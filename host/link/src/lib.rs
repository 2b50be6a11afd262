//! Agents' connections and the streams they carry.
//!
//! [`AgentLink`] implements the engine's port [`Link`]. It listens for agents ([`AgentLink::serve`]), lets in who knows the
//! ticket or the bound secret of an admitted run, and carries bytes both ways. Per connection there are three loops: one
//! receives, one tells the engine in order, one sends; each pulls from bounded state that is kept per run, so that
//! a slow engine, a slow process or a broken line holds up nobody else and grows nothing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod channel;
mod door;
mod gate;
mod relay;
mod run;
mod server;
mod session;
mod tuning;

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
pub use sockerless_agent_wire::PATH;
use sockerless_ports::link::{
    Admission, AgentEvents, Channel, Link, LinkError, Mesh, Route, RunId, TerminalSize,
    request::{Reply, Request},
};

use crate::{channel::Opening, run::Run};

/// How agents reach the daemon.
#[derive(Clone, Default)]
pub struct AgentLinkConfig {
    /// The address that agents are given: `ws://host:port/agent/v1` or `wss://…`. None: containers run without agents.
    pub callback_url: Option<String>,
    /// With it the listener speaks TLS only.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// All agents' connections.
pub struct AgentLink {
    config: AgentLinkConfig,
    runs: Mutex<HashMap<RunId, Arc<Run>>>,
    mesh: OnceLock<Arc<dyn Mesh>>,
}

impl AgentLink {
    /// Without any run and without a listener; see [`AgentLink::serve`].
    pub fn new(config: AgentLinkConfig) -> Arc<Self> {
        Arc::new(Self { config, runs: Mutex::default(), mesh: OnceLock::new() })
    }

    /// Accepts agents until the future is dropped, which cuts all their lines. They come back to the next listener.
    ///
    /// Admit what runs before this: an agent that nobody awaits is sent away for a while, and ends in the end.
    /// A listener that fails is told in the log, and tried again.
    pub async fn serve(self: Arc<Self>, listener: tokio::net::TcpListener) {
        server::serve(self, listener).await;
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The admitted run of this name (`<container id>.<generation>`).
    fn named(&self, name: &str) -> Option<Arc<Run>> {
        let (container, generation) = name.rsplit_once('.')?;
        let id = RunId { container: container.to_owned(), generation: generation.parse().ok()? };
        self.runs().get(&id).cloned()
    }

    /// The agent of a run has come for the next one.
    fn succeeded(&self, run: &Run) {
        self.runs().remove(&run.id);
        run.end();
    }

    /// Asks the engine for a run's view of the mesh, if there is somebody to ask and to tell. No state may be locked.
    fn look(&self, run: &Run) {
        let Some(mesh) = self.mesh.get() else { return };
        let question = run.state().mesh.ask();
        let view = mesh.view(&run.id);
        if run.state().mesh.answer(question, view) {
            run.to_send.notify_one();
        }
    }

    /// See `Mesh::api`.
    fn api(&self, from: &RunId) -> Option<std::path::PathBuf> {
        self.mesh.get().and_then(|mesh| mesh.api(from))
    }

    /// See `Mesh::route`.
    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        self.mesh.get().map_or(Route::Foreign, |mesh| mesh.route(from, to))
    }

    fn run(&self, id: &RunId) -> Result<Arc<Run>, LinkError> {
        self.runs().get(id).cloned().ok_or(LinkError::Unknown)
    }
}

#[async_trait]
impl Link for AgentLink {
    fn callback_url(&self) -> Option<String> {
        self.config.callback_url.clone()
    }

    fn admit(&self, admission: Admission, events: Arc<dyn AgentEvents>) {
        let mut runs = self.runs();
        let mut run = Run::new(admission, events);
        if let Some(old) = runs.remove(&run.id) {
            old.end();
            (run.socket, run.turn) = (Arc::clone(&old.socket), Arc::clone(&old.turn));
            run = run.follow(old.before());
        }
        runs.insert(run.id.clone(), Arc::new(run));
    }

    fn dismiss(&self, run: &RunId) {
        let mut runs = self.runs();
        let mut next = runs.remove(run);
        while let Some(run) = next {
            run.end();
            // Its agent may not have heard of it, and still do the one before.
            next = run.take_before().and_then(|before| runs.remove(&before.id));
        }
    }

    fn is_connected(&self, run: &RunId) -> bool {
        self.run(run).is_ok_and(|run| run.state().connected)
    }

    async fn write_stdin(&self, run: &RunId, bytes: Bytes) -> Result<(), LinkError> {
        self.run(run)?.write(bytes).await
    }

    async fn close_stdin(&self, run: &RunId) -> Result<(), LinkError> {
        self.run(run)?.close().await
    }

    async fn signal(&self, run: &RunId, signal: i32) -> Result<(), LinkError> {
        self.run(run)?.signal(signal).await
    }

    async fn resize(&self, run: &RunId, size: TerminalSize) -> Result<(), LinkError> {
        self.run(run)?.resize(size)
    }

    async fn open(&self, run: &RunId, request: Request) -> Result<(Reply, Box<dyn Channel>), LinkError> {
        channel::open(self.run(run)?, Opening::Request(request)).await
    }

    async fn adopt(&self, run: &RunId, exec: &str) -> Result<Box<dyn Channel>, LinkError> {
        match channel::open(self.run(run)?, Opening::Exec(exec.to_owned())).await? {
            (Reply::Failed(_), _) => Err(LinkError::Closed),
            (_, channel) => Ok(channel),
        }
    }

    fn succeed(&self, run: &RunId, next: Admission, events: Arc<dyn AgentEvents>) -> Result<(), LinkError> {
        let mut runs = self.runs();
        let before = runs.get(run).cloned().ok_or(LinkError::Unknown)?;
        before.state().succeed(next.run.to_string());
        before.to_send.notify_one();
        let next = Run::new(next, events).follow(Some(before));
        if let Some(old) = runs.insert(next.id.clone(), Arc::new(next)) {
            old.end();
        }
        Ok(())
    }

    fn join(&self, mesh: Arc<dyn Mesh>) {
        // The first one stays.
        let _ = self.mesh.set(mesh);
    }

    fn refresh(&self, run: &RunId) {
        if let Ok(run) = self.run(run) {
            self.look(&run);
        }
    }
}
