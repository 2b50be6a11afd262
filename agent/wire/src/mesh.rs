//! The mesh: connections between containers, which the agents carry.
//!
//! The daemon tells each agent whom its container may reach ([`MeshView`]), before its process starts and whenever that
//! changes. The agent catches connections to those addresses and opens a channel for each
//! ([`crate::FromAgent::Connect`]); the daemon decides whether it may be, asks the other container's agent for the other end
//! ([`crate::request::Request::Reach`]), and passes bytes on between the two.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use serde::{Deserialize, Serialize};

use crate::request::Protocol;

/// What a container's agent knows of the container's networks: the whole of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshView {
    /// Connections are to be caught: what is started from now on gets a filter. It costs a little at each `connect`, and
    /// what runs already without one stays without: so the engine says it for a container that is on a network of the
    /// user's, has a link, or may be connected live.
    pub catch: bool,
    /// The networks that the container is on, in the order in which names are looked up in them.
    pub networks: Vec<MeshNetwork>,
    /// Names with addresses outside of the mesh (`--add-host`, `host.docker.internal`); they come before those of networks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Who is asked for all other names (`--dns`); empty for what the container's `resolv.conf` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<IpAddr>,
    /// Domains that names without a dot are looked up in (`--dns-search`); `.` alone is none, empty what `resolv.conf` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of `resolv.conf` (`--dns-option`); empty for those that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolver_options: Vec<String>,
    /// What `/etc/hosts` calls the container: its host name, after the whole one if it has a domain name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_names: Vec<String>,
    /// Addresses of others in the same pod, with whom the container shares its network stack: they are reached without the
    /// mesh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod: Vec<Ipv4Addr>,
    /// How connections are to be caught; none for the best way that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
}

/// One network that a container is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshNetwork {
    /// Its name, for messages.
    pub name: String,
    /// The first address of its subnet.
    pub subnet: Ipv4Addr,
    /// Bits of the subnet's prefix, at most 32.
    pub prefix: u8,
    /// Its gateway: the daemon's own place in it, where nobody listens.
    pub gateway: Ipv4Addr,
    /// The container's own address.
    pub address: Ipv4Addr,
    /// Who can be reached: the addresses of each name. In lower case; the container's own names are among them. Several
    /// addresses of one name are replicas; their order is of no meaning.
    pub names: BTreeMap<String, Vec<Ipv4Addr>>,
}

impl MeshNetwork {
    /// Whether an address is one of this network's.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        // All bits of the prefix; none of them for a prefix of 0.
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        (u32::from(self.subnet) ^ u32::from(address)) & mask == 0
    }
}

impl MeshView {
    /// The network that an address is in.
    pub fn network_of(&self, address: Ipv4Addr) -> Option<&MeshNetwork> {
        self.networks.iter().find(|network| network.contains(address))
    }

    /// Whether an address is the container's own.
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        self.networks.iter().any(|network| network.address == address)
    }
}

/// Where a container's process wants to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// An address of a network that the container is on.
    pub address: Ipv4Addr,
    /// The port. [`PORTS`] of TCP leads to the agent itself.
    pub port: u16,
}

/// What is no port: by TCP, the other agent tells which ports its container listens on. Each list is one frame: its length in
/// bytes (`u16`), then the ports (`u16` each, big endian); another follows when that has changed.
pub const PORTS: u16 = 0;

/// Opens a channel to what a container's processes listen on, for a process of another container. Answered with
/// [`crate::request::Reply::Ready`], or a fault, of the kind `refused` where nobody listens. What listens on 127.0.0.1 alone is not
/// reached. A channel that is closed before its end was said is broken off: the process sees a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reach {
    /// Who wants to connect, in the network that both are on.
    pub from: Ipv4Addr,
    /// Where to: an address of the container's own.
    pub target: Target,
    /// What the daemon takes of the output before it acknowledges, bytes.
    pub window: u32,
}

/// What becomes of it. After all but the first nothing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Connected {
    /// The other end is there: bytes may go. TCP: the connection's bytes both ways; the end of either direction is passed on
    /// by itself (half-close). UDP: each datagram both ways as its length (`u16`, big endian) and its bytes.
    Open {
        /// What the daemon takes of the agent's bytes before it acknowledges.
        credit: u32,
    },
    /// Nobody listens there, or on 127.0.0.1 only (`ECONNREFUSED`).
    Refused,
    /// Nobody has that address, or whoever had it is gone (`EHOSTUNREACH`).
    Unreachable,
    /// Whoever has it does not answer (`ETIMEDOUT`).
    TimedOut,
}

/// How an agent catches its container's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// A TUN device in a network namespace of the container's own.
    Tun,
    /// Notifications of system calls.
    Seccomp,
    /// Listeners on loopback addresses, and `/etc/hosts`.
    Loopback,
    /// Nothing works here: no other container can be reached.
    None,
}

/// How the connections of what an agent started last are caught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catching {
    /// By what.
    pub rung: Rung,
    /// What does not work therefore, for the user; empty if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub warning: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_subnet_by_its_prefix() {
        let network = |prefix| MeshNetwork {
            name: "n".to_owned(),
            subnet: Ipv4Addr::new(172, 18, 5, 0),
            prefix,
            gateway: Ipv4Addr::new(172, 18, 5, 1),
            address: Ipv4Addr::new(172, 18, 5, 2),
            names: BTreeMap::new(),
        };
        let near = Ipv4Addr::new(172, 18, 5, 255);
        let far = Ipv4Addr::new(172, 18, 6, 0);
        assert!(network(24).contains(near) && !network(24).contains(far));
        assert!(network(16).contains(far) && network(0).contains(Ipv4Addr::LOCALHOST));
        assert!(network(32).contains(Ipv4Addr::new(172, 18, 5, 0)) && !network(32).contains(near));
        let view = MeshView { networks: vec![network(24)], ..MeshView::default() };
        assert!(view.network_of(near).is_some() && view.network_of(far).is_none());
        assert!(view.is_own(Ipv4Addr::new(172, 18, 5, 2)) && !view.is_own(near));
    }
}
