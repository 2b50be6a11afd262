//! A member's place in a pod's job: its agent, which waits there until its container is started, and stays when that has ended.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_ports::link::{
    Admission, AgentEvents, Digest, Exit, Launch, LaunchFailure, Output, Refusal, RunId, request::Health,
};
use tokio::sync::watch;

use super::Pod;
use crate::{
    Engine, Result,
    supervisor::{Agents, Run, SeatRecord},
};

/// See the module. It hears what the agent says, and passes it on to whoever does a run there.
pub(crate) struct Seat {
    engine: Weak<Engine>,
    pub pod: Arc<Pod>,
    pub index: usize,
    /// What its agent was made for.
    pub run: RunId,
    /// The generation that the agent did last before this daemon, as far as its container does not say.
    serves: u32,
    /// Somebody does runs there at the moment.
    taken: AtomicBool,
    /// It is, or was, somebody's: nobody else can have it.
    spent: AtomicBool,
    /// Who does runs there, or did last.
    runner: Mutex<Option<Arc<Run>>>,
    /// Who hears the agent.
    listener: watch::Sender<Option<Arc<dyn AgentEvents>>>,
    /// The agent is connected.
    line: watch::Sender<bool>,
}

impl Seat {
    /// `waiting`: its container has not been started there yet.
    pub fn new(
        engine: Weak<Engine>,
        pod: &Arc<Pod>,
        index: usize,
        record: &SeatRecord,
        waiting: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            pod: Arc::clone(pod),
            index,
            run: record.run.clone(),
            serves: record.serves,
            taken: AtomicBool::new(false),
            spent: AtomicBool::new(!waiting),
            runner: Mutex::default(),
            listener: watch::Sender::new(None),
            line: watch::Sender::new(false),
        })
    }

    /// For the run that it was made for, once.
    pub(super) fn take(&self) -> bool {
        let free = !self.spent.swap(true, Ordering::SeqCst);
        if free {
            self.taken.store(true, Ordering::SeqCst);
        }
        free
    }

    /// For a run that was under way when the daemon ended.
    pub(super) fn take_again(&self) {
        self.spent.store(true, Ordering::SeqCst);
        self.taken.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::SeqCst)
    }

    /// Whether its container has, or is about to have, a run there.
    pub(super) fn is_needed(&self, engine: &Engine) -> bool {
        let entry = engine.containers.get(&self.run.container);
        entry.is_some_and(|entry| entry.view().state.needs_job(self.run.generation))
    }

    fn runner(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.runner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who does runs there, or did last.
    pub(super) fn last_runner(&self) -> Option<Arc<Run>> {
        self.runner().clone()
    }

    /// This job of a container does its runs there: what the agent says is heard from now on.
    pub(crate) fn sit(&self, run: &Arc<Run>) {
        *self.runner() = Some(Arc::clone(run));
        self.listener.send_replace(Some(Agents::events(Weak::clone(&self.engine), run)));
    }

    /// It does no more runs there. The agent stays: in some clouds the end of one container is that of all.
    pub(super) fn rise(&self) {
        self.listener.send_replace(None);
        self.taken.store(false, Ordering::SeqCst);
        self.pod.poke();
    }

    /// What the agent is known as.
    pub(super) fn name(&self) -> RunId {
        match &*self.runner() {
            Some(run) => run.id(run.generation()),
            None => RunId { generation: self.serves, ..self.run.clone() },
        }
    }

    /// Who may come in as its agent.
    pub(super) fn admission(&self, record: &SeatRecord) -> Admission {
        Admission { run: self.name(), ticket: record.ticket, secret: record.secret }
    }

    /// Keeps the hash of the agent's secret.
    pub async fn keep_secret(&self, engine: &Engine, secret: Digest) -> Result<()> {
        let keep = |intent: &mut crate::supervisor::Intent| {
            if let Some(seat) = intent.seats.get_mut(self.index) {
                seat.secret = Some(secret);
            }
        };
        self.pod.ledger.change(engine, keep).await
    }

    /// Keeps what the agent is known as.
    pub(super) async fn keep_name(&self, engine: &Engine) -> Result<()> {
        let serves = self.name().generation;
        let keep = |intent: &mut crate::supervisor::Intent| {
            if let Some(seat) = intent.seats.get_mut(self.index) {
                seat.serves = serves;
            }
        };
        self.pod.ledger.change(engine, keep).await
    }

    /// Whether the agent is connected.
    pub(super) fn is_connected(&self) -> bool {
        *self.line.borrow()
    }

    /// Waits until the agent's line is up, or down.
    pub(super) async fn line_is(&self, wanted: bool) {
        // The sender lives as long as the seat.
        let _ = self.line.subscribe().wait_for(|up| *up == wanted).await;
    }

    fn listener(&self) -> Option<Arc<dyn AgentEvents>> {
        self.listener.borrow().clone()
    }

    /// Waits until somebody does a run there; none when nobody will.
    async fn sitting(&self) -> Option<Arc<dyn AgentEvents>> {
        let mut listener = self.listener.subscribe();
        let sitting = async { listener.wait_for(Option::is_some).await.ok()?.clone() };
        self.pod.over.run_until_cancelled(sitting).await.flatten()
    }
}

