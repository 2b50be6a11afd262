//! How a container looks on its networks.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointSettings, NetworkSettings};
use sha2::{Digest as _, Sha256};
use sockerless_ports::link::{Catching, Rung};

use super::{spec::Spec, table::View};
use crate::{
    life::Phase,
    networks::{BRIDGE, Endpoint, is_user_defined, settings_of},
    publish,
};

/// `HostConfig.NetworkMode`.
pub(crate) fn mode(spec: &Spec) -> &str {
    spec.host.network_mode.as_deref().unwrap_or(BRIDGE)
}

/// Where ports are published on: the first network that gave the container an address. Empty without one.
pub(crate) fn endpoint_id(view: &View) -> String {
    let first = view.state.active().iter().find(|endpoint| endpoint.address.is_some());
    first.map(|endpoint| endpoint.id.clone()).unwrap_or_default()
}

/// Whether the container is, or was last, on a network: its name, or the beginning of its id.
pub(crate) fn is_on(view: &View, network: &str) -> bool {
    let settings = settings_of(&view.spec);
    settings.contains_key(network)
        || settings
            .keys()
            .filter_map(|name| view.state.joined.named(name))
            .any(|endpoint| endpoint.network.starts_with(network))
}

/// `NetworkSettings.Networks`: what is set, and while it runs what it has there.
pub(crate) fn endpoints(view: &View) -> HashMap<String, EndpointSettings> {
    let active = view.state.active();
    let all = settings_of(&view.spec).into_iter().map(|(name, set)| {
        let known = view.state.joined.named(&name);
        let now = active.iter().find(|endpoint| endpoint.name == name);
        let address = now.and_then(|endpoint| endpoint.address).map(|address| address.to_string());
        let settings = EndpointSettings {
            ipam_config: set.ipam_config.clone(),
            links: set.links.clone(),
            mac_address: Some(mac(&set, now)),
            driver_opts: set.driver_opts.clone(),
            gw_priority: Some(set.gw_priority.unwrap_or_default()),
            network_id: Some(known.map(|endpoint| endpoint.network.clone()).unwrap_or_default()),
            endpoint_id: Some(now.map(|endpoint| endpoint.id.clone()).unwrap_or_default()),
            gateway: Some(gateway(now)),
            ip_address: Some(address.unwrap_or_default()),
            ip_prefix_len: Some(now.map_or(0, |endpoint| endpoint.prefix.into())),
            ipv6_gateway: Some(String::new()),
            global_ipv6_address: Some(String::new()),
            global_ipv6_prefix_len: Some(0),
            dns_names: (known.is_some() && is_user_defined(&name)).then(|| dns_names(view, &set)),
            aliases: set.aliases,
        };
        (name, settings)
    });
    all.collect()
}

fn mac(set: &EndpointSettings, now: Option<&Endpoint>) -> String {
    match now {
        Some(endpoint) => endpoint.mac.clone(),
        None => set.mac_address.clone().unwrap_or_default(),
    }
}

fn gateway(now: Option<&Endpoint>) -> String {
    now.and_then(|endpoint| endpoint.gateway).map(|gateway| gateway.to_string()).unwrap_or_default()
}

/// What the others on the network call it: name, aliases, short id, host name; each once.
fn dns_names(view: &View, set: &EndpointSettings) -> Vec<String> {
    let spec = &view.spec;
    let mut names = Vec::new();
    let aliases = set.aliases.iter().flatten().map(String::as_str);
    for name in [view.name.as_str()].into_iter().chain(aliases).chain([spec.short_id(), spec.hostname()]) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// `NetworkSettings` of `inspect`. What stands beside the list of networks is of the default one, as in dockerd.
/// `catching`: how its connections to others are caught, which stands where dockerd has the file of its namespace.
pub(crate) fn settings(view: &View, catching: Option<&Catching>) -> NetworkSettings {
    let spec = &view.spec;
    let running = view.state.phase == Phase::Running;
    let sandbox =
        if running { hex::encode(Sha256::digest(format!("sandbox {}", spec.id))) } else { String::new() };
    let ports = if running { publish::bindings(spec, &view.state.ports) } else { HashMap::new() };
    let rung = catching.filter(|_| running).map(|catching| match catching.rung {
        Rung::Tun => "tun",
        Rung::Seccomp => "seccomp",
        Rung::Loopback => "loopback",
        Rung::None => "none",
    });
    let bridge = view.state.active().iter().find(|endpoint| endpoint.name == BRIDGE);
    let address = bridge.and_then(|endpoint| endpoint.address).map(|address| address.to_string());
    NetworkSettings {
        bridge: Some(String::new()),
        sandbox_key: Some(rung.map(|rung| format!("mesh/{rung}")).unwrap_or_default()),
        sandbox_id: Some(sandbox),
        hairpin_mode: Some(false),
        link_local_ipv6_address: Some(String::new()),
        link_local_ipv6_prefix_len: Some(0),
        ports: Some(ports),
        secondary_ip_addresses: None,
        secondary_ipv6_addresses: None,
        endpoint_id: Some(bridge.map(|endpoint| endpoint.id.clone()).unwrap_or_default()),
        gateway: Some(gateway(bridge)),
        global_ipv6_address: Some(String::new()),
        global_ipv6_prefix_len: Some(0),
        ip_address: Some(address.unwrap_or_default()),
        ip_prefix_len: Some(bridge.map_or(0, |endpoint| endpoint.prefix.into())),
        ipv6_gateway: Some(String::new()),
        mac_address: Some(bridge.map(|endpoint| endpoint.mac.clone()).unwrap_or_default()),
        networks: Some(endpoints(view)),
    }
}
