//! Networks: what they are, who is on them with which address, and what clouds are told of that.
//!
//! A network is a subnet and, where the cloud has such a thing, a DNS zone. Which networks a container is meant to be on is
//! part of the container's settings; its places there (an address, a MAC address) are active from the beginning of a run to
//! its end, as in dockerd, and are kept with the container's state, so that they survive the daemon.

mod backend;
mod connect;
mod create;
mod endpoint;
mod filters;
mod ipam;
mod join;
mod leases;
mod linked;
mod membership;
mod mesh;
mod neighbours;
mod outside;
mod record;
mod records;
mod remove;
mod restore;
mod show;
mod stack;
mod subnet;
mod table;
mod teller;
mod wanted;
mod zone;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

pub use subnet::{Subnet, SubnetError};

pub(crate) use backend::BACKEND_OPTION;
pub(crate) use endpoint::{Endpoint, Joined};
pub(crate) use ipam::Plan;
use leases::Want;
pub(crate) use membership::{is_user_defined, links_shown, members_of, parse_link, settings_of};
pub(crate) use neighbours::Fabric;
pub(crate) use outside::sockets;
pub(crate) use record::{BRIDGE, HOST, NONE, Network};
use table::{Table, not_found};

use sockerless_ports::link::Catching;

use crate::{Engine, ErrorKind, locks::lock};

/// All that the engine knows of networks.
#[derive(Default)]
pub(crate) struct Networks {
    table: Mutex<Table>,
    /// Who reaches whom, until something changes; counted, so that what was made of older facts is not kept.
    fabric: Mutex<(u64, Option<Arc<Fabric>>)>,
    zones: Mutex<HashMap<String, zone::Handle>>,
    teller: teller::Teller,
    /// Why a run could not have its places, by container: the run, and what kind of error it was.
    refusals: Mutex<HashMap<String, (u32, ErrorKind)>>,
    /// How the connections of containers are caught, by container, as their agents told last.
    catching: Mutex<HashMap<String, Catching>>,
}

impl Networks {
    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// How the connections of a container are caught, if its agent has told.
    pub fn catching(&self, container: &str) -> Option<Catching> {
        lock(&self.catching).get(container).cloned()
    }

    /// The container is gone.
    pub fn forget(&self, container: &str) {
        lock(&self.catching).remove(container);
        lock(&self.refusals).remove(container);
    }

    /// The kind of error for which a run has no places on networks, if that is why it failed.
    pub fn refused(&self, container: &str, generation: u32) -> Option<ErrorKind> {
        let refused = lock(&self.refusals).get(container).copied();
        refused.filter(|(of, _)| *of == generation).map(|(_, kind)| kind)
    }
}

impl Engine {
    /// The id of a network by the name in a container's settings; that itself for one that is not there.
    pub(crate) fn network_id(&self, key: &str) -> String {
        self.networks.table().find(key).map_or_else(|_| key.to_owned(), |network| network.id.clone())
    }

    /// The id of a network and the value of one of its options, if it has that.
    pub(crate) fn network_option(&self, key: &str, option: &str) -> Option<(String, String)> {
        let table = self.networks.table();
        let network = table.find(key).ok()?;
        Some((network.id.clone(), network.options.get(option)?.clone()))
    }

    /// Who reaches whom at this moment.
    pub(crate) fn fabric(&self) -> Arc<Fabric> {
        let count = {
            let known = lock(&self.networks.fabric);
            if let Some(fabric) = &known.1 {
                return Arc::clone(fabric);
            }
            known.0
        };
        let networks: Vec<Network> = self.networks.table().all().cloned().collect();
        let fabric = Arc::new(Fabric::new(networks, members_of(&self.containers)));
        let mut known = lock(&self.networks.fabric);
        if known.0 == count {
            known.1 = Some(Arc::clone(&fabric));
        }
        fabric
    }

    /// Something about who is on these networks has changed, or about what they are called: agents and zones are told.
    pub(crate) fn networks_changed(&self, networks: impl IntoIterator<Item = String>) {
        let networks: Vec<String> = networks.into_iter().collect();
        if networks.is_empty() {
            return;
        }
        {
            let mut known = lock(&self.networks.fabric);
            *known = (known.0 + 1, None);
        }
        let zones = lock(&self.networks.zones);
        for zone in networks.iter().filter_map(|network| zones.get(network)) {
            zone.wake();
        }
        drop(zones);
        self.networks.teller.tell(networks);
    }
}
