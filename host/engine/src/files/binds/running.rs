//! Both sides of a running container's bind mounts, merged when somebody asks for it, or from time to time.

use std::{sync::Arc, time::Duration};

use sockerless_ports::link::RunId;

use super::{binds, step::Way};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, Spec},
    locks::lock,
    supervisor::present_run,
    tuning,
};

/// How often both sides are merged while the container runs.
const LABEL_SYNC: &str = "sockerless.binds.sync";

/// How often a container's mounts are merged. Errors: 400 for a label that cannot be read.
pub(super) fn period(spec: &Spec) -> Result<Option<Duration>> {
    let Some(text) = spec.label(LABEL_SYNC) else { return Ok(None) };
    match crate::duration(text).filter(|period| *period >= tuning::BIND_PERIOD) {
        Some(period) => Ok(Some(period)),
        None => Err(Error::new(
            ErrorKind::Invalid,
            format!("invalid label {LABEL_SYNC}={text}: seconds, or a duration as 5s or 1m; 1s at least"),
        )),
    }
}

impl Engine {
    /// Merges both sides of a container's bind mounts while it runs, or while its agent is still there.
    ///
    /// Errors: 404; 409 when neither is so; those of the mounts.
    pub async fn sync_binds(&self, reference: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        let sync = async move { engine.sync_run(&entry, &present_run(&entry)?).await };
        self.complete(sync).await
    }

    async fn sync_run(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        self.bind_all(entry, run, binds(&entry.spec), Way::Both).await
    }

    /// Merges a run's mounts from time to time, if its container asks for that.
    pub(crate) fn keep_binds(self: &Arc<Self>, entry: &Arc<Entry>, run: &RunId) {
        let Ok(Some(period)) = period(&entry.spec) else { return };
        if binds(&entry.spec).next().is_none() || !lock(&self.files.binds.kept).insert(run.clone()) {
            return;
        }
        let (engine, entry, run) = (Arc::clone(self), Arc::clone(entry), run.clone());
        self.spawn(async move {
            let mut view = entry.subscribe();
            let over = async {
                // The sender lives as long as the entry.
                let _ = view.wait_for(|view| view.state.ended >= run.generation).await;
            };
            let merging = async {
                loop {
                    tokio::time::sleep(period).await;
                    if entry.view().state.pid == 0 {
                        continue;
                    }
                    if let Err(error) = engine.sync_run(&entry, &run).await {
                        tracing::warn!(%run, %error, "bind mounts could not be merged");
                    }
                }
            };
            tokio::select! {
                () = over => {}
                () = merging => {}
            }
            lock(&engine.files.binds.kept).remove(&run);
        });
    }
}
