//! Asking an agent to bring a synced volume in or back.

use futures_util::TryStreamExt;
use sockerless_ports::link::{
    RunId,
    request::Request,
    sync::{Sync, Synced},
};

use super::agent::Problem;
use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// Errors: the agent's, or it is gone.
    pub(crate) async fn ask_synced(&self, run: &RunId, sync: Sync) -> Result<Synced> {
        let answer = self.fetch(run, Request::Sync(Box::new(sync))).await.map_err(Problem::plain)?;
        let failed = |error: String| Error::new(ErrorKind::Internal, error);
        let answer: Vec<_> = answer.try_collect().await.map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&answer.concat())
            .map_err(|error| failed(format!("the agent's answer cannot be read: {error}")))
    }
}
