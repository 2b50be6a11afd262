//! What is done while the agent of an ended run lingers.

use std::sync::Arc;

use super::run_id;
use crate::{Engine, Error, ErrorKind, containers::Entry, life::Event, tuning};

impl Engine {
    /// Saves what the container has changed in its file system, and tells what came of it.
    pub(super) fn save(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let (engine, entry) = (Arc::clone(self), Arc::clone(entry));
        self.spawn(async move {
            let mut view = entry.subscribe();
            let run = run_id(&entry, generation);
            let saved = tokio::select! {
                biased;
                // It was started again or removed, or its job has ended: there is nothing to save any more.
                _ = view.wait_for(|view| view.state.linger.is_none()) => return,
                saved = async {
                    engine.retry_volumes(&entry, &run).await;
                    tokio::time::timeout(tuning::SAVE_PATIENCE, engine.save_changes(&entry, &run)).await
                } => saved,
            };
            let result = saved.unwrap_or_else(|_| Err(late())).map_err(|error| {
                tracing::warn!(container = entry.id(), %error, "what a container changed in its file system is not saved");
                format!("what the container had changed in its file system could not be saved, the next start begins without it: {error}")
            });
            engine.report(&entry, Event::Saved { generation, result }).await;
        });
    }
}

fn late() -> Error {
    let minutes = tuning::SAVE_PATIENCE.as_secs() / 60;
    Error::new(ErrorKind::Unavailable, format!("it took longer than {minutes} minutes"))
}
