//! Record sets: what the API takes and in which form it keeps it.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::error::{DnsError, Result};
use crate::limits;

/// All records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// In lower case, with its final dot.
    pub name: String,
    /// `A`, `CNAME`, …
    pub kind: String,
    /// Seconds.
    pub ttl: u32,
    /// In the form of zone files.
    pub data: Vec<String>,
}

/// The types that are simulated.
const KINDS: &[&str] = &["A", "AAAA", "CNAME", "NS", "SOA", "TXT"];

impl RecordSet {
    /// Reads a checked `ResourceRecordSet` at `place` (`entity.change.additions[0]`) of a zone.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn read(body: &Value, place: &str, dns_name: &str) -> Result<Self> {
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let (name, kind) = (text("name"), text("type"));
        if name.is_empty() {
            return Err(DnsError::required(&format!("{place}.name")));
        }
        let canonical = name.to_ascii_lowercase();
        if !is_domain(&canonical, true) || !is_within(&canonical, dns_name) {
            return Err(DnsError::invalid(&format!("{place}.name"), name));
        }
        if kind.is_empty() {
            return Err(DnsError::required(&format!("{place}.type")));
        }
        if !KINDS.contains(&kind) {
            return Err(DnsError::invalid(&format!("{place}.type"), kind));
        }
        if !body["routingPolicy"].is_null() {
            let message = format!("{place}.routingPolicy is not simulated");
            return Err(DnsError::new(http::StatusCode::NOT_IMPLEMENTED, "notImplemented", message));
        }
        let ttl = body["ttl"].as_i64().unwrap_or_default();
        let ttl =
            u32::try_from(ttl).map_err(|_| DnsError::invalid(&format!("{place}.ttl"), &ttl.to_string()))?;
        let data: Vec<&str> =
            body["rrdatas"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if data.is_empty() {
            return Err(DnsError::required(&format!("{place}.rrdata")));
        }
        if data.len() > limits::DNS_RECORDS_PER_SET {
            return Err(DnsError::quota(place, "resourceRecordsPerRrset", limits::DNS_RECORDS_PER_SET));
        }
        let mut kept: Vec<String> = Vec::with_capacity(data.len());
        for (index, text) in data.into_iter().enumerate() {
            match canonical_data(kind, text) {
                // The same record twice is none.
                Some(text) if !kept.contains(&text) => kept.push(text),
                _ => return Err(DnsError::invalid(&format!("{place}.rrdata[{index}]"), text)),
            }
        }
        if kept.len() > 1 && matches!(kind, "CNAME" | "SOA") {
            return Err(DnsError::invalid(&format!("{place}.rrdata[1]"), &kept[1]));
        }
        Ok(Self { name: canonical, kind: kind.to_owned(), ttl, data: kept })
    }

    /// The resource.
    pub fn resource(&self) -> Value {
        json!({
            "kind": "dns#resourceRecordSet",
            "name": self.name,
            "type": self.kind,
            "ttl": self.ttl,
            "rrdatas": self.data,
            "signatureRrdatas": [],
        })
    }

    /// `www.example.com. (A)`, as messages name it.
    pub fn title(&self) -> String {
        format!("{} ({})", self.name, self.kind)
    }

    /// Whether a deletion names exactly this one. The order of the records is no part of it.
    pub fn is(&self, other: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut data = set.data.clone();
            data.sort_unstable();
            data
        };
        self.ttl == other.ttl && sorted(self) == sorted(other)
    }
}

/// The canonical form of a record's data. None when it is no such record.
fn canonical_data(kind: &str, text: &str) -> Option<String> {
    match kind {
        "A" => text.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
        "AAAA" => text.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
        "CNAME" | "NS" => Some(text.to_ascii_lowercase()).filter(|name| is_domain(name, false)),
        "SOA" => {
            let parts: Vec<&str> = text.split_ascii_whitespace().collect();
            let [names @ .., _, _, _, _, _] = parts.as_slice() else { return None };
            let numbers = parts[names.len()..].iter().all(|part| part.parse::<u32>().is_ok());
            (names.len() == 2 && numbers && names.iter().all(|name| is_domain(name, false)))
                .then(|| parts.join(" "))
        }
        "TXT" => {
            (!text.is_empty() && text.len() <= 1_000 && !text.contains(['\n', '\0'])).then(|| text.to_owned())
        }
        _ => None,
    }
}

/// A domain name with its final dot, in lower case. A name in a zone may begin with a wildcard.
pub fn is_domain(name: &str, wildcard: bool) -> bool {
    let Some(labels) = name.strip_suffix('.') else { return false };
    let labels = if wildcard { labels.strip_prefix("*.").unwrap_or(labels) } else { labels };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    name.len() <= 254
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Whether a name is a zone's or lies below it.
pub fn is_within(name: &str, dns_name: &str) -> bool {
    name.strip_suffix(dns_name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<RecordSet> {
        RecordSet::read(&body, "entity.change.additions[0]", "ab.internal.")
    }

    #[test]
    fn a_record_set_is_kept_in_one_form() {
        let set = read(json!({"name": "WWW.ab.internal.", "type": "A", "ttl": 10, "rrdatas": ["10.0.0.1"]}))
            .unwrap();
        assert_eq!((set.name.as_str(), set.title().as_str()), ("www.ab.internal.", "www.ab.internal. (A)"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let base = json!({"name": "a.ab.internal.", "type": "A", "ttl": 1, "rrdatas": ["10.0.0.1"]});
        for (field, value, message) in [
            (
                "name",
                json!("a.ab.internal"),
                "Invalid value for 'entity.change.additions[0].name': 'a.ab.internal'",
            ),
            (
                "name",
                json!("a.xab.internal."),
                "Invalid value for 'entity.change.additions[0].name': 'a.xab.internal.'",
            ),
            (
                "name",
                json!("a..ab.internal."),
                "Invalid value for 'entity.change.additions[0].name': 'a..ab.internal.'",
            ),
            ("type", json!("B"), "Invalid value for 'entity.change.additions[0].type': 'B'"),
            ("ttl", json!(-1), "Invalid value for 'entity.change.additions[0].ttl': '-1'"),
            (
                "rrdatas",
                json!(["10.0.0.1", "x"]),
                "Invalid value for 'entity.change.additions[0].rrdata[1]': 'x'",
            ),
            (
                "rrdatas",
                json!([]),
                "The 'entity.change.additions[0].rrdata' parameter is required but was missing.",
            ),
        ] {
            let mut body = base.clone();
            body[field] = value;
            assert_eq!(read(body).unwrap_err().message, message);
        }
    }

    #[test]
    fn a_deletion_matches_in_any_order_of_its_records() {
        let set = |ttl: u32, data: &[&str]| RecordSet {
            name: "a.".into(),
            kind: "A".into(),
            ttl,
            data: data.iter().map(ToString::to_string).collect(),
        };
        assert!(set(1, &["a", "b"]).is(&set(1, &["b", "a"])));
        assert!(!set(1, &["a"]).is(&set(2, &["a"])) && !set(1, &["a"]).is(&set(1, &["a", "b"])));
    }
}
