//! Asking an agent to bring a synced volume in or back.

use futures_util::TryStreamExt;
use sockerless_ports::link::{
    RunId,
    request::Request,
    sync::{Sync, Synced},
};
use tokio::time::timeout;

use crate::{Engine, Error, ErrorKind, tuning};

/// Why an agent has not done it.
pub(crate) enum Unsynced {
    /// Nothing moved for [`tuning::SYNC_STALL`].
    Stalled,
    /// Its own words, or it is gone.
    Failed(Error),
}

impl Engine {
    /// Takes as long as something moves.
    pub(crate) async fn ask_synced(&self, run: &RunId, sync: Sync) -> Result<Synced, Unsynced> {
        let failed = |error: String| Unsynced::Failed(Error::new(ErrorKind::Internal, error));
        let request = Request::Sync(Box::new(sync));
        let mut pieces =
            self.fetch(run, request).await.map_err(|problem| Unsynced::Failed(problem.plain()))?;
        let mut answer = Vec::new();
        loop {
            // Whatever comes says that something has moved.
            let next = timeout(tuning::SYNC_STALL, pieces.try_next()).await.map_err(|_| Unsynced::Stalled)?;
            match next.map_err(|error| failed(error.to_string()))? {
                Some(piece) => answer.extend_from_slice(&piece),
                None => break,
            }
        }
        serde_json::from_slice(&answer)
            .map_err(|error| failed(format!("the agent's answer cannot be read: {error}")))
    }
}
