//! How a container looks on its network, until networks come: one bridge, without addresses.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointSettings, NetworkSettings};
use sha2::{Digest as _, Sha256};

use super::{spec::Spec, table::View};
use crate::{life::Phase, publish};

/// The name of the network, as `HostConfig.NetworkMode` has it.
pub(crate) fn name(spec: &Spec) -> &str {
    spec.host.network_mode.as_deref().unwrap_or("bridge")
}

/// The id of a network that is only a name yet: the same on every look.
pub(crate) fn id(name: &str) -> String {
    hex::encode(Sha256::digest(format!("network {name}")))
}

/// The id of a container's place on its network: the same at each start.
pub(crate) fn endpoint_id(spec: &Spec) -> String {
    hex::encode(Sha256::digest(format!("endpoint {} {}", name(spec), spec.id)))
}

/// `NetworkSettings.Networks`. A running container's endpoint has an id.
pub(crate) fn endpoints(spec: &Spec, view: &View) -> HashMap<String, EndpointSettings> {
    let name = name(spec);
    let wanted = spec.networking.endpoints_config.as_ref();
    let wanted = wanted.and_then(|all| all.get(name).or_else(|| all.get("default")));
    let running = view.state.phase == Phase::Running;
    let endpoint = if running { endpoint_id(spec) } else { String::new() };
    let settings = EndpointSettings {
        ipam_config: wanted.and_then(|wanted| wanted.ipam_config.clone()),
        links: None,
        aliases: wanted.and_then(|wanted| wanted.aliases.clone()),
        mac_address: Some(String::new()),
        driver_opts: None,
        gw_priority: Some(0),
        network_id: Some(if running { id(name) } else { String::new() }),
        endpoint_id: Some(endpoint),
        gateway: Some(String::new()),
        ip_address: Some(String::new()),
        ip_prefix_len: Some(0),
        ipv6_gateway: Some(String::new()),
        global_ipv6_address: Some(String::new()),
        global_ipv6_prefix_len: Some(0),
        dns_names: None,
    };
    HashMap::from([(name.to_owned(), settings)])
}

/// `NetworkSettings` of `inspect`.
pub(crate) fn settings(spec: &Spec, view: &View) -> NetworkSettings {
    let running = view.state.phase == Phase::Running;
    let sandbox =
        if running { hex::encode(Sha256::digest(format!("sandbox {}", spec.id))) } else { String::new() };
    let ports = if running { publish::bindings(spec, &view.state.ports) } else { HashMap::new() };
    NetworkSettings {
        bridge: Some(String::new()),
        sandbox_key: Some(String::new()),
        sandbox_id: Some(sandbox),
        hairpin_mode: Some(false),
        link_local_ipv6_address: Some(String::new()),
        link_local_ipv6_prefix_len: Some(0),
        ports: Some(ports),
        secondary_ip_addresses: None,
        secondary_ipv6_addresses: None,
        endpoint_id: Some(String::new()),
        gateway: Some(String::new()),
        global_ipv6_address: Some(String::new()),
        global_ipv6_prefix_len: Some(0),
        ip_address: Some(String::new()),
        ip_prefix_len: Some(0),
        ipv6_gateway: Some(String::new()),
        mac_address: Some(String::new()),
        networks: Some(endpoints(spec, view)),
    }
}
