//! The runs that this daemon looks after.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
};

use sockerless_ports::{
    Link,
    backend::{JobHandle, JobStatus},
    link::{Admission, AgentEvents, Digest, LinkError, RunId},
};
use tokio::sync::{Mutex, mpsc, watch};

use super::Intent;
use crate::{Engine, Result};

/// One start of one container, from its first effect until its job is gone.
pub(crate) struct Run {
    pub id: RunId,
    commands: mpsc::UnboundedSender<Command>,
    signals: mpsc::UnboundedSender<i32>,
    /// The agent is connected.
    pub line: watch::Sender<bool>,
    /// What is kept of the job, once it is decided on.
    pub intent: Mutex<Option<Intent>>,
}

/// What a run's task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Have the cloud end the job.
    Stop { grace: u32 },
    /// The cloud's word on the job.
    Status(Box<JobStatus>),
}

/// The receiving ends of a run, for its task.
pub(crate) struct Orders {
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub signals: mpsc::UnboundedReceiver<i32>,
}

impl Run {
    pub fn new(id: RunId, intent: Option<Intent>) -> (Arc<Self>, Orders) {
        // Unbounded: what is sent is what users and clouds say, a few bytes now and then.
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (signals, signals_rx) = mpsc::unbounded_channel();
        let run = Self { id, commands, signals, line: watch::Sender::new(false), intent: Mutex::new(intent) };
        (Arc::new(run), Orders { commands: commands_rx, signals: signals_rx })
    }

    /// A closed channel means that the run is over, and with it the wish.
    pub fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// In the order in which they are given.
    pub fn signal(&self, signal: i32) {
        let _ = self.signals.send(signal);
    }

    /// Keeps the job's handle when it is a new one; its spec, with the ticket, is not needed any more.
    pub async fn keep_handle(&self, engine: &Engine, handle: &JobHandle) -> Result<()> {
        self.change(engine, |intent| {
            intent.handle = Some(handle.clone());
            intent.spec = None;
        })
        .await
    }

    /// Keeps the hash of the agent's secret.
    pub async fn keep_secret(&self, engine: &Engine, secret: Digest) -> Result<()> {
        self.change(engine, |intent| intent.secret = Some(secret)).await
    }

    async fn change(&self, engine: &Engine, change: impl FnOnce(&mut Intent)) -> Result<()> {
        let mut guard = self.intent.lock().await;
        if let Some(before) = guard.as_ref() {
            let mut intent = before.clone();
            change(&mut intent);
            if *before != intent {
                engine.commit(vec![intent.put()?]).await?;
                *guard = Some(intent);
            }
        }
        Ok(())
    }

    /// Lets the run's agent in, if it has one.
    pub async fn admit(&self, link: &dyn Link, events: Arc<dyn AgentEvents>) {
        if let Some(intent) = self.intent.lock().await.as_ref()
            && let Some(ticket) = intent.ticket
        {
            link.admit(Admission { run: self.id.clone(), ticket, secret: intent.secret }, events);
        }
    }
}

/// Passes signals on, one after the other: while the line is down they wait.
pub(super) async fn pass_signals(link: Arc<dyn Link>, run: RunId, mut signals: mpsc::UnboundedReceiver<i32>) {
    while let Some(signal) = signals.recv().await {
        match link.signal(&run, signal).await {
            Ok(()) | Err(LinkError::Closed) => {}
            Err(LinkError::Unknown) => return,
        }
    }
}

/// All runs, and the names of all jobs that somebody looks after.
#[derive(Default)]
pub(crate) struct Runs {
    runs: SyncMutex<HashMap<RunId, Arc<Run>>>,
    jobs: SyncMutex<HashSet<String>>,
}

impl Runs {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, HashSet<String>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, id: &RunId) -> Option<Arc<Run>> {
        self.runs().get(id).cloned()
    }

    pub fn insert(&self, run: &Arc<Run>) {
        self.runs().insert(run.id.clone(), Arc::clone(run));
    }

    pub fn remove(&self, id: &RunId) {
        self.runs().remove(id);
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
