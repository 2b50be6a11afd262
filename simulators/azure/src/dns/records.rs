//! Record sets of a zone.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::StatusCode;
use serde_json::{Value, json};
use sockerless_simulator_common::Database;

use super::{document, preconditions, zones};
use crate::arm::{Answer, Call, page, store};
use crate::error::{ArmError, Result};
use crate::{ids, limits};

/// Types, and the field that has a set's records.
const TYPES: &[(&str, &str)] = &[
    ("A", "aRecords"),
    ("AAAA", "aaaaRecords"),
    ("CNAME", "cnameRecord"),
    ("MX", "mxRecords"),
    ("PTR", "ptrRecords"),
    ("SOA", "soaRecord"),
    ("SRV", "srvRecords"),
    ("TXT", "txtRecords"),
];

fn bad(message: impl Into<String>) -> ArmError {
    ArmError::bad("BadRequest", message)
}

/// The type of the path, as it is spelled, with its field.
fn kind(call: &Call) -> Result<(&'static str, &'static str)> {
    let found = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(call.name(1))).copied();
    found.ok_or_else(|| bad(format!("'{}' is no type of records.", call.name(1))))
}

fn collection(kind: &str) -> String {
    format!("microsoft.network/privatednszones/{kind}")
}

fn id(call: &Call, kind: &str) -> String {
    format!("{}/{kind}/{}", zones::id(call), call.name(2))
}

fn missing(call: &Call) -> ArmError {
    let message =
        format!("The resource record '{}' does not exist in resource group '{}'.", call.name(2), call.group);
    ArmError::not_found("NotFound", message)
}

/// How many sets a zone has.
pub fn count(call: &Call, zone: &str) -> usize {
    // A count that cannot be read is none.
    let sets = TYPES.iter().map(|(kind, _)| store::children(&call.simulator.db, &collection(kind), zone));
    sets.map(|sets| sets.map_or(0, |sets| sets.len())).sum()
}

/// The zone's own SOA; `zone` is its id.
///
/// # Errors
/// The database's.
pub fn apex(db: &Database, zone: &str, name: &str) -> Result<()> {
    let id = format!("{zone}/SOA/@");
    let doc = json!({
        "id": id, "name": "@", "type": "Microsoft.Network/privateDnsZones/SOA", "etag": ids::uuid(),
        "properties": {
            "fqdn": format!("{name}."), "ttl": 3_600, "isAutoRegistered": false,
            "soaRecord": {
                "host": "azureprivatedns.net", "email": "azureprivatedns-host.microsoft.com", "serialNumber": 1,
                "refreshTime": 3_600, "retryTime": 300, "expireTime": 2_419_200, "minimumTtl": 10,
            },
        },
    });
    store::put(db, &collection("SOA"), zone, &id, &doc, 0)?;
    Ok(())
}

/// `T/N` with GET
pub fn get(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let (kind, _) = kind(call)?;
    Ok(Answer::ok(store::get(&call.simulator.db, &id(call, kind))?.ok_or_else(|| missing(call))?))
}

/// `T` with GET
pub fn list(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let (kind, _) = kind(call)?;
    if call.query.contains_key("$recordsetnamesuffix") {
        return Ok(Answer::ok(json!({"value": named(call, &[kind])?})));
    }
    page(call, &collection(kind), &zones::id(call), |doc| doc)
}

/// `ALL` with GET: all at once.
pub fn list_all(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let kinds: Vec<&str> = TYPES.iter().map(|(kind, _)| *kind).collect();
    Ok(Answer::ok(json!({"value": named(call, &kinds)?})))
}

fn named(call: &Call, kinds: &[&str]) -> Result<Vec<Value>> {
    let suffix = call.query.get("$recordsetnamesuffix").map_or("", String::as_str);
    let mut found = Vec::new();
    for kind in kinds {
        let sets = store::children(&call.simulator.db, &collection(kind), &zones::id(call))?;
        found.extend(
            sets.into_iter().filter(|set| set["name"].as_str().unwrap_or_default().ends_with(suffix)),
        );
    }
    Ok(found)
}

/// `@`, or labels of which the first may be `*`.
fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    let rest = name.strip_prefix("*.").unwrap_or(name);
    if name == "@" || name == "*" || (name.len() <= 253 && rest.split('.').all(label)) {
        return Ok(());
    }
    Err(bad(format!("The name of the record set '{name}' is invalid.")))
}

