//! Who reaches whom, and by which names: a pure function of records, and the one place where networks are kept apart.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use sockerless_ports::link::{MeshNetwork, Route, RunId};

use super::Network;

/// A container that runs, as far as its neighbours are concerned.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub run: RunId,
    /// The container's name, short id and host name.
    pub names: Vec<String>,
    /// Active endpoints with an address.
    pub places: Vec<Place>,
    /// Runs of other containers that have its network stack.
    pub guests: Vec<RunId>,
}

/// One endpoint of it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The network's id.
    pub network: String,
    pub address: Ipv4Addr,
    /// What others on the network call it besides its names.
    pub aliases: Vec<String>,
    /// What it alone calls others: a name, short id or id, and the alias.
    pub links: Vec<(String, String)>,
}

/// All containers that run on all networks, as of one moment.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    members: Vec<Member>,
    runs: HashMap<RunId, usize>,
    networks: HashMap<String, Web>,
}

/// One network.
#[derive(Debug)]
struct Web {
    network: Network,
    /// Who has which address: the member, and its place.
    holders: BTreeMap<Ipv4Addr, usize>,
    /// What everybody on it resolves.
    names: BTreeMap<String, Vec<Ipv4Addr>>,
}

impl Fabric {
    /// `networks` without an address plan connect nobody; places on a network that is not there count for nothing.
    pub fn new(networks: impl IntoIterator<Item = Network>, members: Vec<Member>) -> Self {
        let webs = networks.into_iter().filter(|network| network.plan.is_some()).map(|network| {
            (network.id.clone(), Web { network, holders: BTreeMap::new(), names: BTreeMap::new() })
        });
        let mut networks: HashMap<String, Web> = webs.collect();
        let mut runs = HashMap::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            for run in std::iter::once(&member.run).chain(&member.guests) {
                runs.insert(run.clone(), index);
            }
            for place in &member.places {
                let Some(web) = networks.get_mut(&place.network) else { continue };
                web.holders.insert(place.address, index);
                if web.network.has_names() {
                    web.add(member.names.iter().chain(&place.aliases), place.address);
                }
            }
        }
        Self { members, runs, networks }
    }

    /// Where a run is reached from this machine: the gateway of its first network, and its own address there. None for one that
    /// is on no network.
    pub fn gate(&self, run: &RunId) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let member = self.members.get(*self.runs.get(run)?)?;
        let gates = member.places.iter().filter_map(|place| {
            let network = &self.networks.get(&place.network)?.network;
            Some((&network.name, (network.plan.as_ref()?.gateway, place.address)))
        });
        gates.min_by_key(|(name, _)| *name).map(|(_, gate)| gate)
    }

    /// The networks that a run is on, in the order of their names, with what each name means there. Empty for a run that is
    /// not known.
    pub fn networks(&self, run: &RunId) -> Vec<MeshNetwork> {
        let Some(member) = self.runs.get(run).and_then(|index| self.members.get(*index)) else {
            return Vec::new();
        };
        let mut all: Vec<MeshNetwork> =
            member.places.iter().filter_map(|place| self.seen(member, place)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn seen(&self, member: &Member, place: &Place) -> Option<MeshNetwork> {
        let web = self.networks.get(&place.network)?;
        let plan = web.network.plan.as_ref()?;
        let mut names = web.names.clone();
        if !web.network.has_names() {
            for name in &member.names {
                names.insert(name.to_lowercase(), vec![place.address]);
            }
        }
        for (target, alias) in &place.links {
            let Some((address, other)) = self.linked(web, target) else { continue };
            if !web.network.has_names() {
                // As in dockerd: such a link brings the other's own names, too.
                for name in &other.names {
                    names.insert(name.to_lowercase(), vec![address]);
                }
            }
            names.insert(alias.to_lowercase(), vec![address]);
        }
        Some(MeshNetwork {
            name: web.network.name.clone(),
            subnet: plan.subnet.first(),
            prefix: plan.subnet.prefix(),
            gateway: plan.gateway,
            address: place.address,
            names,
        })
    }

    /// The container that a link names, and where it is on one network.
    fn linked(&self, web: &Web, target: &str) -> Option<(Ipv4Addr, &Member)> {
        let mut holders =
            web.holders.iter().filter_map(|(address, index)| Some((*address, self.members.get(*index)?)));
        holders.find(|(_, member)| {
            member.run.container == target
                || member.names.iter().any(|name| name.eq_ignore_ascii_case(target))
        })
    }

    /// Who has an address, as seen by a run. Only a network that both are on answers.
    pub fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        let found = self.runs.get(from).and_then(|index| Some((*index, self.members.get(*index)?)));
        let Some((index, member)) = found else { return Route::Foreign };
        let shared = member.places.iter().find_map(|place| {
            let web = self.networks.get(&place.network)?;
            web.network.plan.as_ref()?.subnet.contains(to).then_some((place, web))
        });
        let Some((place, web)) = shared else { return Route::Foreign };
        let Some(holder) = web.holders.get(&to) else {
            let gateway = web.network.plan.as_ref().is_some_and(|plan| plan.gateway == to);
            return if gateway { Route::Closed } else { Route::Nobody };
        };
        let linked = || {
            place
                .links
                .iter()
                .any(|(target, _)| self.linked(web, target).is_some_and(|(address, _)| address == to))
        };
        match self.members.get(*holder) {
            Some(peer) if *holder == index || web.network.lets_talk() || linked() => {
                Route::To { run: peer.run.clone(), from: place.address }
            }
            _ => Route::Nobody,
        }
    }

    /// The runs for which a change of who is on one of these networks is one of what they know.
    pub fn concerned<'a>(&'a self, networks: &'a [String]) -> impl Iterator<Item = &'a RunId> {
        let has_names = |id: &str| self.networks.get(id).is_some_and(|web| web.network.has_names());
        let knows = move |place: &Place| {
            networks.contains(&place.network) && (has_names(&place.network) || !place.links.is_empty())
        };
        let members = self.members.iter().filter(move |member| member.places.iter().any(&knows));
        members.flat_map(|member| std::iter::once(&member.run).chain(&member.guests))
    }
}

impl Web {
    fn add<'a>(&mut self, names: impl Iterator<Item = &'a String>, address: Ipv4Addr) {
        for name in names {
            let addresses = self.names.entry(name.to_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
