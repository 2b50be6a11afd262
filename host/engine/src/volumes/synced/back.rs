//! When synced volumes are brought in and back.

use std::sync::Arc;

use sockerless_ports::link::RunId;

use super::turn::{Missed, Way};
use crate::{Engine, Result, containers::Entry, life::Shared, supervisor::present_run, tuning};

impl Engine {
    /// Brings a container's volumes in before its process starts; also over what an earlier run left on the same disk: then
    /// what has changed since is merged.
    ///
    /// Errors: with the volume.
    pub(crate) async fn bring_volumes_in(&self, entry: &Arc<Entry>, run: &RunId) -> Result<()> {
        let synced = self.synced(entry);
        if synced.is_empty() {
            return Ok(());
        }
        let _gate = self.volumes.synced.container(entry.id()).await;
        for (index, ..) in synced {
            self.synced_turn(entry, run, index, Way::Both).await?;
        }
        self.report_returned(entry, Shared::Volumes, String::new()).await;
        Ok(())
    }

    /// Brings back what a run changed, before its end is told. What fails is told to whoever inspects the container, and to
    /// the log; as long as the agent is there it is tried again when it is to go, at the next start, and when somebody asks.
    pub(crate) async fn bring_volumes_back(&self, entry: &Arc<Entry>, run: &RunId) {
        let wanted = || {
            let state = &entry.view().state;
            // It was told before, or by the cloud meanwhile.
            state.generation == run.generation && state.is_live()
        };
        if wanted() {
            self.return_volumes(entry, run, wanted).await;
        }
    }

    /// Tries once more what failed, before a lingering agent goes.
    pub(crate) async fn retry_volumes(&self, entry: &Arc<Entry>, run: &RunId) {
        if !entry.view().state.unreturned.volumes.is_empty() {
            self.return_volumes(entry, run, || true).await;
        }
    }

    async fn return_volumes(&self, entry: &Arc<Entry>, run: &RunId, wanted: impl Fn() -> bool) {
        let synced = self.synced(entry);
        if synced.is_empty() {
            return;
        }
        let _gate = self.volumes.synced.container(entry.id()).await;
        let mut problem = String::new();
        for (index, ..) in synced {
            let mut tries = 0;
            let done = loop {
                tries += 1;
                match self.synced_turn(entry, run, index, Way::Back).await {
                    Err(Missed { error, is_stalled: false }) if tries < tuning::VOLUME_TRIES && wanted() => {
                        tracing::warn!(%run, %error, "a volume could not be brought back and is tried again");
                        tokio::time::sleep(tuning::BACKOFF.1 / 10).await;
                    }
                    done => break done,
                }
            };
            if let Err(Missed { error, .. }) = done {
                tracing::error!(%run, %error, "what a container changed in a volume is not brought back");
                problem = format!("what the container changed could not be brought back: {error}");
            }
        }
        self.report_returned(entry, Shared::Volumes, problem).await;
    }

    /// A run has ended by the cloud's word: its agent had no time to bring anything back.
    pub(crate) async fn volumes_lost(&self, entry: &Arc<Entry>) {
        if let Some(problem) = self.loss(entry) {
            tracing::error!(container = entry.id(), problem);
            self.report_returned(entry, Shared::Volumes, problem).await;
        }
    }

    fn loss(&self, entry: &Entry) -> Option<String> {
        let synced = self.synced(entry);
        let writable = synced.iter().filter(|(_, mounted, _)| !mounted.read_only);
        let names: Vec<&str> = writable.map(|(_, _, volume)| volume.name.as_str()).collect();
        (!names.is_empty() && self.link.callback_url().is_some()).then(|| {
            format!(
                "the container's job ended before what the container had changed in {} was brought back: it is as it was before",
                names.join(", ")
            )
        })
    }

    /// Brings a container's volumes in and back while it runs, or while its agent is still there.
    ///
    /// Errors: 404; 409 when neither is so; those of the volumes.
    pub async fn sync_volumes(&self, reference: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        let sync = async move { engine.bring_volumes_in(&entry, &present_run(&entry)?).await };
        self.complete(sync).await
    }

    /// After something was copied into a container: what of it is in a volume is there for others, too.
    pub(crate) async fn volumes_written(&self, entry: &Arc<Entry>, run: &RunId) {
        let synced = self.synced(entry);
        if synced.is_empty() {
            return;
        }
        let _gate = self.volumes.synced.container(entry.id()).await;
        for (index, ..) in synced {
            if let Err(Missed { error, .. }) = self.synced_turn(entry, run, index, Way::Back).await {
                tracing::warn!(%run, %error, "what was copied into a container is brought back when it ends");
            }
        }
    }

    /// Waits until nothing is brought in or back.
    pub(crate) async fn volumes_settled(&self, container: &str) {
        drop(self.volumes.synced.container(container).await);
    }
}
