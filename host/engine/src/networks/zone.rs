//! The zone of a network in the cloud: for all in the private network that is no container of this daemon.
//!
//! One task for each zone compares what should stand there with what does, and changes that. So nobody waits for the
//! cloud's name servers, changes of many containers go together, and what failed is tried again.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use sockerless_ports::backend::{self, ErrorCode, Zone};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Network,
    membership::settings_of,
    record::Place,
    records::{Records, Step, records, steps},
};
use crate::{Engine, locks::lock, supervisor::Cloud, tuning};

const PREFIX: &str = "sockerless-net-";

/// The one who looks after a zone.
#[derive(Clone, Default)]
pub(super) struct Handle {
    wake: Arc<Notify>,
    stop: CancellationToken,
}

impl Handle {
    /// Something has changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The zone is going to be deleted.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// A zone's name: the beginning of the network's id tells whose it is.
pub(super) fn name(network: &Network) -> String {
    format!("{PREFIX}{}", network.short_id())
}

/// The first digits of the id of the network whose zone it is; none for a zone that is no network's.
pub(super) fn network_of(zone: &str) -> Option<&str> {
    zone.strip_prefix(PREFIX)
}

/// The zone as the cloud is told of it.
pub(super) fn of(network: &Network, owner: &str) -> Zone {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Zone {
        name: name(network),
        domain: format!("{}.sockerless.internal.", network.short_id()),
        owner: owner.to_owned(),
        labels: vec![
            label("managed-by", "sockerless"),
            label("sockerless-network", &network.id),
            label("sockerless-name", &network.name),
            label("sockerless-created", &network.created.to_string()),
        ],
    }
}

impl Engine {
    /// Keeps the records of a network's zone as they should be, until the network is removed. `fresh`: it has none yet.
    pub(super) fn look_after_zone(self: &Arc<Self>, network: &Network, fresh: bool) {
        let Some(place) = network.zone.clone() else { return };
        let Ok(cloud) = self.cloud(&place.backend) else {
            tracing::error!(
                network = network.id,
                backend = place.backend,
                "a network's backend is not configured any more"
            );
            return;
        };
        let handle = Handle::default();
        lock(&self.networks.zones).insert(network.id.clone(), handle.clone());
        let keeper = Keeper {
            engine: Arc::clone(self),
            cloud: Arc::clone(cloud),
            zone: of(network, &self.owner),
            network: network.id.clone(),
        };
        self.spawn(async move {
            let stands = fresh.then(Records::new);
            handle.stop.run_until_cancelled(keeper.keep(&handle.wake, stands)).await;
        });
    }

    /// Nobody looks after the zone any more.
    pub(super) fn leave_zone(&self, network: &str) {
        if let Some(handle) = lock(&self.networks.zones).remove(network) {
            handle.stop();
        }
    }

    /// Deletes a zone that no network has, in the background; what that does not bring about is done by the next sweep.
    pub(super) fn abandon_zone(self: &Arc<Self>, place: Place) {
        let engine = Arc::clone(self);
        self.spawn(async move {
            let Ok(cloud) = engine.cloud(&place.backend) else { return };
            let delete = || cloud.backend.delete_zone(&place.name);
            if let Err(error) = cloud.insist("delete-zone", tuning::DELETE_BACKOFF, delete).await {
                tracing::error!(zone = place.name, %error, "a zone of no network cannot be deleted");
            }
        });
    }

    /// Deletes the zones with this daemon's mark that no network has.
    pub(crate) async fn sweep_zones(&self, cloud: &Cloud) {
        let dead = match self.dead_zones(cloud).await {
            Ok(dead) => dead,
            Err(error) if error.code == ErrorCode::Unsupported => return,
            Err(error) => {
                tracing::warn!(backend = cloud.name, %error, "the cloud's zones cannot be compared with the networks");
                return;
            }
        };
        for zone in dead {
            // A network may have come up since the cloud was asked.
            if network_of(&zone).is_none_or(|network| self.networks.table().knows(network)) {
                continue;
            }
            tracing::warn!(backend = cloud.name, zone, "a zone that no network has is deleted");
            let delete = || cloud.backend.delete_zone(&zone);
            if let Err(error) = cloud.insist("delete-zone", tuning::DELETE_BACKOFF, delete).await {
                tracing::error!(backend = cloud.name, zone, %error, "a zone that no network has cannot be deleted");
            }
        }
    }

