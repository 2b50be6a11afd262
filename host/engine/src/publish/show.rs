//! Ports as `inspect` and `ps` show them.

use std::collections::HashMap;

use bollard_stubs::models::{Port, PortBinding, PortTypeEnum};
use sockerless_ports::link::request::Protocol;

use super::Published;
use crate::containers::{Spec, parse_port};

/// `NetworkSettings.Ports` of a running container: what is exposed, with where it is published.
pub(crate) fn bindings(spec: &Spec, published: &[Published]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut all: HashMap<String, Option<Vec<PortBinding>>> =
        exposed(spec).map(|(protocol, port)| (format!("{port}/{protocol}"), None)).collect();
    for published in published {
        let key = format!("{}/{}", published.port, kind(published.protocol));
        all.entry(key).or_default().get_or_insert_default().push(PortBinding {
            host_ip: Some(published.address.to_string()),
            host_port: Some(published.host_port.to_string()),
        });
    }
    all
}

/// `Ports` of a running container in a list.
pub(crate) fn listed(spec: &Spec, published: &[Published]) -> Vec<Port> {
    let is_published = |(protocol, port): &(PortTypeEnum, u16)| {
        published.iter().any(|published| (kind(published.protocol), published.port) == (*protocol, *port))
    };
    let bound = published.iter().map(|published| Port {
        ip: Some(published.address.to_string()),
        private_port: published.port,
        public_port: Some(published.host_port),
        typ: Some(kind(published.protocol)),
    });
    let exposed = exposed(spec).filter(|port| !is_published(port)).map(|(protocol, port)| Port {
        ip: None,
        private_port: port,
        public_port: None,
        typ: Some(protocol),
    });
    bound.chain(exposed).collect()
}

/// The protocols and ports that the configuration exposes.
fn exposed(spec: &Spec) -> impl Iterator<Item = (PortTypeEnum, u16)> + '_ {
    let ranges = spec.config.exposed_ports.iter().flatten().filter_map(|text| parse_port(text).ok());
    ranges.flat_map(|range| (range.first..=range.last).map(move |port| (range.protocol, port)))
}

fn kind(protocol: Protocol) -> PortTypeEnum {
    match protocol {
        Protocol::Tcp => PortTypeEnum::TCP,
        Protocol::Udp => PortTypeEnum::UDP,
    }
}
