//! What was begun in a cloud and is not yet known to have ended.

use serde::{Deserialize, Serialize};
use sockerless_ports::{
    backend::{JobHandle, JobSpec},
    link::{Digest, RunId},
    store::{Change, Kind, Record},
};

use crate::{Error, ErrorKind, Result};

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
