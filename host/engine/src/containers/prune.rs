//! `docker container prune`.

use bollard_stubs::models::ContainerPruneResponse;
use jiff::Timestamp;

use crate::{Engine, Filters, Result, filters, life::Phase, times};

impl Engine {
    /// `POST /containers/prune`. Removes what does not run.
    ///
    /// Errors: 400 for an unknown filter or a time that cannot be read.
    pub async fn prune(&self, filters: &Filters) -> Result<ContainerPruneResponse> {
        filters::accept(filters, &["until", "label", "label!"])?;
        let until = times::until(filters, Timestamp::now())?;
        let values = |name: &str| filters.get(name).cloned().unwrap_or_default();
        let (with, without) = (values("label"), values("label!"));
        let mut deleted = Vec::new();
        for entry in self.containers.all() {
            let spec = &entry.spec;
            let matches = matches!(entry.view().state.phase, Phase::Created | Phase::Exited | Phase::Dead)
                && until.is_none_or(|until| spec.created < until)
                && filters::labels(&with, |key| spec.label(key))
                && (without.is_empty() || !filters::labels(&without, |key| spec.label(key)));
            if !matches {
                continue;
            }
            // One that is started or removed at this moment is not for us.
            match self.remove_entry(&entry, false).await {
                Ok(()) => deleted.push(entry.id().to_owned()),
                Err(error) => tracing::info!(container = entry.id(), %error, "a container is not pruned"),
            }
        }
        self.events.prune("container", 0);
        Ok(ContainerPruneResponse { containers_deleted: Some(deleted), space_reclaimed: Some(0) })
    }
}
