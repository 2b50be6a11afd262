//! `docker rm`.

use std::sync::Arc;

use super::table::{Entry, View};
use crate::{
    Engine, Error, ErrorKind, RemoveRequest, Result,
    life::{Event, Phase, Refused},
    supervisor::Rejection,
    tuning,
};

impl Engine {
    /// `DELETE /containers/{id}`. Returns when it is gone; its job is deleted in the background. With `link` it is a link that
    /// goes, by its name `CONTAINER/ALIAS`.
    ///
    /// Errors: 404; 409 while it runs (without `force`) or is being removed already.
    pub async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()> {
        let engine = self.shared()?;
        if request.link {
            let reference = reference.to_owned();
            return self.complete(async move { engine.remove_link(&reference).await }).await;
        }
        let entry = self.containers.find(reference)?;
        self.complete(async move { engine.remove_entry(&entry, request.force).await }).await
    }

    pub(super) async fn remove_entry(&self, entry: &Arc<Entry>, force: bool) -> Result<()> {
        let mut changes = entry.subscribe();
        loop {
            match self.apply(entry, Event::Remove).await {
                Ok(_) => break,
                Err(Rejection::Refused(Refused::Removed)) => return Ok(()),
                Err(Rejection::Refused(Refused::Running | Refused::Paused | Refused::Restarting))
                    if force =>
                {
                    self.end_by_force(entry).await?;
                }
                Err(rejection) => return Err(self.explain(entry, "remove", rejection)),
            }
            // With --rm the end was the removal.
            if entry.spec.auto_remove() {
                break;
            }
        }
        let gone = |view: &Arc<View>| matches!(view.state.phase, Phase::Removed | Phase::Dead);
        let view = self.until(&mut changes, gone).await?;
        match view.state.phase {
            Phase::Dead => {
                let message = format!("cannot remove container \"/{}\": {}", view.name, view.state.error);
                Err(Error::new(ErrorKind::Internal, message))
            }
            _ => Ok(()),
        }
    }

    async fn end_by_force(&self, entry: &Arc<Entry>) -> Result<()> {
        let mut changes = entry.subscribe();
        let view = match self.apply(entry, Event::Kill { signal: 9 }).await {
            Ok(view) => view,
            Err(Rejection::Refused(_)) => return Ok(()),
            Err(rejection) => return Err(self.explain(entry, "kill", rejection)),
        };
        let generation = view.state.generation;
        let mut ended = std::pin::pin!(self.until(&mut changes, |view| view.state.ended >= generation));
        let mut waited = tokio::time::timeout(tuning::REMOVE_PATIENCE, &mut ended).await.map_err(drop);
        if waited.is_err() {
            // The user's own files and the volumes outlive the container: they come back first, and that ends: see
            // [`tuning::BIND_PATIENCE`] and [`tuning::SYNC_STALL`].
            let returned = async {
                if entry.returning.over().await {
                    tokio::time::sleep(tuning::REMOVE_PATIENCE).await
                }
            };
            waited = tokio::select! {
                biased;
                ended = &mut ended => Ok(ended),
                () = returned => Err(()),
            };
        }
        if let Ok(ended) = waited {
            return ended.map(|_| ());
        }
        self.report(entry, Event::Abandon { generation }).await;
        Ok(())
    }
}
