//! What a keeper does for its own network namespace.

use std::{fs, io, net::Ipv4Addr, os::fd::AsFd};

use super::netlink::{Netlink, index_of};
use crate::{stage::protocol::NetworkPlan, tuning::NETWORK_PREFIX};

/// Name of a task's link, as clouds and container runtimes have it.
pub(crate) const LINK: &str = "eth0";

/// A line to the machine's own network namespace, opened before leaving it.
pub(crate) struct Outside {
    netlink: Netlink,
    bridge: u32,
    port: String,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl Outside {
    /// None when somebody else connects the namespace.
    pub(crate) fn open(plan: &NetworkPlan) -> io::Result<Option<Self>> {
        let NetworkPlan::Bridge { bridge, port, address, gateway } = plan else { return Ok(None) };
        Ok(Some(Self {
            netlink: Netlink::open()?,
            bridge: index_of(bridge)?,
            port: port.clone(),
            address: *address,
            gateway: *gateway,
        }))
    }

    /// Connects the namespace that this process is in now to the bridge.
    pub(crate) fn attach(self) -> io::Result<()> {
        // Neighbour discovery of a protocol that leads nowhere costs seconds.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let here = fs::File::open("/proc/self/ns/net")?;
        let pair = || self.netlink.add_pair(&self.port, self.bridge, LINK, here.as_fd());
        pair().or_else(|error| {
            // The kernel takes an ended task's pair down in its own time.
            if error.raw_os_error() != Some(nix::errno::Errno::EEXIST as i32) {
                return Err(error);
            }
            self.netlink.remove(&self.port)?;
            pair()
        })?;
        // No task reaches another: ports of the bridge talk to the bridge only.
        fs::write(format!("/sys/class/net/{}/brport/isolated", self.port), "1")?;
        let inside = Netlink::open()?;
        let index = index_of(LINK)?;
        inside.add_address(index, self.address, NETWORK_PREFIX)?;
        inside.set_up(index)?;
        inside.add_default_route(index, self.gateway)
    }
}

/// Takes the namespace's loopback up.
pub(crate) fn loopback() -> io::Result<()> {
    // It is the first link of every namespace.
    Netlink::open()?.set_up(1)
}
