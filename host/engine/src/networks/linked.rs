//! The variables that a link on the default network brings, as dockerd makes them: where the other container is, which
//! ports it exposes, and its own variables.

use std::net::Ipv4Addr;

use bollard_stubs::models::PortTypeEnum;

use super::{BRIDGE, membership::parse_link};
use crate::{
    Engine,
    containers::{Spec, View, parse_port, variable},
};

impl Engine {
    /// Adds the variables of a container's links to an environment, whose own come before them.
    pub(crate) fn add_linked(&self, view: &View, env: &mut Vec<String>) {
        for link in view.spec.host.links.iter().flatten() {
            let Ok((id, alias)) = parse_link(link) else { continue };
            let Some(other) = self.containers.get(id).map(|entry| entry.view()) else { continue };
            let place = other.state.active().iter().find(|endpoint| endpoint.name == BRIDGE);
            let Some(address) = place.and_then(|endpoint| endpoint.address) else { continue };
            for entry in variables(&view.name, alias, address, &other.spec) {
                if !env.iter().any(|known| variable(known) == variable(&entry)) {
                    env.push(entry);
                }
            }
        }
    }
}

/// `own`: the name of the container that links.
fn variables(own: &str, alias: &str, address: Ipv4Addr, other: &Spec) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut all = Vec::new();
    for (index, (protocol, port)) in ports(other).into_iter().enumerate() {
        let url = format!("{protocol}://{address}:{port}");
        if index == 0 {
            all.push(format!("{prefix}_PORT={url}"));
        }
        let name = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        all.push(format!("{name}={url}"));
        all.push(format!("{name}_ADDR={address}"));
        all.push(format!("{name}_PORT={port}"));
        all.push(format!("{name}_PROTO={protocol}"));
    }
    all.push(format!("{prefix}_NAME=/{own}/{alias}"));
    // Those that every image has are of no use to others.
    let own = other.config.env.iter().flatten().filter(|entry| !["HOME", "PATH"].contains(&variable(entry)));
    all.extend(own.filter(|entry| entry.contains('=')).map(|entry| format!("{prefix}_ENV_{entry}")));
    all
}

/// The exposed ports in order; of one number, that of TCP first.
fn ports(spec: &Spec) -> Vec<(&'static str, u16)> {
    let mut all = Vec::new();
    for range in spec.config.exposed_ports.iter().flatten().filter_map(|text| parse_port(text).ok()) {
        let protocol = match range.protocol {
            PortTypeEnum::UDP => "udp",
            PortTypeEnum::SCTP => "sctp",
            _ => "tcp",
        };
        all.extend((range.first..=range.last).map(|port| (protocol, port)));
    }
    all.sort_by_key(|(protocol, port)| (*port, *protocol != "tcp", *protocol));
    all
}

#[cfg(test)]
mod tests {
    use bollard_stubs::models::ContainerConfig;

    use super::*;

    #[test]
    fn a_link_brings_dockerds_variables() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let config = ContainerConfig {
            env: words(&["PATH=/bin", "POSTGRES_DB=x=y", "gone"]),
            exposed_ports: words(&["53/udp", "5432/tcp"]),
            ..ContainerConfig::default()
        };
        let other = Spec { config, ..Spec::default() };
        let all = variables("web", "my-db", Ipv4Addr::new(172, 17, 0, 5), &other);
        assert_eq!(
            all,
            [
                "MY_DB_PORT=udp://172.17.0.5:53",
                "MY_DB_PORT_53_UDP=udp://172.17.0.5:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.5",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_5432_TCP=tcp://172.17.0.5:5432",
                "MY_DB_PORT_5432_TCP_ADDR=172.17.0.5",
                "MY_DB_PORT_5432_TCP_PORT=5432",
                "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_POSTGRES_DB=x=y",
            ]
        );
    }
}
