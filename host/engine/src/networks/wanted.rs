//! What a client asks for when it creates a network: checked, in dockerd's words for what is wrong.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use bollard_stubs::models::{Ipam, IpamConfig, NetworkCreateRequest};

use super::{BRIDGE, HOST, NONE, Subnet, SubnetError};
use crate::{Error, ErrorKind, Result};

/// A network that could be made, if its subnet is free.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub request: NetworkCreateRequest,
    /// As it is to be shown; without subnets when the daemon is to choose one.
    pub ipam: Ipam,
    pub addresses: Option<Addresses>,
    pub warnings: Vec<String>,
}

/// The addresses that the user chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub subnet: Subnet,
    pub range: Option<Subnet>,
    pub gateway: Option<Ipv4Addr>,
    pub reserved: BTreeSet<Ipv4Addr>,
}

fn refused<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T> {
    Err(Error::new(kind, message))
}

/// Errors: 400 for what is malformed, 403 for what dockerd has but once, 404 for a driver that nobody knows, 501 for one
/// that this daemon has not.
pub(super) fn parse(request: NetworkCreateRequest) -> Result<Wanted> {
    let name = request.name.as_str();
    if name.trim().is_empty() {
        return refused(ErrorKind::Invalid, format!("invalid name: {name}"));
    }
    if [BRIDGE, HOST, NONE, "default"].contains(&name) {
        return refused(
            ErrorKind::Forbidden,
            format!("operation is not permitted on predefined {name} network "),
        );
    }
    driver(request.driver.as_deref().unwrap_or_default())?;
    let flag = |flag: Option<bool>| flag.unwrap_or(false);
    if flag(request.ingress) || request.scope.as_deref().is_some_and(|scope| !["", "local"].contains(&scope))
    {
        return refused(
            ErrorKind::Forbidden,
            "cannot create a swarm scoped network when swarm is not active",
        );
    }
    let from = request.config_from.as_ref().and_then(|from| from.network.as_deref()).unwrap_or_default();
    if flag(request.config_only) || !from.is_empty() {
        return refused(
            ErrorKind::Unsupported,
            "networks that only hold a configuration (--config-only, --config-from) are not supported: there is no swarm to share it with",
        );
    }
    if request.enable_ipv4 == Some(false) {
        return refused(
            ErrorKind::Unsupported,
            "networks without IPv4 are not supported: the mesh between containers has IPv4 only",
        );
    }
    let mut warnings = Vec::new();
    if flag(request.enable_ipv6) {
        warnings.push(
            "IPv6 (--ipv6): the mesh between containers has IPv4 only; the network is made without".into(),
        );
    }
    if flag(request.internal) {
        warnings.push(
            "an internal network (--internal): what the cloud lets its jobs reach stays reachable; only the daemon's own networks are kept apart"
                .into(),
        );
    }
    let ipam = request.ipam.clone().unwrap_or_default();
    let of_v6 = |config: &IpamConfig| is_v6(config.subnet.as_deref().unwrap_or_default());
    if ipam.config.iter().flatten().any(of_v6) && warnings.is_empty() {
        warnings.push("IPv6 subnets: the mesh between containers has IPv4 only; they are left out".into());
    }
    if !["", "default"].contains(&ipam.driver.as_deref().unwrap_or_default()) {
        let driver = ipam.driver.unwrap_or_default();
        return refused(ErrorKind::NotFound, format!("plugin \"{driver}\" not found"));
    }
    let configs: Vec<IpamConfig> =
        ipam.config.into_iter().flatten().filter(|config| !of_v6(config)).collect();
    let addresses = match configs.as_slice() {
        [] => None,
        [config] => Some(addresses(config)?),
        _ => return refused(ErrorKind::Forbidden, "bridge driver doesn't support multiple subnets"),
    };
    let ipam = Ipam { driver: Some("default".into()), config: Some(configs), options: ipam.options };
    Ok(Wanted { request, ipam, addresses, warnings })
}

fn driver(name: &str) -> Result<()> {
    match name {
        "" | "default" | BRIDGE => Ok(()),
        HOST | "null" => {
            refused(ErrorKind::Forbidden, format!("only one instance of \"{name}\" network is allowed"))
        }
        "overlay" | "macvlan" | "ipvlan" => refused(
            ErrorKind::Unsupported,
            format!(
                "networks of the driver {name} are not supported: containers in a cloud share no link; use the driver bridge"
            ),
        ),
        other => refused(ErrorKind::NotFound, format!("plugin \"{other}\" not found")),
    }
}

fn is_v6(subnet: &str) -> bool {
    matches!(subnet.split('/').next().map(str::parse), Some(Ok(IpAddr::V6(_))))
}