fn check(kind: &str, field: &str, properties: &Value) -> Result<()> {
    if let Some((_, other)) = TYPES.iter().find(|(_, other)| *other != field && !properties[*other].is_null())
    {
        return Err(bad(format!("A record set of type {kind} has no '{other}'.")));
    }
    let ttl = properties["ttl"].as_i64().ok_or_else(|| bad("The property 'ttl' is required."))?;
    if !(0..=i64::from(i32::MAX)).contains(&ttl) {
        return Err(bad(format!("The ttl {ttl} is invalid.")));
    }
    let records = &properties[field];
    let list = match records {
        Value::Array(list) if !list.is_empty() && list.len() <= limits::RECORDS => list.as_slice(),
        Value::Object(_) => std::slice::from_ref(records),
        _ => {
            return Err(bad(format!(
                "A record set of type {kind} has 1 to {} records in '{field}'.",
                limits::RECORDS
            )));
        }
    };
    for (index, record) in list.iter().enumerate() {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let good = match kind {
            "A" => text("ipv4Address").parse::<Ipv4Addr>().is_ok(),
            "AAAA" => text("ipv6Address").parse::<Ipv6Addr>().is_ok(),
            "CNAME" => !text("cname").is_empty(),
            "PTR" => !text("ptrdname").is_empty(),
            _ => true,
        };
        if !good {
            return Err(bad(format!("The record {record} of type {kind} is invalid.")));
        }
        if list[..index].contains(record) {
            return Err(bad(format!("The record {record} stands twice in the set.")));
        }
    }
    Ok(())
}

/// `T/N` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    let zone = zones::find(call)?;
    if zone["properties"]["provisioningState"] == "Deleting" {
        return Err(ArmError::conflict("Conflict", format!("The zone '{}' is being deleted.", call.name(0))));
    }
    let (kind, field) = kind(call)?;
    check_name(call.name(2))?;
    let id = id(call, kind);
    let old = store::get(&call.simulator.db, &id)?;
    preconditions(call, old.as_ref())?;
    check(kind, field, &call.body["properties"])?;
    alone(call, kind)?;
    if old.is_none() && count(call, &zones::id(call)) >= limits::RECORD_SETS {
        return Err(bad(format!("The zone has {} record sets.", limits::RECORD_SETS)));
    }
    save(call, kind, &id, call.body["properties"].clone())
}

/// A CNAME has no others beside it.
fn alone(call: &Call, kind: &str) -> Result<()> {
    for (other, _) in TYPES {
        let clash = *other != kind && (kind == "CNAME" || *other == "CNAME");
        if clash && store::get(&call.simulator.db, &id(call, other))?.is_some() {
            let message =
                format!("The record set '{}' of type {kind} clashes with one of type {other}.", call.name(2));
            return Err(ArmError::conflict("Conflict", message));
        }
    }
    Ok(())
}

fn save(call: &Call, kind: &str, id: &str, properties: Value) -> Result<Answer> {
    let mut doc = document(call, id, &format!("privateDnsZones/{kind}"), call.name(2));
    let zone = call.name(0);
    let fqdn = if call.name(2) == "@" { format!("{zone}.") } else { format!("{}.{zone}.", call.name(2)) };
    doc["properties"] = properties;
    doc["properties"]["fqdn"] = json!(fqdn);
    doc["properties"]["isAutoRegistered"] = json!(false);
    let new = store::put(&call.simulator.db, &collection(kind), &zones::id(call), id, &doc, 0)?;
    Ok(Answer::new(if new { StatusCode::CREATED } else { StatusCode::OK }, doc))
}

/// `T/N` with PATCH: fields that are given replace those that were there.
pub fn patch(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let (kind, field) = kind(call)?;
    let id = id(call, kind);
    let old = store::get(&call.simulator.db, &id)?.ok_or_else(|| missing(call))?;
    preconditions(call, Some(&old))?;
    let mut properties = old["properties"].clone();
    for (name, value) in call.body["properties"].as_object().into_iter().flatten() {
        properties[name] = value.clone();
    }
    check(kind, field, &properties)?;
    save(call, kind, &id, properties)
}

/// `T/N` with DELETE
pub fn delete(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let (kind, _) = kind(call)?;
    if kind == "SOA" {
        return Err(bad("The SOA of a zone cannot be deleted."));
    }
    let id = id(call, kind);
    let old = store::get(&call.simulator.db, &id)?;
    if old.is_some() {
        preconditions(call, old.as_ref())?;
    }
    let removed = store::delete(&call.simulator.db, &id)?;
    Ok(Answer::empty(if removed { StatusCode::OK } else { StatusCode::NO_CONTENT }))
}
