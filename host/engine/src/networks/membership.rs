//! Which networks a container is meant to be on: part of its settings, changed by `network connect` and `disconnect`.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use bollard_stubs::models::{ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig};

use super::{BRIDGE, HOST, NONE, neighbours, stack};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Spec, Table as Containers, View},
    supervisor::run_id,
};

/// Whether a network's name is none of those that are always there.
pub(crate) fn is_user_defined(network: &str) -> bool {
    ![BRIDGE, HOST, NONE].contains(&network)
}

/// The settings by network, as a container has them. One that was created before there were networks is on its mode's.
pub(crate) fn settings_of(spec: &Spec) -> BTreeMap<String, EndpointSettings> {
    match &spec.networking.endpoints_config {
        Some(all) => all.iter().map(|(name, settings)| (name.clone(), settings.clone())).collect(),
        None => {
            let mode = spec.host.network_mode.clone().unwrap_or_else(|| BRIDGE.into());
            BTreeMap::from([(mode, EndpointSettings::default())])
        }
    }
}

/// What a user may set; all else is the daemon's to say.
pub(crate) fn sanitised(settings: EndpointSettings) -> Result<EndpointSettings> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let mac_address = settings.mac_address.filter(|mac| !mac.is_empty());
    if let Some(mac) = &mac_address
        && !is_mac(mac)
    {
        return invalid(format!("address {mac}: invalid MAC address"));
    }
    let address = settings.ipam_config.as_ref().and_then(|config| config.ipv4_address.as_deref());
    if let Some(address) = address.filter(|address| !address.is_empty())
        && address.parse::<Ipv4Addr>().is_err()
    {
        return invalid(format!("invalid IPv4 address: {address}"));
    }
    let v6 = settings.ipam_config.as_ref().and_then(|config| config.ipv6_address.as_deref());
    if v6.is_some_and(|address| !address.is_empty()) {
        let message = "IPv6 addresses (--ip6) are not supported: the mesh between containers has IPv4 only";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let local = settings.ipam_config.as_ref().and_then(|config| config.link_local_ips.as_ref());
    if local.is_some_and(|addresses| !addresses.is_empty()) {
        let message =
            "link-local addresses (--link-local-ip) are not supported: containers in a cloud share no link";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    for link in settings.links.iter().flatten() {
        parse_link(link)?;
    }
    Ok(EndpointSettings {
        ipam_config: settings.ipam_config,
        links: settings.links.filter(|links| !links.is_empty()),
        aliases: settings.aliases.filter(|aliases| !aliases.is_empty()),
        mac_address,
        driver_opts: settings.driver_opts,
        gw_priority: settings.gw_priority,
        ..EndpointSettings::default()
    })
}

fn is_mac(text: &str) -> bool {
    let digits: Vec<&str> = text.split([':', '-']).collect();
    digits.len() == 6
        && digits.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `name` or `name:alias`. Errors: 400 in dockerd's words.
pub(crate) fn parse_link(text: &str) -> Result<(&str, &str)> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    if name.is_empty() {
        return invalid("empty string specified for links".into());
    }
    if alias.contains(':') || alias.is_empty() {
        return invalid(format!("bad format for links: {text}"));
    }
    // As the Docker API shows links: `/name:/container/alias`.
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    Ok((name.trim_start_matches('/'), alias.trim_start_matches('/')))
}

impl Engine {
    /// The networks of a new container. Links on the default network are kept by the other's id, so that they outlive its
    /// being renamed.
    ///
    /// Errors: 400 in dockerd's words. A network that is not there is found when the container is started.
    pub(crate) fn membership(
        &self,
        host: &mut HostConfig,
        networking: NetworkingConfig,
        config: &ContainerConfig,
    ) -> Result<NetworkingConfig> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        let canonical = |key: &str| match key {
            "" | "default" => BRIDGE.to_owned(),
            key => self
                .networks
                .table()
                .find(key)
                .map_or_else(|_| key.to_owned(), |network| network.name.clone()),
        };
        let mode = canonical(host.network_mode.as_deref().unwrap_or_default());
        let mut all = HashMap::new();
        for (key, settings) in networking.endpoints_config.unwrap_or_default() {
            all.insert(canonical(&key), sanitised(settings)?);
        }
        if all.is_empty() {
            all.insert(mode.clone(), EndpointSettings::default());
        }
        if all.len() > 1 && all.contains_key(NONE) {
            return invalid(PRIVATE);
        }
        if all.len() > 1 && all.contains_key(HOST) {
            return invalid(SHARED);
        }
        let links = host.links.take().filter(|links| !links.is_empty());
        if let Some(links) = links {
            if mode == HOST {
                return invalid(
                    "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
                );
            }
            match all.get_mut(&mode) {
                Some(settings) if is_user_defined(&mode) => {
                    for link in &links {
                        parse_link(link)?;
                    }
                    settings.links.get_or_insert(links);
                }
                _ => host.links = Some(self.links_by_id(&links)?),
            }
        }
        // What `--mac-address` was before each network had its own.
        if let (Some(mac), Some(settings)) =
            (config.mac_address.clone().filter(|mac| !mac.is_empty()), all.get_mut(&mode))
        {
            let settings_of_mode = std::mem::take(settings);
            let mac_address = settings_of_mode.mac_address.clone().or(Some(mac));
            *settings = sanitised(EndpointSettings { mac_address, ..settings_of_mode })?;
        }
        Ok(NetworkingConfig { endpoints_config: Some(all) })
    }

    fn links_by_id(&self, links: &[String]) -> Result<Vec<String>> {
        let by_id = |link: &String| {
            let (name, alias) = parse_link(link)?;
            let entry = self.containers.find(name).map_err(|error| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("could not get container for {name}: {}", error.message),
                )
            })?;
            let alias = if link.contains(':') { alias.to_owned() } else { entry.view().name.clone() };
            Ok(format!("{}:{alias}", entry.id()))
        };
        links.iter().map(by_id).collect()
    }
}

