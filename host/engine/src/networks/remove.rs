//! `docker network rm` and `prune`. A zone that cannot be deleted at once is deleted in the background, and its network is
//! shown until then, with the reason.

use std::sync::Arc;

use bollard_stubs::models::NetworkPruneResponse;
use jiff::Timestamp;
use sockerless_ports::backend::{self, ErrorCode};

use super::{Network, create::wrapped, not_found};
use crate::{Engine, Error, ErrorKind, Filters, Result, filters, locks::lock, times, tuning};

impl Engine {
    /// `DELETE /networks/{id}`. Returns when network and zone are gone.
    ///
    /// Errors: 404, 403 in dockerd's words while containers are on it and for those that are always there; the provider's
    /// words when the zone cannot be deleted: then that is tried again in the background.
    pub async fn remove_network(&self, reference: &str) -> Result<()> {
        let network = self.networks.table().find(reference)?.clone();
        if network.builtin {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{} is a pre-defined network and cannot be removed", network.name),
            ));
        }
        let engine = self.shared()?;
        self.complete(async move { engine.remove_network_now(&network.id).await }).await
    }

    async fn remove_network_now(self: &Arc<Self>, id: &str) -> Result<()> {
        let network = {
            let mut table = self.networks.table();
            table.begin_removal(id)?;
            table.get(id).cloned().ok_or_else(|| not_found(id))?
        };
        self.leave_zone(id);
        let error = match self.delete_zone(&network).await {
            Ok(()) => match self.forget_network(&network).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Err(error) => error,
        };
        self.finish_later(network, &error).await;
        Err(error)
    }

    /// Deletes a network's zone, with some patience: a client waits. Errors: the last of the provider's.
    async fn delete_zone(&self, network: &Network) -> Result<()> {
        let Some(zone) = &network.zone else { return Ok(()) };
        let cloud = self.cloud(&zone.backend)?;
        let last = std::sync::Mutex::new(None);
        let delete = || async {
            let answer = cloud.backend.delete_zone(&zone.name).await;
            answer.inspect_err(|error| *lock(&last) = Some(error.clone()))
        };
        let answer = tokio::time::timeout(tuning::REMOVAL_PATIENCE, cloud.call("delete-zone", delete)).await;
        let error = match answer {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => lock(&last).take().unwrap_or_else(|| {
                backend::Error::new(ErrorCode::DeadlineExceeded, "the cloud does not answer")
            }),
        };
        if error.code == ErrorCode::NotFound {
            return Ok(());
        }
        Err(wrapped(cloud, "network remove", error))
    }

    async fn forget_network(&self, network: &Network) -> Result<()> {
        if self.networks.table().get(&network.id).is_none() {
            return Err(not_found(&network.name));
        }
        self.commit(vec![network.delete()]).await?;
        self.networks.table().remove(&network.id);
        self.events.network("destroy", &network.id, &network.name, &network.driver, None);
        self.networks_changed([network.id.clone()]);
        Ok(())
    }

    /// Its removal goes on in the background, also under the next daemon.
    async fn finish_later(self: &Arc<Self>, network: Network, error: &Error) {
        let begun = network.cleanup.is_some();
        let dying = Network { cleanup: Some(error.message.clone()), ..network };
        let kept = match dying.put() {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(network = dying.id, %error, "that a network is to be removed could not be kept");
        }
        {
            let mut table = self.networks.table();
            table.insert(dying.clone());
            table.end_removal(&dying.id);
        }
        if !begun {
            self.finish_removal(dying);
        }
    }

    /// Tries to delete the zone of a removed network until that is done.
    pub(super) fn finish_removal(self: &Arc<Self>, network: Network) {
        let engine = Arc::clone(self);
        self.spawn(async move {
            loop {
                tokio::time::sleep(tuning::REMOVAL_PAUSE).await;
                // A client may have been faster.
                if engine.networks.table().get(&network.id).is_none() {
                    return;
                }
                let done = match engine.delete_zone(&network).await {
                    Ok(()) => engine.forget_network(&network).await,
                    Err(error) => Err(error),
                };
                let Err(error) = done else { return };
                tracing::warn!(network = network.id, %error, "a removed network cannot be cleaned up yet");
                let mut table = engine.networks.table();
                if let Some(known) = table.get(&network.id).cloned() {
                    table.insert(Network { cleanup: Some(error.message), ..known });
                }
            }
        });
    }

    /// `POST /networks/prune`: those of the user's that no container is on at the moment.
    ///
    /// Errors: 400 for an unknown filter or a time that cannot be read.
    pub async fn prune_networks(&self, filters: &Filters) -> Result<NetworkPruneResponse> {
        filters::accept(filters, &["until", "label", "label!"])?;
        let until = times::until(filters, Timestamp::now())?;
        let values = |name: &str| filters.get(name).cloned().unwrap_or_default();
        let (with, without) = (values("label"), values("label!"));
        let all: Vec<Network> = self.networks.table().all().cloned().collect();
        let mut deleted = Vec::new();
        for network in all {
            let label = |key: &str| network.labels.get(key).map(String::as_str);
            let matches = !network.builtin
                && network.cleanup.is_none()
                && until.is_none_or(|until| network.created < until)
                && filters::labels(&with, label)
                && (without.is_empty() || !filters::labels(&without, label));
            if !matches {
                continue;
            }
            // One that somebody is on, or that the cloud does not let go, is not for us.
            match self.remove_network(&network.id).await {
                Ok(()) => deleted.push(network.name),
                Err(error) => tracing::info!(network = network.id, %error, "a network is not pruned"),
            }
        }
        self.events.prune("network", 0);
        let networks_deleted = (!deleted.is_empty()).then_some(deleted);
        Ok(NetworkPruneResponse { networks_deleted })
    }
}
