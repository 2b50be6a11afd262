//! What was begun in a cloud and is not yet known to have ended.

use serde::{Deserialize, Serialize};
use sockerless_ports::{
    backend::{JobHandle, JobSpec},
    link::{Digest, RunId},
    store::{Change, Kind, Record},
};

use tokio::sync::Mutex;

use crate::{Engine, Error, ErrorKind, Result};

/// A job's durable trace: written before the cloud hears of the job, removed when the job is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The job's name, and this record's key.
    pub job: String,
    pub run: RunId,
    /// The backend's name.
    pub backend: String,
    /// Kept until the job's handle is known, so that a repetition is identical. The ticket stands in
    /// it in clear, and goes with it.
    pub spec: Option<JobSpec>,
    /// Hash of the ticket; none without an agent.
    pub ticket: Option<Digest>,
    /// Hash of the agent's secret, once it is bound.
    pub secret: Option<Digest>,
    /// Known once the cloud has answered.
    pub handle: Option<JobHandle>,
    /// The agents of a job of several containers (a pod), in the order of the containers; empty for a job of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatRecord>,
    /// Of a pod that nobody needs any more: others may do what its places were made for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// What is kept of one agent of a pod's job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeatRecord {
    /// The run that it was made for.
    pub run: RunId,
    /// The generation that it did last, as far as its container does not say.
    pub serves: u32,
    /// How many bytes of that generation's outputs it was told are kept: its log may be gone when the agent comes back.
    #[serde(default)]
    pub kept: [u64; 2],
    /// Hash of its ticket.
    pub ticket: Digest,
    /// Hash of its secret, once it is bound.
    pub secret: Option<Digest>,
}

impl Intent {
    /// The change that keeps it.
    pub fn put(&self) -> Result<Change> {
        let content = serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("intent {}: {error}", self.job)))?;
        Ok(Change::Put(Kind::Intent, Record { key: self.job.clone(), content }))
    }

    /// The change that forgets it.
    pub fn delete(&self) -> Change {
        Change::Delete(Kind::Intent, self.job.clone())
    }
}

/// A job's intent, once it is decided on, and its changes, each durable when it returns.
pub(crate) struct Ledger(Mutex<Option<Intent>>);

impl Ledger {
    pub fn new(intent: Option<Intent>) -> Self {
        Self(Mutex::new(intent))
    }

    pub async fn get(&self) -> Option<Intent> {
        self.0.lock().await.clone()
    }

    /// Takes what is durable already.
    pub async fn set(&self, intent: Intent) {
        *self.0.lock().await = Some(intent);
    }

    /// Keeps the job's handle when it is a new one; its spec, with the tickets, is not needed any more.
    pub async fn keep_handle(&self, engine: &Engine, handle: &JobHandle) -> Result<()> {
        self.change(engine, |intent| {
            intent.handle = Some(handle.clone());
            intent.spec = None;
        })
        .await
    }

    pub async fn change(&self, engine: &Engine, change: impl FnOnce(&mut Intent)) -> Result<()> {
        let mut guard = self.0.lock().await;
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
}