    async fn dead_zones(&self, cloud: &Cloud) -> backend::Result<Vec<String>> {
        let mut dead = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let list = || cloud.backend.zones(&self.owner, cursor.as_deref());
            let page = cloud.insist("zones", tuning::DELETE_BACKOFF, list).await?;
            let own = page.items.into_iter().filter(|zone| zone.owner == self.owner).map(|zone| zone.name);
            dead.extend(own.filter(|zone| {
                network_of(zone).is_some_and(|network| !self.networks.table().knows(network))
            }));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(dead),
            }
        }
    }

    /// Who is on a network, as its zone tells it.
    fn records_of(&self, network: &str) -> Records {
        let mut members = Vec::new();
        for entry in self.containers.all() {
            let view = entry.view();
            let place = view.state.active().iter().find(|endpoint| endpoint.network == network);
            let Some((endpoint, address)) = place.and_then(|place| Some((place, place.address?))) else {
                continue;
            };
            let aliases =
                settings_of(&view.spec).remove(&endpoint.name).and_then(|settings| settings.aliases);
            let mut names = aliases.unwrap_or_default();
            names.push(view.name.clone());
            members.push((names, address));
        }
        records(members)
    }
}

/// What looks after one zone.
struct Keeper {
    engine: Arc<Engine>,
    cloud: Arc<Cloud>,
    zone: Zone,
    network: String,
}

impl Keeper {
    async fn keep(&self, wake: &Notify, mut stands: Option<Records>) {
        loop {
            match self.bring_up_to_date(&mut stands).await {
                Ok(()) => {
                    self.tell(None);
                    wake.notified().await;
                }
                Err(error) => {
                    self.tell(Some(&error));
                    // What the cloud refuses for good it may still take after somebody has changed its settings.
                    let _ = tokio::time::timeout(tuning::DELETE_BACKOFF, wake.notified()).await;
                    stands = None;
                }
            }
        }
    }

    async fn bring_up_to_date(&self, stands: &mut Option<Records>) -> backend::Result<()> {
        let backend = &self.cloud.backend;
        let before = match stands.take() {
            Some(stands) => stands,
            None => {
                self.insist("ensure-zone", || backend.ensure_zone(&self.zone)).await?;
                let records = self.insist("records", || backend.records(&self.zone.name)).await?;
                records.into_iter().map(|record| (record.name, record.addresses)).collect()
            }
        };
        let should = self.engine.records_of(&self.network);
        let done = stream::iter(steps(&before, &should)).map(|step| self.take(step));
        let done: Vec<backend::Result<()>> = done.buffer_unordered(tuning::RECORDS_AT_ONCE).collect().await;
        done.into_iter().collect::<backend::Result<()>>()?;
        *stands = Some(should);
        Ok(())
    }

    async fn take(&self, step: Step) -> backend::Result<()> {
        let (backend, zone) = (&self.cloud.backend, &self.zone.name);
        match step {
            Step::Set(record) => self.insist("upsert-record", || backend.upsert(zone, &record)).await,
            Step::Remove(name) => self.insist("remove-record", || backend.remove_record(zone, &name)).await,
        }
    }

    /// Calls until there is a final answer; what is wrong meanwhile is shown with the network.
    async fn insist<T, F>(&self, operation: &'static str, mut call: impl FnMut() -> F) -> backend::Result<T>
    where
        F: Future<Output = backend::Result<T>>,
    {
        let call = || {
            let answer = call();
            async { answer.await.inspect_err(|error| self.tell(Some(error))) }
        };
        self.cloud.insist(operation, tuning::DELETE_BACKOFF, call).await
    }

    fn tell(&self, error: Option<&backend::Error>) {
        let trouble = error.map(|error| format!("{}: network connect: {error}", self.cloud.name));
        if let Some(trouble) = &trouble {
            tracing::warn!(network = self.network, trouble, "the records of a network are not up to date");
        }
        self.engine.networks.table().set_trouble(&self.network, trouble);
    }
}