/// All that is wrong at once, as dockerd does since version 25.
fn addresses(config: &IpamConfig) -> Result<Addresses> {
    let mut faults = Vec::new();
    let text = config.subnet.as_deref().unwrap_or_default();
    let subnet = match text.parse::<Subnet>() {
        Ok(subnet) => subnet,
        Err(error) => {
            faults.push(format!("invalid subnet {text}: {error}"));
            let SubnetError::HostBits(subnet) = error else { return Err(several(&faults)) };
            subnet
        }
    };
    let range = config.ip_range.as_deref().filter(|range| !range.is_empty()).and_then(|text| {
        let fault = match text.parse::<Subnet>() {
            Ok(range) if range.covers(subnet) && range != subnet => {
                format!("CIDR block is bigger than its parent subnet {subnet}")
            }
            Ok(range) if !subnet.covers(range) => format!("parent subnet {subnet} doesn't contain ip-range"),
            Ok(range) => return Some(range),
            Err(error) => error.to_string(),
        };
        faults.push(format!("invalid ip-range {text}: {fault}"));
        None
    });
    let mut within = |what: String, text: &str| {
        let fault = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) if subnet.contains(address) => return Some(address),
            Ok(IpAddr::V4(_)) => format!("parent subnet {subnet} doesn't contain this address"),
            Ok(IpAddr::V6(_)) => "parent subnet is an IPv4 block".to_owned(),
            Err(_) => "invalid address".to_owned(),
        };
        faults.push(format!("{what}: {fault}"));
        None
    };
    let gateway = config.gateway.as_deref().filter(|gateway| !gateway.is_empty());
    let gateway = gateway.and_then(|text| within(format!("invalid gateway {text}"), text));
    let mut auxiliary: Vec<_> = config.auxiliary_addresses.iter().flatten().collect();
    auxiliary.sort();
    let reserved = auxiliary.into_iter();
    let reserved: BTreeSet<Ipv4Addr> = reserved
        .filter_map(|(name, text)| within(format!("invalid auxiliary address {name}"), text))
        .collect();
    if !faults.is_empty() {
        return Err(several(&faults));
    }
    if gateway.is_some_and(|gateway| reserved.contains(&gateway)) {
        return refused(ErrorKind::Forbidden, "Address already in use");
    }
    Ok(Addresses { subnet, range, gateway, reserved })
}

fn several(faults: &[String]) -> Error {
    let list = match faults {
        [one] => one.clone(),
        many => many.iter().map(|fault| format!("* {fault}")).collect::<Vec<_>>().join("\n"),
    };
    Error::new(ErrorKind::Invalid, format!("invalid network config:\n{list}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(config: IpamConfig) -> Result<Wanted> {
        let ipam = Ipam { config: Some(vec![config]), ..Ipam::default() };
        parse(NetworkCreateRequest { name: "n".into(), ipam: Some(ipam), ..Default::default() })
    }

    fn words(config: IpamConfig) -> String {
        with(config).unwrap_err().message
    }

    #[test]
    fn what_is_wrong_with_addresses_is_said_in_dockerds_words() {
        let some = |text: &str| Some(text.to_owned());
        let base = || IpamConfig { subnet: some("10.1.0.0/24"), ..Default::default() };
        assert_eq!(
            words(IpamConfig::default()),
            "invalid network config:\ninvalid subnet : invalid CIDR block notation"
        );
        assert_eq!(
            words(IpamConfig { subnet: some("10.1.0.5/24"), ..base() }),
            "invalid network config:\ninvalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"
        );
        assert_eq!(
            words(IpamConfig { gateway: some("10.2.0.1"), ip_range: some("10.0.0.0/8"), ..base() }),
            "invalid network config:\n* invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/24\n\
             * invalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"
        );
        let auxiliary_addresses = Some([("h".to_owned(), "x".to_owned())].into());
        assert_eq!(
            words(IpamConfig { auxiliary_addresses, ..base() }),
            "invalid network config:\ninvalid auxiliary address h: invalid address"
        );
        let all = IpamConfig { gateway: some("10.1.0.9"), ip_range: some("10.1.0.128/25"), ..base() };
        let addresses = with(all).unwrap().addresses.unwrap();
        assert_eq!(addresses.gateway, Some(Ipv4Addr::new(10, 1, 0, 9)));
        assert_eq!(addresses.range.unwrap().to_string(), "10.1.0.128/25");
    }

    #[test]
    fn other_drivers_are_unknown_or_honestly_not_supported() {
        let with = |driver: &str| {
            let request =
                NetworkCreateRequest { name: "n".into(), driver: Some(driver.into()), ..Default::default() };
            parse(request).map(drop).map_err(|error| (error.kind, error.message))
        };
        assert_eq!(with("bridge"), Ok(()));
        assert_eq!(with("foo"), Err((ErrorKind::NotFound, "plugin \"foo\" not found".into())));
        assert_eq!(
            with("host"),
            Err((ErrorKind::Forbidden, "only one instance of \"host\" network is allowed".into()))
        );
        assert_eq!(with("overlay").unwrap_err().0, ErrorKind::Unsupported);
    }

    #[test]
    fn ipv6_is_warned_about() {
        let request =
            NetworkCreateRequest { name: "n".into(), enable_ipv6: Some(true), ..Default::default() };
        assert!(parse(request).unwrap().warnings[0].contains("IPv6"));
        let v6 = with(IpamConfig { subnet: Some("fd00::/64".into()), ..Default::default() }).unwrap();
        assert!(v6.addresses.is_none() && v6.ipam.config == Some(vec![]) && v6.warnings[0].contains("IPv6"));
    }
}
