//! Who has which address, as long as it runs.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::{Endpoint, Plan, Table, ipam, not_found, record};
use crate::{Error, ErrorKind, Result};

/// The places of a container that runs.
pub(super) struct Lease {
    generation: u32,
    endpoints: Vec<Endpoint>,
}

/// What a container wants of one network.
pub(crate) struct Want {
    /// The network's name or id, by which the settings know it.
    pub key: String,
    /// Its id, if the container has been there before: then no other of that name is meant.
    pub network: Option<String>,
    pub address: Option<Ipv4Addr>,
    pub preferred: Option<Ipv4Addr>,
    pub mac: Option<String>,
}

impl Table {
    /// Gives a run its places on networks, all or none: those that it has already stay as they are, and those that are not
    /// wanted any more are given back. Gives with them how many of the last are new.
    ///
    /// Errors, in dockerd's words: 404 for a network, 500 for an address that is not the network's, 403 for one in use.
    pub fn join(
        &mut self,
        container: &str,
        generation: u32,
        wants: &[Want],
    ) -> Result<(Vec<Endpoint>, usize)> {
        let before = match self.leases.remove(container) {
            Some(lease) if lease.generation == generation => lease.endpoints,
            // Left over from a run that nobody has seen the end of.
            Some(lease) => {
                self.give_back(&lease.endpoints, container);
                Vec::new()
            }
            None => Vec::new(),
        };
        let (mut endpoints, mut fresh) = (Vec::new(), Vec::new());
        let mut failure = None;
        for want in wants {
            match self.place(container, want, &before) {
                Ok((endpoint, true)) => fresh.push(endpoint),
                Ok((endpoint, false)) => endpoints.push(endpoint),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failure {
            self.give_back(&fresh, container);
            self.give_back(&before, container);
            return Err(error);
        }
        let gone: Vec<Endpoint> = before.into_iter().filter(|old| !endpoints.contains(old)).collect();
        self.give_back(&gone, container);
        let new = fresh.len();
        endpoints.extend(fresh);
        self.leases.insert(container.to_owned(), Lease { generation, endpoints: endpoints.clone() });
        Ok((endpoints, new))
    }

    /// One place; true for one that was not among those before.
    fn place(&mut self, container: &str, want: &Want, before: &[Endpoint]) -> Result<(Endpoint, bool)> {
        let network = match &want.network {
            Some(id) => {
                let known = self.networks.get(id).ok_or_else(|| not_found(id))?;
                self.find_usable(&known.id)?
            }
            None => self.find_usable(&want.key)?,
        };
        if let Some(known) = before.iter().find(|endpoint| endpoint.network == network.id) {
            return Ok((known.clone(), false));
        }
        let (id, name) = (network.id.clone(), network.name.clone());
        let plan = network.plan.clone();
        let taken = self.taken.entry(id.clone()).or_default();
        let address = match &plan {
            Some(plan) => Some(choose(plan, taken, want, &name, &id)?),
            None => None,
        };
        if let Some(address) = address {
            taken.insert(address, container.to_owned());
        }
        let mac = address.map(|address| want.mac.clone().unwrap_or_else(|| ipam::mac(address)));
        let endpoint = Endpoint {
            id: record::new_id(),
            network: id,
            name,
            address,
            prefix: plan.as_ref().map_or(0, |plan| plan.subnet.prefix()),
            gateway: plan.as_ref().map(|plan| plan.gateway),
            mac: mac.unwrap_or_default(),
        };
        Ok((endpoint, true))
    }

    /// Gives a run that has places one more. `want` is the new one.
    ///
    /// Errors: those of [`Self::join`]; then it keeps what it has.
    pub fn extend(&mut self, container: &str, generation: u32, want: &Want) -> Result<Vec<Endpoint>> {
        let (endpoint, _) = self.place(container, want, &[])?;
        let new = || Lease { generation, endpoints: Vec::new() };
        let lease = self.leases.entry(container.to_owned()).or_insert_with(new);
        lease.endpoints.push(endpoint);
        Ok(lease.endpoints.clone())
    }

    /// Takes a container off one network.
    pub fn withdraw(&mut self, container: &str, network: &str) {
        let Some(lease) = self.leases.get_mut(container) else { return };
        let (gone, left) = std::mem::take(&mut lease.endpoints)
            .into_iter()
            .partition(|endpoint| endpoint.network == network);
        lease.endpoints = left;
        self.give_back(&gone, container);
    }

    /// What a container had when the daemon ended.
    pub fn restore(&mut self, container: &str, generation: u32, endpoints: Vec<Endpoint>) {
        for endpoint in &endpoints {
            if let Some(address) = endpoint.address {
                self.taken.entry(endpoint.network.clone()).or_default().insert(address, container.to_owned());
            }
        }
        self.leases.insert(container.to_owned(), Lease { generation, endpoints });
    }

    /// Gives back what a run had, and any before it. Says what that was.
    pub fn leave(&mut self, container: &str, generation: u32) -> Vec<Endpoint> {
        if self.leases.get(container).is_none_or(|lease| lease.generation > generation) {
            return Vec::new();
        }
        let endpoints = self.leases.remove(container).map(|lease| lease.endpoints).unwrap_or_default();
        self.give_back(&endpoints, container);
        endpoints
    }

    fn give_back(&mut self, endpoints: &[Endpoint], container: &str) {
        for endpoint in endpoints {
            if let (Some(address), Some(taken)) = (endpoint.address, self.taken.get_mut(&endpoint.network))
                && taken.get(&address).is_some_and(|holder| holder == container)
            {
                taken.remove(&address);
            }
        }
    }
}

fn choose(
    plan: &Plan,
    taken: &BTreeMap<Ipv4Addr, String>,
    want: &Want,
    name: &str,
    id: &str,
) -> Result<Ipv4Addr> {
    plan.choose(taken, want.address, want.preferred).map_err(|fault| {
        let (kind, message) = match (fault, want.address) {
            (ipam::NoAddress::Outside, Some(address)) => (
                ErrorKind::Internal,
                format!("Invalid address {address}: It does not belong to any of this network's subnets"),
            ),
            (ipam::NoAddress::InUse, _) => (ErrorKind::Forbidden, "Address already in use".to_owned()),
            _ => (
                ErrorKind::Internal,
                format!("no available IPv4 addresses on this network's address pools: {name} ({id})"),
            ),
        };
        Error::new(kind, message)
    })
}
