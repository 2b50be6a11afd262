//! All networks and all addresses in use, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use super::{Network, Subnet, leases::Lease};
use crate::{Error, ErrorKind, Result};

/// The networks by id. A network can take its name and its subnet before it is there for others.
#[derive(Default)]
pub(crate) struct Table {
    pub(super) networks: BTreeMap<String, Network>,
    /// Names and subnets of those that are being created, by id.
    coming: HashMap<String, (String, Option<Subnet>)>,
    /// Being removed at this moment: nobody comes in.
    going: std::collections::HashSet<String>,
    /// Who has which address, by network.
    pub(super) taken: HashMap<String, BTreeMap<Ipv4Addr, String>>,
    /// The endpoints of containers that run.
    pub(super) leases: HashMap<String, Lease>,
    /// What the cloud refuses to do for a network at the moment.
    troubles: HashMap<String, String>,
}

pub(crate) fn not_found(reference: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("network {reference} not found"))
}

impl Table {
    pub fn all(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    pub fn get(&self, id: &str) -> Option<&Network> {
        self.networks.get(id)
    }

    /// By full id, name or the beginning of an id, in this order, as dockerd looks them up. One that is only still there to
    /// be cleaned up does not hide another of its name.
    pub fn find(&self, reference: &str) -> Result<&Network> {
        if let Some(network) = self.networks.get(reference) {
            return Ok(network);
        }
        let named = |network: &&Network| network.name == reference;
        let alive = self.networks.values().filter(named).find(|network| network.cleanup.is_none());
        if let Some(network) = alive.or_else(|| self.networks.values().find(named)) {
            return Ok(network);
        }
        let beginning = |network: &&Network| !reference.is_empty() && network.id.starts_with(reference);
        let matches: Vec<&Network> = self.networks.values().filter(beginning).collect();
        match matches.as_slice() {
            [one] => Ok(one),
            [] => Err(not_found(reference)),
            many => Err(Error::new(
                ErrorKind::Invalid,
                format!("network {reference} is ambiguous ({} matches found based on ID prefix)", many.len()),
            )),
        }
    }

    /// One that containers can be on.
    pub fn find_usable(&self, reference: &str) -> Result<&Network> {
        let network = self.find(reference)?;
        if network.cleanup.is_some() || self.going.contains(&network.id) {
            return Err(not_found(reference));
        }
        Ok(network)
    }

    /// The subnets that are somebody's already.
    pub fn subnets(&self) -> Vec<Subnet> {
        let own = self.networks.values().filter_map(|network| network.plan.as_ref().map(|plan| plan.subnet));
        own.chain(self.coming.values().filter_map(|(_, subnet)| *subnet)).collect()
    }

    /// Takes name and subnet for a network that is being created. Errors: 409 for a name in use.
    pub fn reserve(&mut self, network: &Network) -> Result<()> {
        let alive = self.networks.values().filter(|network| network.cleanup.is_none());
        let mut names = alive.map(|network| &network.name).chain(self.coming.values().map(|(name, _)| name));
        if names.any(|name| *name == network.name) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("network with name {} already exists", network.name),
            ));
        }
        let subnet = network.plan.as_ref().map(|plan| plan.subnet);
        self.coming.insert(network.id.clone(), (network.name.clone(), subnet));
        Ok(())
    }

    /// It will not come.
    pub fn release(&mut self, id: &str) {
        self.coming.remove(id);
    }

    /// It is there, or has changed.
    pub fn insert(&mut self, network: Network) {
        self.coming.remove(&network.id);
        self.networks.insert(network.id.clone(), network);
    }

    /// Whether the id's first digits are those of a network that is there or coming.
    pub fn knows(&self, short_id: &str) -> bool {
        self.networks.keys().chain(self.coming.keys()).any(|id| id.starts_with(short_id))
    }

    /// Nobody gets in any more, until it is gone or stays after all. Errors: 403 in dockerd's words while somebody is on it.
    pub fn begin_removal(&mut self, id: &str) -> Result<()> {
        let network = self.networks.get(id).ok_or_else(|| not_found(id))?;
        if self.taken.get(id).is_some_and(|taken| !taken.is_empty()) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "error while removing network: network {} id {id} has active endpoints",
                    network.name
                ),
            ));
        }
        self.going.insert(id.to_owned());
        Ok(())
    }

    /// It stays.
    pub fn end_removal(&mut self, id: &str) {
        self.going.remove(id);
    }

    /// It is gone.
    pub fn remove(&mut self, id: &str) {
        self.networks.remove(id);
        self.going.remove(id);
        self.taken.remove(id);
        self.troubles.remove(id);
    }

    /// What the cloud refuses to do for it at the moment.
    pub fn trouble(&self, id: &str) -> Option<&String> {
        self.troubles.get(id)
    }

    pub fn set_trouble(&mut self, id: &str, trouble: Option<String>) {
        match trouble {
            Some(trouble) if self.networks.contains_key(id) => self.troubles.insert(id.to_owned(), trouble),
            _ => self.troubles.remove(id),
        };
    }
}
