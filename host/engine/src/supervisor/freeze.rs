//! Freezing a container's processes, and letting them go on.

use std::sync::Arc;

use sockerless_ports::link::{
    LinkError,
    request::{Reply, Request},
};

use super::run_id;
use crate::{Engine, Error, ErrorKind, Result, containers::Entry, tuning};

impl Engine {
    /// Freezes the processes of a run, or thaws them. Errors: 500 in the agent's words, or when it does not answer in time.
    pub(crate) async fn hold(&self, entry: &Entry, generation: u32, freeze: bool) -> Result<()> {
        let request = if freeze { Request::Freeze } else { Request::Thaw };
        let run = run_id(entry, generation);
        let internal = |message: String| Error::new(ErrorKind::Internal, message);
        let answer = tokio::time::timeout(tuning::FREEZE_PATIENCE, self.link.open(&run, request)).await;
        match answer {
            Ok(Ok((Reply::Ready, _))) => Ok(()),
            Ok(Ok((Reply::Failed(fault), _))) => Err(internal(fault.message)),
            Ok(Ok(_)) => Err(internal("the agent gave an answer to another question".into())),
            Ok(Err(LinkError::Closed | LinkError::Unknown)) => {
                Err(Error::new(ErrorKind::Conflict, format!("container {} is not running", entry.id())))
            }
            Err(_) => Err(internal(format!(
                "the container's agent did not answer within {} seconds",
                tuning::FREEZE_PATIENCE.as_secs()
            ))),
        }
    }

    /// Lets the processes of a run that is to end go on.
    pub(super) fn thaw_to_end(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            if let Err(error) = engine.hold(&entry, generation, false).await {
                tracing::warn!(container = entry.id(), %error, "a container that shall end could not be thawed");
            }
        });
    }

    /// After a restart of the daemon: what is kept as paused is frozen, even if the one before died in between.
    pub(super) fn freeze_again(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            let run = run_id(&entry, generation);
            let mut view = entry.subscribe();
            let open = engine.link.open(&run, Request::Freeze);
            tokio::select! {
                biased;
                _ = view.wait_for(|view| view.state.generation != generation || !view.state.paused) => {}
                // An error says that the run is over, and a fault that it was not frozen before either.
                _ = open => {}
            }
        });
    }
}
