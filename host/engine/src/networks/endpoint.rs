//! A container's place on a network, while it runs.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::life::State;

/// A container's place on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's id.
    pub network: String,
    /// The network's name, by which the container's settings know it.
    pub name: String,
    /// None on `host` and `none`.
    pub address: Option<Ipv4Addr>,
    /// Bits of the subnet's prefix; 0 without an address.
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    /// Empty without an address.
    pub mac: String,
}

/// The places of the last run that got so far as to have some. They are active while that run goes on; after it they tell
/// which addresses the next run prefers, and which networks were meant by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// The run's.
    pub generation: u32,
    pub endpoints: Vec<Endpoint>,
}

impl Joined {
    /// The place on a network, by the network's name.
    pub fn named(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }
}

impl State {
    /// The places that a container has now.
    pub fn active(&self) -> &[Endpoint] {
        if self.has_joined() { &self.joined.endpoints } else { &[] }
    }

    /// The present run has its places.
    pub fn has_joined(&self) -> bool {
        self.is_live() && self.joined.generation == self.generation
    }
}
