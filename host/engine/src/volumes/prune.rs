//! `docker volume prune`.

use bollard_stubs::models::VolumePruneResponse;

use super::list::size;
use crate::{Engine, Filters, Result, filters};

impl Engine {
    /// `POST /volumes/prune`: anonymous volumes that no container has; with the filter `all` (API 1.42) named ones, too.
    ///
    /// Errors: 400 for an unknown filter or a value that `all` does not have.
    pub async fn prune_volumes(&self, wanted: &Filters) -> Result<VolumePruneResponse> {
        filters::accept(wanted, &["all", "label", "label!"])?;
        let all = filters::flag(wanted, "all")?.unwrap_or_default();
        let values = |name: &str| wanted.get(name).cloned().unwrap_or_default();
        let (with, without) = (values("label"), values("label!"));
        let (mut deleted, mut reclaimed) = (Vec::new(), 0);
        for volume in self.volumes.all() {
            let label = |key: &str| volume.labels.get(key).map(String::as_str);
            let matches = (all || volume.is_anonymous())
                && filters::labels(&with, label)
                && (without.is_empty() || !filters::labels(&without, label));
            if !matches {
                continue;
            }
            let _gate = self.volumes.gate(&volume.name).await;
            // Somebody may have removed or mounted it meanwhile.
            if self.volumes.get(&volume.name).is_none() || !self.users(&volume.name).is_empty() {
                continue;
            }
            let pruned = async {
                let usage = self.volume_usage(&volume).await?;
                self.erase_volume(&volume).await?;
                Ok::<_, crate::Error>(size(usage))
            };
            match pruned.await {
                Ok(size) => {
                    reclaimed += size;
                    deleted.push(volume.name.clone());
                }
                Err(error) => tracing::warn!(volume = volume.name, %error, "a volume is not pruned"),
            }
        }
        self.events.prune("volume", reclaimed.unsigned_abs());
        Ok(VolumePruneResponse { volumes_deleted: Some(deleted), space_reclaimed: Some(reclaimed) })
    }
}