#[async_trait]
impl AgentEvents for Seat {
    async fn bound(&self, _: &RunId, secret: Digest) -> std::result::Result<(), Refusal> {
        let engine = self.engine.upgrade().ok_or_else(|| Refusal("the daemon is shutting down".into()))?;
        self.keep_secret(&engine, secret).await.map_err(|error| Refusal(error.message))
    }

    async fn wanted(&self, _: &RunId) {
        self.sitting().await;
    }

    async fn launch(&self, run: &RunId) -> std::result::Result<Launch, Refusal> {
        let Some(listener) = self.sitting().await else {
            return Err(Refusal("the pod's job is over".into()));
        };
        // It came when nobody was there to be told.
        listener.line(run, true).await;
        match listener.launch(run).await {
            Ok(launch) => Ok(launch),
            Err(refusal) => {
                // It is told of nothing to start.
                if let Some(runner) = self.last_runner() {
                    runner.busy.send_replace(false);
                }
                // An agent that is refused ends, and perhaps the whole job with it.
                self.pod.over.cancelled().await;
                Err(refusal)
            }
        }
    }

    async fn started(&self, run: &RunId, pid: u32) {
        if let Some(listener) = self.listener() {
            listener.started(run, pid).await;
        }
    }

    async fn failed(&self, run: &RunId, failure: LaunchFailure) {
        if let Some(listener) = self.listener() {
            listener.failed(run, failure).await;
        }
    }

    async fn kept(&self, run: &RunId, output: Output) -> u64 {
        match (self.listener(), self.engine.upgrade()) {
            (Some(listener), _) => listener.kept(run, output).await,
            // What is thrown away counts as kept.
            (None, Some(engine)) => engine.logs.length(run, output).await.unwrap_or(0),
            (None, None) => 0,
        }
    }

    async fn output(
        &self,
        run: &RunId,
        output: Output,
        offset: u64,
        bytes: Bytes,
    ) -> std::result::Result<(), Refusal> {
        match self.listener() {
            Some(listener) => listener.output(run, output, offset, bytes).await,
            // Of a process that was given up, and is about to be killed.
            None => Ok(()),
        }
    }

    async fn exited(&self, run: &RunId, exit: Exit) {
        match self.listener() {
            Some(listener) => listener.exited(run, exit).await,
            None => {
                if let Some(runner) = self.last_runner() {
                    runner.busy.send_replace(false);
                }
            }
        }
    }

    async fn health(&self, run: &RunId, health: Health) {
        if let Some(listener) = self.listener() {
            listener.health(run, health).await;
        }
    }

    async fn leaving(&self, run: &RunId) {
        if let Some(listener) = self.listener() {
            listener.leaving(run).await;
        }
    }

    async fn line(&self, run: &RunId, up: bool) {
        self.line.send_replace(up);
        if let Some(listener) = self.listener() {
            listener.line(run, up).await;
        }
    }
}
