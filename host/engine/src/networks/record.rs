//! A network, and its durable record.

use std::{collections::HashMap, net::Ipv4Addr};

use bollard_stubs::models::Ipam;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockerless_ports::store::{Change, Kind, Record};

use super::{Plan, Subnet};
use crate::{Error, ErrorKind, Result};

/// Networks that are always there; their drivers are `bridge`, `host` and `null`.
pub(crate) const BRIDGE: &str = "bridge";
pub(crate) const HOST: &str = "host";
pub(crate) const NONE: &str = "none";

/// A network as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub driver: String,
    pub created: Timestamp,
    pub internal: bool,
    pub attachable: bool,
    pub labels: HashMap<String, String>,
    pub options: HashMap<String, String>,
    /// As `inspect` shows it.
    pub ipam: Ipam,
    /// None without addresses: `host` and `none`.
    pub plan: Option<Plan>,
    /// One of the three that are always there.
    pub builtin: bool,
    /// Its zone in a cloud; none where the cloud has no such thing, or the operator wants none.
    pub zone: Option<Place>,
    /// It was removed, but its zone could not be deleted yet: why.
    pub cleanup: Option<String>,
    /// The backend whose containers may be on it; none for those of any.
    #[serde(default)]
    pub backend: Option<String>,
}

/// Where a network's zone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The backend's name.
    pub backend: String,
    /// Unique in the account.
    pub name: String,
}

impl Network {
    /// One of those that are always there.
    pub fn builtin(name: &str) -> Self {
        let driver = if name == NONE { "null" } else { name };
        let plan = (name == BRIDGE)
            .then(|| Plan::automatic(Subnet::around(Ipv4Addr::new(172, 17, 0, 0), 16)))
            .flatten();
        let subnet = plan.as_ref().map(|plan| bollard_stubs::models::IpamConfig {
            subnet: Some(plan.subnet.to_string()),
            gateway: Some(plan.gateway.to_string()),
            ..Default::default()
        });
        let options = [
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", "true"),
            ("com.docker.network.bridge.enable_ip_masquerade", "true"),
            ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
            ("com.docker.network.bridge.name", "docker0"),
            ("com.docker.network.driver.mtu", "1500"),
        ];
        let options = options.into_iter().filter(|_| name == BRIDGE);
        Self {
            id: new_id(),
            name: name.into(),
            driver: driver.into(),
            created: Timestamp::now(),
            internal: false,
            attachable: false,
            labels: HashMap::new(),
            options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ipam: Ipam {
                driver: Some("default".into()),
                config: Some(subnet.into_iter().collect()),
                options: None,
            },
            plan,
            builtin: true,
            zone: None,
            cleanup: None,
            backend: None,
        }
    }

    /// The first 12 digits of the id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Containers of a network of the user's find each other by name; those on `bridge` by links alone, as in dockerd.
    pub fn has_names(&self) -> bool {
        !self.builtin
    }

    /// Whether containers may talk to each other without a link.
    pub fn lets_talk(&self) -> bool {
        let value =
            self.options.get("com.docker.network.bridge.enable_icc").map(|value| value.to_lowercase());
        !matches!(value.as_deref(), Some("false" | "0" | "f"))
    }

    /// The change that keeps it.
    pub fn put(&self) -> Result<Change> {
        let content = serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("network {}: {error}", self.id)))?;
        Ok(Change::Put(Kind::Network, Record { key: self.id.clone(), content }))
    }

    /// The change that forgets it.
    pub fn delete(&self) -> Change {
        Change::Delete(Kind::Network, self.id.clone())
    }
}

/// 64 random hexadecimal digits.
pub(crate) fn new_id() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}
