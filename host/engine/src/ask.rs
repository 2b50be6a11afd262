//! Asking an agent for something, with words for when it is out of reach.

use std::sync::Arc;

use sockerless_ports::link::{
    Channel, LinkError, RunId,
    request::{Fault, FaultKind, Reply, Request},
};

use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, View},
    life::Phase,
    tuning,
};

impl Engine {
    /// Opens a channel to a run's agent. A line that is down is awaited for a while.
    ///
    /// Errors: 409 when the run is over, 503 when the agent cannot be reached or does not answer. What the agent itself
    /// refuses is in the reply.
    pub(crate) async fn ask(&self, run: &RunId, request: Request) -> Result<(Reply, Box<dyn Channel>)> {
        match tokio::time::timeout(tuning::LINE_PATIENCE, self.link.open(run, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(LinkError::Unknown | LinkError::Closed)) => Err(not_running(&run.container)),
            Err(_) => Err(self.out_of_reach(run)),
        }
    }

    /// The error of an agent that is awaited in vain.
    pub(crate) fn out_of_reach(&self, run: &RunId) -> Error {
        let seconds = tuning::LINE_PATIENCE.as_secs();
        let what = if self.link.is_connected(run) {
            format!("is connected but has not answered for {seconds} seconds")
        } else {
            format!(
                "has lost its connection to this daemon and did not come back within {seconds} seconds; the container \
                 itself goes on, and the agent keeps dialling"
            )
        };
        Error::new(
            ErrorKind::Unavailable,
            format!("the agent in container {} {what}; try again", run.container),
        )
    }
}

/// How a container is whose process runs. Errors: 409 in dockerd's words for one that does not, or not yet again.
pub(crate) fn running(entry: &Entry) -> Result<Arc<View>> {
    let view = entry.view();
    let state = &view.state;
    match state.phase {
        Phase::Running => Ok(view),
        Phase::Restarting => Err(restarting(entry.id())),
        Phase::Starting if state.restarts.automatic => Err(restarting(entry.id())),
        _ => Err(not_running(entry.id())),
    }
}

fn restarting(container: &str) -> Error {
    let message = format!("Container {container} is restarting, wait until the container is running");
    Error::new(ErrorKind::Conflict, message)
}

/// dockerd's 409.
pub(crate) fn not_running(container: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("container {container} is not running"))
}

/// An answer that does not belong to the question: the agent is another version than this daemon's.
pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::new(ErrorKind::Internal, format!("the agent gave an answer that was not asked for: {reply:?}"))
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::NotFound => ErrorKind::NotFound,
            FaultKind::Invalid => ErrorKind::Invalid,
            FaultKind::Forbidden => ErrorKind::Forbidden,
            FaultKind::Conflict => ErrorKind::Conflict,
            FaultKind::Unsupported => ErrorKind::Unsupported,
            FaultKind::Refused | FaultKind::Internal => ErrorKind::Internal,
        };
        Self::new(kind, fault.message)
    }
}
