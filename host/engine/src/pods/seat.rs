//! A member's place in a pod's job: its agent, which waits there until its container is started, and stays when that has ended.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
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
    /// The generation that the agent came for last, or is to come for.
    serves: AtomicU32,
    /// By generation, how many bytes of its outputs the agent was told are kept: it must not be told of fewer when it comes
    /// back, and the log goes with its container.
    told: Mutex<HashMap<u32, [u64; 2]>>,
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
            serves: AtomicU32::new(record.serves),
            told: Mutex::new(HashMap::from([(record.serves, record.kept)])),
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

    /// Nobody waits for its place to be taken, and nobody has it: its container has left it, or is gone.
    pub(super) fn is_left(&self, engine: &Engine) -> bool {
        self.spent.load(Ordering::SeqCst) && !self.is_needed(engine)
    }

    /// A process may run there that an earlier daemon has given up. Gives the job of the container that it belongs to, which
    /// ends when the agent says so.
    pub(super) fn mistrust(self: &Arc<Self>) -> Arc<Run> {
        let (run, _) = Run::new(self.run.clone(), self.serves.load(Ordering::SeqCst), None, true);
        run.sit(self);
        *self.runner() = Some(Arc::clone(&run));
        run
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

    /// Its job is gone: it and whoever did runs there hold each other no longer.
    pub(super) fn part(&self) {
        self.runner().take();
    }

    /// What the agent is known as.
    pub(super) fn name(&self) -> RunId {
        match &*self.runner() {
            Some(run) => run.id(run.generation()),
            None => RunId { generation: self.serves.load(Ordering::SeqCst), ..self.run.clone() },
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

    /// Keeps what the agent came for last, and how much of its output it was told is kept: before anything else forgets it.
    pub(super) async fn keep(&self, engine: &Engine) -> Result<()> {
        self.keep_where(engine, |_| true).await
    }

    async fn keep_where(&self, engine: &Engine, is_old: impl FnOnce(&SeatRecord) -> bool) -> Result<()> {
        let serves = self.serves.load(Ordering::SeqCst);
        let kept = self.told().get(&serves).copied().unwrap_or_default();
        let keep = |intent: &mut crate::supervisor::Intent| {
            if let Some(seat) = intent.seats.get_mut(self.index)
                && is_old(seat)
            {
                (seat.serves, seat.kept) = (serves, kept);
            }
        };
        self.pod.ledger.change(engine, keep).await
    }

    fn told(&self) -> MutexGuard<'_, HashMap<u32, [u64; 2]>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what the agent is to be told: never less than before.
    fn tell(&self, generation: u32, output: Output, kept: u64) -> u64 {
        let mut told = self.told();
        let told = &mut told.entry(generation).or_default()[place(output)];
        *told = kept.max(*told);
        *told
    }

    /// The agent has come for a generation, and will come for no earlier one. Kept before it is welcomed: its container knows
    /// that only once the process runs, and may be gone then.
    async fn came(&self, generation: u32) {
        self.told().retain(|known, _| *known == generation);
        self.serves.store(generation, Ordering::SeqCst);
        if let Some(engine) = self.engine.upgrade()
            // Whoever was here before may have been broken off.
            && let Err(error) = self.keep_where(&engine, |seat| seat.serves != generation).await
        {
            tracing::warn!(run = %self.run, %error, "what an agent is known as could not be kept");
        }
    }

    /// No process runs there any more.
    fn nothing_runs(&self) {
        if let Some(runner) = self.last_runner() {
            runner.busy.send_replace(false);
        }
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
        if self.listener().is_none() {
            // It has nothing to do, so there is no process.
            self.nothing_runs();
        }
        self.sitting().await;
    }

    async fn launch(&self, run: &RunId) -> std::result::Result<Option<Launch>, Refusal> {
        let Some(listener) = self.sitting().await else {
            return Err(Refusal("the pod's job is over".into()));
        };
        // It came when nobody was there to be told.
        listener.line(run, true).await;
        match listener.launch(run).await {
            Ok(launch) => Ok(launch),
            Err(Refusal(reason)) => {
                tracing::debug!(%run, reason, "a member's agent is told of nothing to start");
                self.nothing_runs();
                // An agent that is refused ends, and perhaps the whole job with it. This call must not last until that is
                // over: a new line of the agent waits for it.
                Ok(None)
            }
        }
    }

    async fn started(&self, run: &RunId, pid: u32) {
        if let Some(listener) = self.listener() {
            listener.started(run, pid).await;
        }
    }

    async fn failed(&self, run: &RunId, failure: LaunchFailure) {
        match self.listener() {
            Some(listener) => listener.failed(run, failure).await,
            None => self.nothing_runs(),
        }
    }

    async fn kept(&self, run: &RunId, output: Output) -> u64 {
        // This is asked before the agent is welcomed, and from then on it comes back under this name alone.
        self.came(run.generation).await;
        let kept = match (self.listener(), self.engine.upgrade()) {
            (Some(listener), _) => listener.kept(run, output).await,
            // What is thrown away counts as kept.
            (None, Some(engine)) => engine.logs.length(run, output).await.unwrap_or(0),
            (None, None) => 0,
        };
        self.tell(run.generation, output, kept)
    }

    async fn output(
        &self,
        run: &RunId,
        output: Output,
        offset: u64,
        bytes: Bytes,
    ) -> std::result::Result<(), Refusal> {
        let end = offset.saturating_add(bytes.len() as u64);
        let taken = match self.listener() {
            Some(listener) => listener.output(run, output, offset, bytes).await,
            None => Ok(()),
        };
        match self.engine.upgrade() {
            // Of a process that was given up, and is about to be killed: what is refused is thrown away, since an agent that
            // is refused ends, and perhaps the whole job with it.
            Some(engine) if !self.is_needed(&engine) => {
                self.tell(run.generation, output, end);
                if let Err(error) = self.keep(&engine).await {
                    tracing::warn!(%run, %error, "how much an agent was told is kept could not be kept");
                }
            }
            _ => {
                taken?;
                self.tell(run.generation, output, end);
            }
        }
        Ok(())
    }

    async fn exited(&self, run: &RunId, exit: Exit) {
        match self.listener() {
            Some(listener) => listener.exited(run, exit).await,
            None => self.nothing_runs(),
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
        if up {
            self.came(run.generation).await;
        }
        self.line.send_replace(up);
        if let Some(listener) = self.listener() {
            listener.line(run, up).await;
        }
    }
}

/// Where an output's number stands.
pub(super) fn place(output: Output) -> usize {
    match output {
        Output::Stdout => 0,
        Output::Stderr => 1,
    }
}
