//! The runs that this daemon looks after.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex as SyncMutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use sockerless_ports::{
    Link,
    backend::JobStatus,
    link::{Admission, AgentEvents, Digest, LinkError, RunId},
};
use tokio::sync::{mpsc, watch};

use super::{Intent, intent::Ledger};
use crate::{Engine, Result, pods::Seat};

/// One job of one container, from its first effect until it is gone, with the runs that it hosts one after the other.
pub(crate) struct Run {
    /// The first run, which the job was made for.
    pub host: RunId,
    /// The generation that the job's agent does now.
    generation: AtomicU32,
    /// The generations that it is known by.
    known: SyncMutex<Vec<u32>>,
    commands: mpsc::UnboundedSender<Command>,
    signals: mpsc::UnboundedSender<(RunId, i32)>,
    /// The agent is connected.
    pub line: watch::Sender<bool>,
    /// A process of the container may run there: the agent was told to start one, and nobody has seen the end.
    pub busy: watch::Sender<bool>,
    /// Its agent has asked what to start, and is given the files for that.
    pub furnishing: AtomicBool,
    /// What is kept of a job of its own.
    own: Ledger,
    /// Its place in the job of a pod, if it has one.
    seat: OnceLock<Arc<Seat>>,
    /// It is decided whether it has.
    decided: AtomicBool,
}

/// What a run's task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Have the cloud end the job.
    Stop { grace: u32 },
    /// The cloud's word on the job.
    Status(Box<JobStatus>),
    /// Have the agent do another run in place.
    /// `published`: its ports are bound already.
    Succeed { from: u32, generation: u32, published: bool },
}

/// The receiving ends of a run, for its task.
pub(crate) struct Orders {
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub signals: mpsc::UnboundedReceiver<(RunId, i32)>,
}

impl Run {
    /// `generation`: what its agent does now. `busy`: a process may run there.
    pub fn new(host: RunId, generation: u32, intent: Option<Intent>, busy: bool) -> (Arc<Self>, Orders) {
        // Unbounded: what is sent is what users and clouds say, a few bytes now and then.
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (signals, signals_rx) = mpsc::unbounded_channel();
        let run = Self {
            host,
            generation: AtomicU32::new(generation),
            known: SyncMutex::default(),
            commands,
            signals,
            line: watch::Sender::new(false),
            busy: watch::Sender::new(busy),
            furnishing: AtomicBool::new(false),
            own: Ledger::new(intent),
            seat: OnceLock::new(),
            decided: AtomicBool::new(false),
        };
        (Arc::new(run), Orders { commands: commands_rx, signals: signals_rx })
    }

    /// The run of a generation in this job.
    pub fn id(&self, generation: u32) -> RunId {
        RunId { container: self.host.container.clone(), generation }
    }

    /// The generation that the agent does now.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// A closed channel means that the run is over, and with it the wish.
    pub fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// In the order in which they are given.
    pub fn signal(&self, run: RunId, signal: i32) {
        let _ = self.signals.send((run, signal));
    }

    /// What is kept of its job, of which it may be one of several.
    pub fn ledger(&self) -> &Ledger {
        self.seat().map_or(&self.own, |seat| &seat.pod.ledger)
    }

    /// Its place in a pod.
    pub fn seat(&self) -> Option<&Arc<Seat>> {
        self.seat.get()
    }

    /// Has its place in a pod from now on; once.
    pub fn sit(&self, seat: &Arc<Seat>) {
        // The first one stays.
        let _ = self.seat.set(Arc::clone(seat));
    }

    /// It is clear in which job it is.
    pub fn decide(&self) {
        self.decided.store(true, Ordering::SeqCst);
    }

    pub fn is_decided(&self) -> bool {
        self.decided.load(Ordering::SeqCst)
    }

    /// Keeps the hash of the agent's secret.
    pub async fn keep_secret(&self, engine: &Engine, secret: Digest) -> Result<()> {
        match self.seat() {
            Some(seat) => seat.keep_secret(engine, secret).await,
            None => self.own.change(engine, |intent| intent.secret = Some(secret)).await,
        }
    }

    /// Lets the job's agent in, if it has one, for the run that it does now.
    pub async fn admit(&self, link: &dyn Link, events: Arc<dyn AgentEvents>) {
        if let Some(admission) = self.admission(self.generation()).await {
            link.admit(admission, events);
        }
    }

    /// Has the agent of the run `from` do another one. Errors: there is no such agent.
    pub async fn succeed(
        &self,
        link: &dyn Link,
        from: u32,
        generation: u32,
        events: Arc<dyn AgentEvents>,
    ) -> std::result::Result<(), LinkError> {
        let next = self.admission(generation).await.ok_or(LinkError::Unknown)?;
        self.generation.store(generation, Ordering::SeqCst);
        link.succeed(&self.id(from), next, events)
    }