/// dockerd's words for what does not go together with `none` and with `host`.
pub(crate) const PRIVATE: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";
pub(crate) const SHARED: &str = "container sharing network namespace with another container or host cannot be connected to any other network";

/// `HostConfig.Links` as dockerd shows them: `/other:/own/alias`. What is gone is left out.
pub(crate) fn links_shown(view: &View, containers: &Containers) -> Option<Vec<String>> {
    let links = view.spec.host.links.as_ref()?;
    let shown = links.iter().filter_map(|link| {
        let (id, alias) = link.split_once(':')?;
        let other = containers.get(id)?;
        Some(format!("/{}:/{}/{alias}", other.view().name, view.name))
    });
    Some(shown.collect())
}

/// All containers that run, as their neighbours see them.
pub(crate) fn members_of(containers: &Containers) -> Vec<neighbours::Member> {
    let mut members = Vec::new();
    let mut guests = stack::guests(containers);
    for entry in containers.all() {
        let view = entry.view();
        let places = places(&view);
        if places.is_empty() {
            continue;
        }
        let spec = &view.spec;
        let mut names = vec![view.name.clone(), spec.short_id().to_owned()];
        if !names.iter().any(|name| name == spec.hostname()) {
            names.push(spec.hostname().to_owned());
        }
        members.push(neighbours::Member {
            run: run_id(&entry, view.state.generation),
            names,
            places,
            guests: guests.remove(entry.id()).unwrap_or_default(),
        });
    }
    members
}

fn places(view: &View) -> Vec<neighbours::Place> {
    let active = view.state.active();
    if active.iter().all(|endpoint| endpoint.address.is_none()) {
        return Vec::new();
    }
    let settings = settings_of(&view.spec);
    let place = |endpoint: &super::Endpoint| {
        let own = settings.get(&endpoint.name);
        let links = own.and_then(|settings| settings.links.as_ref());
        let of_the_host = view.spec.host.links.as_ref().filter(|_| endpoint.name == BRIDGE);
        let pairs = links.into_iter().chain(of_the_host).flatten().filter_map(|link| parse_link(link).ok());
        Some(neighbours::Place {
            network: endpoint.network.clone(),
            address: endpoint.address?,
            aliases: own.and_then(|settings| settings.aliases.clone()).unwrap_or_default(),
            links: pairs.map(|(target, alias)| (target.to_owned(), alias.to_owned())).collect(),
        })
    };
    active.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use bollard_stubs::models::EndpointIpamConfig;

    use super::*;

    #[test]
    fn links_are_a_name_and_an_alias() {
        assert_eq!(parse_link("db"), Ok(("db", "db")));
        assert_eq!(parse_link("db:data"), Ok(("db", "data")));
        assert_eq!(parse_link("/db:/web/data"), Ok(("db", "data")));
        for (bad, words) in [
            ("a:b:c", "bad format for links: a:b:c"),
            ("a:", "bad format for links: a:"),
            ("", "empty string specified for links"),
            (":b", "empty string specified for links"),
        ] {
            assert_eq!(parse_link(bad).unwrap_err().message, words, "{bad}");
        }
    }

    #[test]
    fn what_a_user_may_not_set_is_dropped_and_what_cannot_be_is_refused() {
        let settings = EndpointSettings {
            aliases: Some(vec!["a".into()]),
            endpoint_id: Some("mine".into()),
            ip_address: Some("1.2.3.4".into()),
            ..EndpointSettings::default()
        };
        let kept = sanitised(settings).unwrap();
        assert_eq!((kept.aliases, kept.endpoint_id, kept.ip_address), (Some(vec!["a".into()]), None, None));
        let mac =
            |mac: &str| sanitised(EndpointSettings { mac_address: Some(mac.into()), ..Default::default() });
        assert!(mac("02:42:0A:05:00:02").is_ok() && mac("").is_ok());
        assert_eq!(mac("zz").unwrap_err().message, "address zz: invalid MAC address");
        assert!(mac("02:42:0a:05:00").is_err());
        let config = EndpointIpamConfig { ipv6_address: Some("fd00::2".into()), ..Default::default() };
        let v6 = sanitised(EndpointSettings { ipam_config: Some(config), ..Default::default() });
        assert_eq!(v6.unwrap_err().kind, ErrorKind::Unsupported);
    }
}
