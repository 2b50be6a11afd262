//! A job of several containers.

use sockerless_ports::{backend::JobHandle, link::RunId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::key::Key;
use crate::{Engine, life::Phase, supervisor::Ledger};

/// See the module.
pub(crate) struct Pod {
    pub job: String,
    /// The backend's name.
    pub backend: String,
    /// None for one of an earlier daemon whose containers are gone.
    pub key: Option<Key>,
    pub ledger: Ledger,
    /// What its agents were made for, in the order of the job's containers.
    pub members: Vec<RunId>,
    progress: watch::Sender<Progress>,
    /// Counts the changes of its members.
    changed: watch::Sender<u64>,
    /// Its job is not needed any more.
    pub over: CancellationToken,
    /// That is durable, and its agents are dismissed: what its places were made for can be done elsewhere.
    pub closed: CancellationToken,
}

/// How far the making of a job has come.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    Making,
    Up(JobHandle),
    /// In the provider's words.
    Failed(String),
}

impl Pod {
    pub fn new(job: String, backend: String, key: Option<Key>, ledger: Ledger, members: Vec<RunId>) -> Self {
        Self {
            job,
            backend,
            key,
            ledger,
            members,
            progress: watch::Sender::new(Progress::Making),
            changed: watch::Sender::new(0),
            over: CancellationToken::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Something about a member has changed.
    pub fn poke(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn proceed(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }

    /// Waits until its job is up. Errors: the provider's words.
    pub(super) async fn up(&self) -> Result<JobHandle, String> {
        let mut progress = self.progress.subscribe();
        let made = progress.wait_for(|progress| !matches!(progress, Progress::Making)).await;
        match made.map(|progress| progress.clone()) {
            Ok(Progress::Up(handle)) => Ok(handle),
            Ok(Progress::Failed(message)) => Err(message),
            // The sender lives as long as the pod.
            Ok(Progress::Making) | Err(_) => Err("the job was given up".into()),
        }
    }

    /// Whether any member but this one runs there, is about to, or has files there that are not saved yet.
    pub fn has_others(&self, engine: &Engine, than: usize) -> bool {
        let mut others = self.members.iter().enumerate().filter(|(index, _)| *index != than);
        others.any(|(_, run)| {
            let entry = engine.containers.get(&run.container);
            entry.is_some_and(|entry| entry.view().state.needs_job(run.generation))
        })
    }

    /// Whether any member's process runs there.
    pub(super) fn is_up(&self, engine: &Engine) -> bool {
        self.members.iter().any(|run| {
            let entry = engine.containers.get(&run.container);
            entry.is_some_and(|entry| {
                let state = &entry.view().state;
                state.host == run.generation && state.phase == Phase::Running
            })
        })
    }

    /// Waits until no member runs.
    pub async fn quiet(&self, engine: &Engine) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if !self.members.iter().any(|run| is_up(engine, run)) || changed.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether a container runs, or is about to, in the job that was made with a place for this run.
fn is_up(engine: &Engine, run: &RunId) -> bool {
    engine.containers.get(&run.container).is_some_and(|entry| {
        let state = &entry.view().state;
        state.host == run.generation && (state.is_live() || state.is_up())
    })
}
