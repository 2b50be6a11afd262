//! `docker pause` and `docker unpause`.

use super::table::Entry;
use crate::{
    Engine, Error, ErrorKind, Result,
    life::{Event, Phase, Refused},
    supervisor::Rejection,
};

impl Engine {
    /// `POST /containers/{id}/pause`. Returns when the processes are frozen. The cloud's meter goes on.
    ///
    /// Errors: 404, 409 when it does not run or is paused, 500 in the agent's words, 501 without an agent.
    pub async fn pause(&self, reference: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        self.complete(async move {
            let _alone = entry.freezing.lock().await;
            // Kept first: were the daemon to die in between, the next one would freeze them.
            let view = match engine.apply(&entry, Event::Pause).await {
                Ok(view) => view,
                Err(Rejection::Refused(Refused::Paused)) => {
                    return Err(conflict(format!("Container {} is already paused", entry.id())));
                }
                Err(Rejection::Refused(Refused::NotRunning)) => {
                    return Err(conflict(format!("Container {} is not running", entry.id())));
                }
                Err(rejection) => return Err(engine.explain(&entry, "pause", rejection)),
            };
            let generation = view.state.generation;
            if let Err(error) = engine.hold(&entry, generation, true).await {
                // It may have been frozen nevertheless.
                let thawed = engine.hold(&entry, generation, false).await;
                tracing::warn!(container = entry.id(), %error, ?thawed, "a container could not be paused");
                engine.report(&entry, Event::Resume { generation, quiet: true }).await;
                return Err(error.prefixed(&format!("cannot pause container {}", entry.id())));
            }
            engine.events.container(&entry, &view.name, "pause", &[]);
            Ok(())
        })
        .await
    }

    /// `POST /containers/{id}/unpause`. Returns when the processes go on.
    ///
    /// Errors: 404, 409 when it is not paused, 500 in the agent's words.
    pub async fn unpause(&self, reference: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        self.complete(async move {
            let _alone = entry.freezing.lock().await;
            let generation = paused(&entry)?;
            engine
                .hold(&entry, generation, false)
                .await
                .map_err(|error| error.prefixed(&format!("cannot unpause container {}", entry.id())))?;
            engine.report(&entry, Event::Resume { generation, quiet: false }).await;
            Ok(())
        })
        .await
    }
}

fn paused(entry: &Entry) -> Result<u32> {
    let state = &entry.view().state;
    if state.phase == Phase::Running && state.paused {
        return Ok(state.generation);
    }
    Err(conflict(format!("Container {} is not paused", entry.id())))
}

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}
