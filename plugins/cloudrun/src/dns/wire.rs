//! Zones and record sets as Cloud DNS has them, as far as they are read (discovery document of dns v1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{Error, Label, Result, dns::Zone};

use crate::{limits, names};

/// `ManagedZone`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedZone {
    pub name: String,
    pub dns_name: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
}

/// A page of `managedZones.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedZones {
    pub managed_zones: Vec<ManagedZone>,
    pub next_page_token: String,
}

/// `ResourceRecordSet`. A deletion has to repeat what is there.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordSet {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub ttl: u32,
    pub rrdatas: Vec<String>,
}

/// A page of `resourceRecordSets.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RecordSets {
    pub rrsets: Vec<RecordSet>,
    pub next_page_token: String,
}

/// What a zone of ours says of itself to a person; its exact labels stand behind it, since a label of Google's holds
/// few characters.
const DESCRIPTION: &str = "A network of Sockerless. ";

/// The body of `managedZones.create`: private, and seen from one network.
///
/// # Errors
/// `invalid-argument` for labels that are too long together.
pub fn zone(zone: &Zone, network: &str) -> Result<Value> {
    // A list of pairs of strings is always JSON.
    let all = serde_json::to_string(&zone.labels).unwrap_or_default();
    let description = format!("{DESCRIPTION}{all}");
    if description.chars().count() > limits::ZONE_DESCRIPTION_CHARS {
        return Err(Error::invalid(format!(
            "the labels of the zone {} are longer than the {} characters that Cloud DNS keeps of a zone",
            zone.name,
            limits::ZONE_DESCRIPTION_CHARS - DESCRIPTION.len()
        )));
    }
    Ok(json!({
        "name": zone.name,
        "dnsName": zone.domain,
        "description": description,
        "visibility": "private",
        "privateVisibilityConfig": {"networks": [{"networkUrl": network}]},
        "labels": names::plain_labels(&zone.owner, &zone.labels),
    }))
}

impl ManagedZone {
    /// The daemon that it belongs to; none when it is no zone of ours.
    pub fn owner(&self) -> Option<&str> {
        let ours = self.labels.get(names::MANAGED_BY.0).is_some_and(|by| by == names::MANAGED_BY.1);
        self.labels.get(names::OWNER).filter(|_| ours).map(String::as_str)
    }

    /// As the contract has it, if it is one of ours.
    pub fn into_zone(self) -> Option<Zone> {
        let owner = self.owner()?.to_owned();
        let exact = self.description.strip_prefix(DESCRIPTION).and_then(|all| serde_json::from_str(all).ok());
        let labels: Vec<Label> = exact.unwrap_or_default();
        Some(Zone { name: self.name, domain: self.dns_name, owner, labels })
    }
}

impl RecordSet {
    /// An address record.
    pub fn addresses(name: String, addresses: Vec<String>, ttl: u32) -> Self {
        Self { name, kind: "A".into(), ttl, rrdatas: addresses }
    }

    /// Whether it is one of the two that a zone cannot be without.
    pub fn is_apex(&self, domain: &str) -> bool {
        self.name == domain && matches!(self.kind.as_str(), "NS" | "SOA")
    }
}
