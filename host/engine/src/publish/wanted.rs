//! Which ports a container wants published.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use bollard_stubs::models::{ContainerConfig, HostConfig, PortBinding, PortTypeEnum};
use sockerless_ports::link::request::Protocol;

use crate::containers::{Spec, host_port, parse_port};

/// One binding of `-p`, or one port of `-P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub protocol: Protocol,
    /// The container's port.
    pub port: u16,
    /// Where to listen; both wildcards when the user names no address.
    pub addresses: Vec<IpAddr>,
    pub host: HostPort,
}

/// The port of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostPort {
    /// This one.
    One(u16),
    /// The first one that is free, from the first to the last.
    Range(u16, u16),
    /// Any that is free.
    Any,
}

/// What a container publishes: what is certain first, so that nothing else takes it away.
pub(crate) fn wanted(spec: &Spec) -> Vec<Wanted> {
    let host = &spec.host;
    if matches!(host.network_mode.as_deref(), Some("host" | "none")) {
        return Vec::new();
    }
    let mut exposed: BTreeSet<(Protocol, u16)> = BTreeSet::new();
    let mut bound: BTreeMap<(Protocol, u16), Vec<&PortBinding>> = BTreeMap::new();
    if host.publish_all_ports == Some(true) {
        exposed.extend(spec.config.exposed_ports.iter().flatten().flat_map(|text| ports(text)));
    }
    for (text, bindings) in host.port_bindings.iter().flatten() {
        for port in ports(text) {
            bound.entry(port).or_default().extend(bindings.iter().flatten());
        }
    }
    let given = bound.iter().flat_map(|(&(protocol, port), bindings)| {
        bindings.iter().map(move |binding| Wanted {
            protocol,
            port,
            addresses: addresses(binding.host_ip.as_deref().unwrap_or_default()),
            host: match host_port(binding.host_port.as_deref().unwrap_or_default()) {
                // Validated when the container was created.
                Ok(None) | Err(_) | Ok(Some((0, 0))) => HostPort::Any,
                Ok(Some((first, last))) if first == last => HostPort::One(first),
                Ok(Some((first, last))) => HostPort::Range(first.max(1), last),
            },
        })
    });
    let all = exposed
        .iter()
        .filter(|port| bound.get(port).is_none_or(Vec::is_empty))
        .map(|&(protocol, port)| Wanted { protocol, port, addresses: addresses(""), host: HostPort::Any });
    let mut wanted: Vec<Wanted> = given.chain(all).collect();
    wanted.sort_by_key(|wanted| (wanted.host, wanted.protocol, wanted.port));
    wanted
}

/// A port that is to be published and cannot be: those of SCTP.
pub(crate) fn is_refused(config: &ContainerConfig, host: &HostConfig) -> Option<String> {
    let bound = host.port_bindings.iter().flatten().map(|(port, _)| port);
    let all = config.exposed_ports.iter().flatten().filter(|_| host.publish_all_ports == Some(true));
    bound
        .chain(all)
        .find(|text| parse_port(text).is_ok_and(|port| port.protocol == PortTypeEnum::SCTP))
        .cloned()
}

/// The ports of `80/tcp` or `80-90/udp`.
fn ports(text: &str) -> Vec<(Protocol, u16)> {
    let Ok(ports) = parse_port(text) else { return Vec::new() };
    let protocol = match ports.protocol {
        PortTypeEnum::TCP => Protocol::Tcp,
        PortTypeEnum::UDP => Protocol::Udp,
        _ => return Vec::new(),
    };
    (ports.first..=ports.last).map(|port| (protocol, port)).collect()
}

fn addresses(text: &str) -> Vec<IpAddr> {
    match text.parse() {
        Ok(address) => vec![address],
        Err(_) => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn spec(exposed: &[&str], bound: &[(&str, &str, &str)], all: bool) -> Arc<Spec> {
        let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
        for (port, host_ip, host_port) in bound {
            let binding =
                PortBinding { host_ip: Some((*host_ip).into()), host_port: Some((*host_port).into()) };
            bindings.entry((*port).into()).or_default().get_or_insert_default().push(binding);
        }
        Arc::new(Spec {
            id: "ab".repeat(32),
            created: Timestamp::UNIX_EPOCH,
            os: "linux".into(),
            config: ContainerConfig {
                exposed_ports: Some(exposed.iter().map(|port| (*port).to_owned()).collect()),
                ..ContainerConfig::default()
            },
            host: HostConfig {
                port_bindings: Some(bindings),
                publish_all_ports: Some(all),
                ..HostConfig::default()
            },
            ..Spec::default()
        })
    }

    fn shown(wanted: &[Wanted]) -> Vec<(HostPort, Protocol, u16)> {
        wanted.iter().map(|wanted| (wanted.host, wanted.protocol, wanted.port)).collect()
    }

    #[test]
    fn certain_ports_come_before_ranges_and_those_before_any() {
        let bound = [
            ("80/tcp", "", ""),
            ("81/tcp", "", "0"),
            ("82", "", "8000-8001"),
            ("53/udp", "::1", "53"),
            ("83/tcp", "", "90-90"),
        ];
        let wanted = wanted(&spec(&[], &bound, false));
        let expected = [
            (HostPort::One(53), Protocol::Udp, 53),
            (HostPort::One(90), Protocol::Tcp, 83),
            (HostPort::Range(8000, 8001), Protocol::Tcp, 82),
            (HostPort::Any, Protocol::Tcp, 80),
            (HostPort::Any, Protocol::Tcp, 81),
        ];
        assert_eq!(shown(&wanted), expected);
        assert_eq!(wanted[0].addresses, ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(wanted[1].addresses.len(), 2);
    }

    #[test]
    fn all_exposed_ports_are_published_once_when_asked_for() {
        let exposed = ["80/tcp", "90-91/udp"];
        let bound = [("80/tcp", "", "8080")];
        assert_eq!(
            shown(&wanted(&spec(&exposed, &bound, false))),
            [(HostPort::One(8080), Protocol::Tcp, 80)]
        );
        let expected = [
            (HostPort::One(8080), Protocol::Tcp, 80),
            (HostPort::Any, Protocol::Udp, 90),
            (HostPort::Any, Protocol::Udp, 91),
        ];
        assert_eq!(shown(&wanted(&spec(&exposed, &bound, true))), expected);
        assert_eq!(wanted(&spec(&exposed, &[("80/tcp", "", "")], true)).len(), 3);
    }

    #[test]
    fn the_hosts_network_publishes_nothing() {
        let mut spec = spec(&["80"], &[("80/tcp", "", "8080")], true);
        Arc::make_mut(&mut spec).host.network_mode = Some("host".into());
        assert_eq!(wanted(&spec), []);
    }

    proptest! {
        #[test]
        fn no_text_of_a_client_is_a_panic(port in ".{0,12}", ip in ".{0,8}", host in "[0-9-]{0,12}") {
            wanted(&spec(&[&port], &[(&port, &ip, &host)], true));
        }
    }
}
