//! `docker network create`: a subnet, a zone in the cloud, a record; or nothing of the three.

use std::{collections::HashMap, sync::Arc};

use bollard_stubs::models::{IpamConfig, NetworkCreateRequest, NetworkCreateResponse};
use jiff::Timestamp;
use sockerless_ports::backend::{self, ErrorCode};

use super::{
    BRIDGE, Network, Plan, ipam, record,
    wanted::{self, Wanted},
};
use crate::{Engine, Error, ErrorKind, Result, supervisor::Cloud, tuning};

/// What an operator who may not make zones can do about it.
const WITHOUT_ZONES: &str = " (networks do without zones if `zones = false` is set in [networks])";

impl Engine {
    /// `POST /networks/create`. Durable when it returns, and its zone is there, if the cloud has such a thing.
    ///
    /// Errors: 409 for a name in use, 403 for a subnet that overlaps with another, 400 for what is malformed, the
    /// provider's words with what was tried before them; then there is nothing of the network left.
    pub async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        let wanted = wanted::parse(request)?;
        let engine = self.shared()?;
        self.complete(async move { engine.create_network_now(wanted).await }).await
    }

    async fn create_network_now(self: &Arc<Self>, wanted: Wanted) -> Result<NetworkCreateResponse> {
        let warning = wanted.warnings.join("\n");
        let mut network = self.reserve_network(wanted)?;
        let id = network.id.clone();
        let made = self.make_network(&mut network).await;
        if let Err(error) = made {
            self.networks.table().release(&id);
            return Err(error);
        }
        self.networks.table().insert(network.clone());
        self.look_after_zone(&network, true);
        self.events.network("create", &network.id, &network.name, &network.driver, None);
        Ok(NetworkCreateResponse { id, warning })
    }

    /// A network with name and subnet of its own, that nobody knows of yet.
    fn reserve_network(&self, wanted: Wanted) -> Result<Network> {
        let Wanted { request, mut ipam, addresses, .. } = wanted;
        let backend = self.chosen_backend(request.options.as_ref().unwrap_or(&HashMap::new()))?;
        let mut table = self.networks.table();
        let used = table.subnets();
        let plan = match addresses {
            Some(chosen) => {
                if used.iter().any(|used| used.overlaps(chosen.subnet)) {
                    return Err(Error::new(
                        ErrorKind::Forbidden,
                        "Pool overlaps with other one on this address space",
                    ));
                }
                Plan::new(chosen.subnet, chosen.range, chosen.gateway, chosen.reserved, true)
            }
            None => {
                let next = ipam::next_subnet(self.options.network_pool, tuning::NETWORK_PREFIX, &used);
                let subnet = next.ok_or_else(|| {
                    Error::new(ErrorKind::Invalid, "all predefined address pools have been fully subnetted")
                })?;
                Plan::automatic(subnet)
            }
        };
        let plan = plan.ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "failed to allocate gateway (): No available addresses on this pool",
            )
        })?;
        if !plan.configured {
            ipam.config = Some(vec![IpamConfig {
                subnet: Some(plan.subnet.to_string()),
                gateway: Some(plan.gateway.to_string()),
                ..IpamConfig::default()
            }]);
        }
        let network = Network {
            id: record::new_id(),
            name: request.name,
            driver: BRIDGE.into(),
            created: Timestamp::now(),
            internal: request.internal.unwrap_or_default(),
            attachable: request.attachable.unwrap_or_default(),
            labels: request.labels.unwrap_or_default(),
            options: request.options.unwrap_or_default(),
            ipam,
            plan: Some(plan),
            builtin: false,
            zone: None,
            cleanup: None,
            backend: Some(backend),
        };
        table.reserve(&network)?;
        Ok(network)
    }

    async fn make_network(self: &Arc<Self>, network: &mut Network) -> Result<()> {
        if self.options.network_zones {
            let backend = network.backend.as_ref().unwrap_or(&self.default_backend);
            let cloud = Arc::clone(self.cloud(backend)?);
            network.zone = self.make_zone(&cloud, network).await?;
        }
        let kept = match network.put() {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if kept.is_err()
            && let Some(zone) = &network.zone
        {
            self.abandon_zone(zone.clone());
        }
        kept
    }

    /// Makes the zone of a network; none where there is no such thing.
    async fn make_zone(
        self: &Arc<Self>,
        cloud: &Arc<Cloud>,
        network: &Network,
    ) -> Result<Option<record::Place>> {
        let place = record::Place { backend: cloud.name.clone(), name: super::zone::name(network) };
        let zone = super::zone::of(network, &self.owner);
        match cloud.call("ensure-zone", || cloud.backend.ensure_zone(&zone)).await {
            Ok(()) => Ok(Some(place)),
            Err(error) if error.code == ErrorCode::Unsupported => Ok(None),
            Err(error) => {
                if may_be_there(&error) {
                    self.abandon_zone(place);
                }
                let rights = [ErrorCode::PermissionDenied, ErrorCode::Unauthenticated].contains(&error.code);
                let mut error = wrapped(cloud, "network create", error);
                if rights {
                    error.message += WITHOUT_ZONES;
                }
                Err(error)
            }
        }
    }
}

/// Whether what failed may have happened all the same.
fn may_be_there(error: &backend::Error) -> bool {
    matches!(error.code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal)
}

/// The provider's words, with what was being done.
pub(super) fn wrapped(cloud: &Cloud, tried: &str, error: backend::Error) -> Error {
    Error::from(error).prefixed(&format!("{}: {tried}", cloud.name))
}
