//! Record sets as Azure DNS has them (`Microsoft.Network/privateDnsZones`), and what a network keeps in one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, Label, Result,
    dns::{AddressRecord, Zone},
};

use crate::{limits, names::ascii};

/// How the text begins in which a network describes itself.
const MARK: &str = "sockerless-zone=";

/// `RecordSet`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RecordSet {
    /// Relative to the operator's zone.
    pub name: String,
    properties: Properties,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    ttl: u32,
    a_records: Option<Vec<Address>>,
    txt_records: Option<Vec<Text>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Address {
    ipv4_address: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Text {
    value: Vec<String>,
}

/// A zone of the contract, as a part of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtree {
    /// The zone's name.
    #[serde(skip)]
    pub name: String,
    /// Which daemon it belongs to.
    #[serde(rename = "o")]
    pub owner: String,
    /// The domain that the host wanted.
    #[serde(rename = "d")]
    pub domain: String,
    /// Where the records are, relative to the operator's zone.
    #[serde(rename = "b")]
    pub below: String,
    #[serde(rename = "l")]
    labels: Vec<Label>,
}

impl Subtree {
    /// The domain itself where it lies within the operator's zone, else a domain of the zone's name.
    pub fn new(zone: Zone, parent: &str) -> Self {
        let Zone { name, domain, owner, labels } = zone;
        let within =
            domain.trim_end_matches('.').strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
        let below = within.filter(|rest| is_name(rest)).unwrap_or(&name).to_owned();
        Self { name, owner, domain, below, labels }
    }

    /// The body of its record set.
    ///
    /// # Errors
    /// `invalid-argument` for labels that are too long together.
    pub fn body(&self) -> Result<Value> {
        // Strings are always JSON; escaped to ASCII, so that a piece never ends within a character.
        let text = ascii(&serde_json::to_string(self).unwrap_or_default());
        let text = format!("{MARK}{text}");
        if text.len() > limits::TXT_BYTES {
            return Err(Error::invalid(format!(
                "the labels of the zone {} are longer than the {} bytes that Azure DNS keeps of a record",
                self.name,
                limits::TXT_BYTES
            )));
        }
        let pieces: Vec<String> = text
            .as_bytes()
            .chunks(limits::TXT_CHARS)
            .map(|piece| String::from_utf8_lossy(piece).into_owned())
            .collect();
        Ok(json!({"properties": {"ttl": limits::ZONE_TTL_SECONDS, "txtRecords": [{"value": pieces}]}}))
    }

    /// As the contract has it.
    pub fn into_zone(self) -> Zone {
        Zone { name: self.name, domain: self.domain, owner: self.owner, labels: self.labels }
    }
}

impl RecordSet {
    /// What it says of a network, if it is one of ours.
    pub fn subtree(&self) -> Option<Subtree> {
        let texts = self.properties.txt_records.as_ref()?;
        let text = texts
            .iter()
            .map(|text| text.value.concat())
            .find_map(|text| text.strip_prefix(MARK).map(str::to_owned))?;
        let subtree: Subtree = serde_json::from_str(&text).ok()?;
        Some(Subtree { name: self.name.clone(), ..subtree })
    }

    /// As the contract has it: relative to the network's zone.
    pub fn into_record(self, subtree: &Subtree) -> Option<AddressRecord> {
        let name = self.name.strip_suffix(&subtree.below)?.strip_suffix('.')?.to_owned();
        let addresses = self.properties.a_records?.into_iter().map(|address| address.ipv4_address).collect();
        Some(AddressRecord { name, addresses, ttl_seconds: self.properties.ttl })
    }
}

/// Whether a zone may be called so: one label.
pub fn is_zone(name: &str) -> bool {
    is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether it is a relative domain name.
pub fn is_name(name: &str) -> bool {
    name.len() <= limits::DOMAIN_CHARS && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