    /// The agent is the same for all runs of the job, and so is its secret.
    async fn admission(&self, generation: u32) -> Option<Admission> {
        let intent = self.ledger().get().await?;
        let (ticket, secret) = match self.seat() {
            Some(seat) => intent.seats.get(seat.index).map(|kept| (kept.ticket, kept.secret))?,
            None => (intent.ticket?, intent.secret),
        };
        Some(Admission { run: self.id(generation), ticket, secret })
    }

    /// Waits until no process of the container can run there any more.
    pub async fn idle(&self) {
        // The sender lives as long as the run.
        let _ = self.busy.subscribe().wait_for(|busy| !busy).await;
    }
}

/// Gives the run if it was this job's: another one may have taken it over.
fn forget(runs: &mut HashMap<RunId, Arc<Run>>, run: &Arc<Run>, generation: u32) -> Option<RunId> {
    let id = run.id(generation);
    let own = runs.get(&id).is_some_and(|known| Arc::ptr_eq(known, run));
    own.then(|| runs.remove(&id))?;
    Some(id)
}

/// Passes signals on, one after the other: while the line is down they wait.
pub(crate) async fn pass_signals(link: Arc<dyn Link>, mut signals: mpsc::UnboundedReceiver<(RunId, i32)>) {
    while let Some((run, signal)) = signals.recv().await {
        // An error says that the process, or the run, was faster.
        let _ = link.signal(&run, signal).await;
    }
}

/// All runs, and the names of all jobs that somebody looks after.
#[derive(Default)]
pub(crate) struct Runs {
    runs: SyncMutex<HashMap<RunId, Arc<Run>>>,
    /// By container, those whose jobs are not known to be gone.
    hosts: SyncMutex<HashMap<String, Vec<Arc<Run>>>>,
    jobs: SyncMutex<HashSet<String>>,
}

impl Runs {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Run>>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, HashSet<String>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that does a run.
    pub fn get(&self, id: &RunId) -> Option<Arc<Run>> {
        self.runs().get(id).cloned()
    }

    /// The run of a generation is this job's from now on. So is, for a while, the one that its agent has done before.
    pub fn insert(&self, run: &Arc<Run>, generation: u32) {
        let mut runs = self.runs();
        let mut known = run.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|old| {
            let current = *old >= run.generation();
            if !current {
                forget(&mut runs, run, *old);
            }
            current
        });
        known.push(generation);
        runs.insert(run.id(generation), Arc::clone(run));
    }

    /// Forgets a job; gives the runs that were still its own.
    pub fn remove(&self, run: &Arc<Run>) -> Vec<RunId> {
        let mut runs = self.runs();
        let known = std::mem::take(&mut *run.known.lock().unwrap_or_else(PoisonError::into_inner));
        known.into_iter().filter_map(|generation| forget(&mut runs, run, generation)).collect()
    }

    /// The job that was made for a run, as long as it is not known to be gone.
    pub fn host(&self, id: &RunId) -> Option<Arc<Run>> {
        self.hosts().get(&id.container)?.iter().find(|run| run.host == *id).cloned()
    }

    /// From before the cloud hears of its job until that is gone.
    pub fn enter(&self, run: &Arc<Run>) {
        self.hosts().entry(run.host.container.clone()).or_default().push(Arc::clone(run));
    }

    /// Its job is gone.
    pub fn leave(&self, run: &Arc<Run>) {
        run.busy.send_replace(false);
        let mut hosts = self.hosts();
        if let Some(of_container) = hosts.get_mut(&run.host.container) {
            of_container.retain(|known| !Arc::ptr_eq(known, run));
            if of_container.is_empty() {
                hosts.remove(&run.host.container);
            }
        }
    }

    /// The other jobs of the same container.
    pub fn others(&self, run: &Arc<Run>) -> Vec<Arc<Run>> {
        let hosts = self.hosts();
        let all = hosts.get(&run.host.container).into_iter().flatten();
        all.filter(|known| !Arc::ptr_eq(known, run)).cloned().collect()
    }

    /// From before the cloud hears of a job until it is gone.
    pub fn know_job(&self, job: &str) {
        self.jobs().insert(job.to_owned());
    }

    pub fn forget_job(&self, job: &str) {
        self.jobs().remove(job);
    }

    /// Whether there is any job that somebody looks after.
    pub fn knows_any_job(&self) -> bool {
        !self.jobs().is_empty()
    }

    pub fn knows_job(&self, job: &str) -> bool {
        self.jobs().contains(job)
    }
}
