//! What containers reach out of the mesh: this daemon's API, by its socket, and this machine, by the gateways of their networks.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use bollard_stubs::models::HostConfig;
use sockerless_ports::link::RunId;

use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Spec, clean},
    volumes::{Mounted, Source},
};

/// Names of this machine, as Docker Desktop has them.
const NAMES: [&str; 2] = ["host.docker.internal", "gateway.docker.internal"];

/// What `--add-host NAME:host-gateway` leads to.
const HOST_GATEWAY: &str = "host-gateway";

/// Where clients expect a daemon's socket.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// Where a container has this daemon's socket.
pub(crate) fn sockets(spec: &Spec) -> Vec<String> {
    let sockets = spec.mounts.iter().filter(|mounted| matches!(mounted.source, Source::Socket(_)));
    sockets.map(|mounted| mounted.destination.clone()).collect()
}

impl Engine {
    /// Tells this daemon's socket from files of this machine.
    ///
    /// Errors: 403 if the operator does not want it in containers.
    pub(crate) fn find_sockets(&self, mounts: &mut [Mounted]) -> Result<()> {
        let own = clean(&self.options.socket.to_string_lossy());
        for mounted in mounts.iter_mut() {
            if let Source::Bind(path) = &mounted.source
                && (*path == own || SOCKETS.contains(&path.as_str()))
            {
                mounted.source = Source::Socket(path.clone());
            }
        }
        self.check_sockets(mounts)
    }

    /// The same for what was created when the operator thought otherwise.
    pub(crate) fn check_sockets(&self, mounts: &[Mounted]) -> Result<()> {
        let socket = mounts.iter().find_map(|mounted| match &mounted.source {
            Source::Socket(path) => Some((path, &mounted.destination)),
            _ => None,
        });
        match socket {
            Some((path, destination)) if !self.options.serve_socket => {
                let message = format!(
                    "bind mount {path}:{destination}: the daemon's socket is not given to containers, which could do with this \
                     daemon whatever they like: docker_socket = \"refuse\" in [containers] (SOCKERLESS_DOCKER_SOCKET) says so"
                );
                Err(Error::new(ErrorKind::Forbidden, message))
            }
            _ => Ok(()),
        }
    }

    /// Errors: 400 for `host-gateway` where that leads nowhere.
    pub(crate) fn check_gateway(&self, host: &HostConfig) -> Result<()> {
        let asked = host.extra_hosts.iter().flatten().find(|entry| is_gateway(entry));
        match asked {
            Some(entry) if self.options.host_gateway.is_none() => {
                let message = format!(
                    "add-host {entry}: unable to derive the IP value for host-gateway: the daemon's machine is not open to \
                     containers; host_gateway in [networks] (SOCKERLESS_HOST_GATEWAY) names the address of it that they may reach"
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
            _ => Ok(()),
        }
    }

    /// The socket of the API, for a run that has it.
    pub(super) fn api_of(&self, run: &RunId) -> Option<PathBuf> {
        let entry = self.containers.get(&run.container)?;
        let has = self.options.serve_socket && !sockets(&entry.spec).is_empty();
        has.then(|| self.options.socket.clone())
    }

    /// Names with addresses of their own: those of `--add-host`, and this machine's where that is open.
    pub(super) fn hosts_of(&self, spec: &Spec, gateway: Option<Ipv4Addr>) -> BTreeMap<String, Vec<IpAddr>> {
        let gateway = gateway.map(IpAddr::V4).filter(|_| self.options.host_gateway.is_some());
        let mut all: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for entry in spec.host.extra_hosts.iter().flatten() {
            let Some((name, address)) = entry.split_once([':', '=']) else { continue };
            let address = match address.trim_start_matches('[').trim_end_matches(']') {
                HOST_GATEWAY => gateway,
                literal => literal.parse().ok(),
            };
            all.entry(name.to_lowercase()).or_default().extend(address);
        }
        for name in NAMES {
            if let Some(gateway) = gateway {
                all.entry(name.to_owned()).or_insert_with(|| vec![gateway]);
            }
        }
        all
    }
}

fn is_gateway(entry: &str) -> bool {
    entry.split_once([':', '=']).is_some_and(|(_, address)| address == HOST_GATEWAY)
}
