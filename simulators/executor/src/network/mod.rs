//! The tasks' network: every task has a namespace of its own, reaches this machine under one
//! address and the world behind it, and can be dialled by nobody.

pub(crate) mod attach;
mod bridge;
mod netlink;
mod slirp;

use std::net::{IpAddr, Ipv4Addr};

use tokio::process::Child;

use crate::{error::ExecutorError, stage::protocol::NetworkPlan};

/// How tasks are connected on this machine.
#[derive(Debug)]
pub(crate) enum Network {
    /// As root: a bridge and NAT.
    Bridge(bridge::Bridge),
    /// As an ordinary user: a TCP/IP stack in a process per task.
    Slirp,
}

/// A task's place in the network; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The task's address.
    pub address: Ipv4Addr,
    /// For its keeper.
    pub plan: NetworkPlan,
    _bridge: Option<bridge::BridgeLease>,
}

impl Network {
    /// # Errors
    /// [`ExecutorError::Unsupported`] with the remedy, [`ExecutorError::System`].
    pub(crate) async fn open(scope: &str, rootless: bool) -> Result<Self, ExecutorError> {
        if rootless {
            slirp::check().await?;
            return Ok(Self::Slirp);
        }
        Ok(Self::Bridge(bridge::Bridge::open(scope).await?))
    }

    pub(crate) fn host_address(&self) -> IpAddr {
        match self {
            Self::Bridge(bridge) => bridge.gateway().into(),
            Self::Slirp => slirp::HOST.into(),
        }
    }

    pub(crate) fn bind_address(&self) -> IpAddr {
        match self {
            Self::Bridge(bridge) => bridge.gateway().into(),
            Self::Slirp => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Why tasks do not reach beyond this machine.
    pub(crate) fn remark(&self) -> Option<&str> {
        match self {
            Self::Bridge(bridge) => bridge.remark(),
            Self::Slirp => None,
        }
    }

    /// # Errors
    /// [`ExecutorError::System`] when all addresses are taken.
    pub(crate) fn lease(&self) -> Result<Lease, ExecutorError> {
        match self {
            Self::Bridge(bridge) => {
                let (address, plan, lease) = bridge.lease()?;
                Ok(Lease { address, plan, _bridge: Some(lease) })
            }
            Self::Slirp => Ok(Lease { address: slirp::TASK, plan: NetworkPlan::Outside, _bridge: None }),
        }
    }

    /// Connects the namespace of a keeper that waits for it. What comes back has to live as long
    /// as the task.
    pub(crate) async fn connect(&self, keeper: u32) -> Result<Option<Child>, ExecutorError> {
        match self {
            Self::Bridge(_) => Ok(None),
            Self::Slirp => slirp::connect(keeper).await.map(Some),
        }
    }

    /// Content of a task's resolv.conf, after the machine's own.
    pub(crate) fn resolv_conf(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let own = read("/etc/resolv.conf");
        if has_reachable_server(&own) {
            return without_loopback(&own);
        }
        match self {
            Self::Slirp => format!("{}nameserver {}\n", without_loopback(&own), slirp::DNS),
            // systemd-resolved listens on loopback, and writes down whom it asks itself.
            Self::Bridge(_) => without_loopback(&read("/run/systemd/resolve/resolv.conf")),
        }
    }

    pub(crate) async fn close(&self) {
        if let Self::Bridge(bridge) = self {
            bridge.close().await;
        }
    }
}

fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    (words.next()? == "nameserver").then(|| words.next()?.split('%').next()?.parse().ok()).flatten()
}

fn has_reachable_server(conf: &str) -> bool {
    conf.lines().filter_map(server).any(|address| !address.is_loopback())
}

fn without_loopback(conf: &str) -> String {
    conf.lines()
        .filter(|line| !server(line).is_some_and(|address| address.is_loopback()))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_on_loopback_are_left_out() {
        let conf = "search example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.1\noptions edns0\n";
        assert!(has_reachable_server(conf));
        assert_eq!(without_loopback(conf), "search example.org\nnameserver 192.0.2.1\noptions edns0\n");
        assert!(!has_reachable_server("nameserver 127.0.0.53\nnameserver ::1\n"));
    }
}
