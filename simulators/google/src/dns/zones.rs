//! Managed zones.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::changes::Change;
use super::error::{DnsError, Result};
use super::rrset::{RecordSet, is_domain};
use super::store::{self, Zone};
use super::{Pager, page};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{limits, time};

/// What Google answers with for private zones.
const PRIVATE_SERVER: &str = "ns-gcp-private.googledomains.com.";
/// And for public ones.
const PUBLIC_SERVERS: [&str; 4] = [
    "ns-cloud-a1.googledomains.com.",
    "ns-cloud-a2.googledomains.com.",
    "ns-cloud-a3.googledomains.com.",
    "ns-cloud-a4.googledomains.com.",
];
/// What is not simulated of a zone.
const MISSING: &[&str] = &[
    "dnssecConfig",
    "forwardingConfig",
    "peeringConfig",
    "reverseLookupConfig",
    "serviceDirectoryConfig",
    "nameServerSet",
];

/// The zone that a call is about.
pub fn find(simulator: &Simulator, project: &str, name: &str) -> Result<Zone> {
    store::zone(&simulator.db.lock(), project, name)?
        .ok_or_else(|| DnsError::missing("parameters.managedZone", name))
}

/// `managedZones.create`
pub fn create(simulator: &Simulator, project: &str, body: &Value) -> Result<Response> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let at = |field: &str| format!("entity.managedZone.{field}");
    let (name, dns_name) = (text("name"), text("dnsName").to_ascii_lowercase());
    for field in ["name", "dnsName"] {
        if text(field).is_empty() {
            return Err(DnsError::required(&at(field)));
        }
    }
    if !is_name(name) {
        return Err(DnsError::invalid(&at("name"), name));
    }
    if !is_domain(&dns_name, false) {
        return Err(DnsError::invalid(&at("dnsName"), text("dnsName")));
    }
    if text("description").chars().count() > 1024 {
        return Err(DnsError::invalid(&at("description"), text("description")));
    }
    if let Some(field) = MISSING.iter().find(|field| !body[**field].is_null()) {
        let message = format!("{} is not simulated", at(field));
        return Err(DnsError::new(StatusCode::NOT_IMPLEMENTED, "notImplemented", message));
    }
    labels(body)?;
    let private = text("visibility") == "private";
    let networks = networks(simulator, body, private)?;

    let id = i64::from_be_bytes(rand::random()) & i64::MAX;
    let servers: Vec<&str> = if private { vec![PRIVATE_SERVER] } else { PUBLIC_SERVERS.to_vec() };
    let mut doc = json!({
        "kind": "dns#managedZone",
        "id": id.to_string(),
        "name": name,
        "dnsName": dns_name,
        "description": text("description"),
        "creationTime": time::millis(time::now()),
        "nameServers": servers,
        "visibility": if private { "private" } else { "public" },
        "cloudLoggingConfig": {"kind": "dns#managedZoneCloudLoggingConfig"},
    });
    if let Some(labels) = body.get("labels") {
        doc["labels"] = labels.clone();
    }
    if private && !networks.is_empty() {
        let network = |url: &String| json!({"kind": "dns#managedZonePrivateVisibilityConfigNetwork", "networkUrl": url});
        doc["privateVisibilityConfig"] = json!({
            "kind": "dns#managedZonePrivateVisibilityConfig",
            "networks": networks.iter().map(network).collect::<Vec<_>>(),
        });
    }
    let zone = Zone { project: project.to_owned(), name: name.to_owned(), id, dns_name, doc };
    {
        let mut db = simulator.db.lock();
        let there = store::zones(&db, Some(project), "")?;
        if there.iter().any(|zone| zone.name == name) {
            return Err(DnsError::exists("entity.managedZone", name));
        }
        if there.len() >= simulator.config.quotas.managed_zones {
            return Err(DnsError::quota(
                "entity.managedZone",
                "managedZones",
                simulator.config.quotas.managed_zones,
            ));
        }
        bound(&zone, &networks, &there)?;
        store::add_zone(&db, &zone)?;
        apex(&zone, &servers).apply(&mut db, &zone)?;
    }
    simulator.dns.publish(&simulator.db, zone.id)?;
    Ok(Json(zone.doc).into_response())
}

/// The record sets that a zone cannot be without.
fn apex(zone: &Zone, servers: &[&str]) -> Change {
    let set = |kind: &str, data: Vec<String>| RecordSet {
        name: zone.dns_name.clone(),
        kind: kind.to_owned(),
        ttl: limits::DNS_APEX_TTL,
        data,
    };
    let soa = format!("{} cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300", servers[0]);
    let additions = vec![set("NS", servers.iter().map(ToString::to_string).collect()), set("SOA", vec![soa])];
    Change { additions, of_server: true, ..Change::default() }
}

/// In one network a name is one zone's.
fn bound(zone: &Zone, networks: &[String], others: &[Zone]) -> Result<()> {
    for other in others.iter().filter(|other| other.dns_name == zone.dns_name) {
        if let Some(network) = networks_of(&other.doc).find(|url| networks.iter().any(|own| own == url)) {
            // How Google words it could not be found out; the status is that of its other invalid zones.
            let message = format!(
                "The network '{network}' cannot be bound to this zone: '{}', of the same DNS name, is bound to it.",
                other.name
            );
            return Err(DnsError::new(StatusCode::BAD_REQUEST, "invalid", message));
        }
    }
    Ok(())
}

/// The networks that see a zone.
pub fn networks_of(doc: &Value) -> impl Iterator<Item = &str> {
    let list = doc["privateVisibilityConfig"]["networks"].as_array();
    list.into_iter().flatten().filter_map(|network| network["networkUrl"].as_str())
}

/// The networks that a new zone is to be seen from, which have to exist.
fn networks(simulator: &Simulator, body: &Value, private: bool) -> Result<Vec<String>> {
    let place = "entity.managedZone.privateVisibilityConfig";
    if !body["privateVisibilityConfig"].is_null() && !private {
        return Err(DnsError::invalid(place, "a public zone is seen from everywhere"));
    }
    let mut networks = Vec::new();
    for (index, url) in networks_of(body).enumerate() {
        let at = format!("{place}.networks[{index}].networkUrl");
        let path = url
            .strip_prefix("https://www.googleapis.com/compute/v1/")
            .or_else(|| url.strip_prefix("https://compute.googleapis.com/compute/v1/"));
        let parts: Vec<&str> = path.unwrap_or_default().split('/').collect();
        let ["projects", project, "global", "networks", network] = parts.as_slice() else {
            return Err(DnsError::invalid(&at, url));
        };
        let known = simulator.config.projects.iter().any(|known| known == project)
            && simulator.config.networks.iter().any(|known| known == network);
        if !known {
            return Err(DnsError::missing(&at, url));
        }
        networks.push(format!("https://www.googleapis.com/compute/v1/{}", parts.join("/")));
    }
    Ok(networks)
}

/// Labels as all of Google's resources have them.
fn labels(body: &Value) -> Result<()> {
    let plain = |text: &str| {
        text.chars().count() <= limits::LABEL_CHARACTERS
            && text.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    };
    let entries: Vec<(&String, &Value)> = body["labels"].as_object().into_iter().flatten().collect();
    for (key, value) in &entries {
        let good = plain(key) && key.starts_with(char::is_lowercase) && value.as_str().is_some_and(plain);
        if !good {
            let value = value.as_str().unwrap_or_default();
            return Err(DnsError::invalid(&format!("entity.managedZone.labels[{key}]"), value));
        }
    }
    if entries.len() > limits::LABELS {
        return Err(DnsError::invalid("entity.managedZone.labels", &entries.len().to_string()));
    }
    Ok(())
}

/// `managedZones.get`
pub fn get(simulator: &Simulator, project: &str, name: &str) -> Result<Response> {
    Ok(Json(find(simulator, project, name)?.doc).into_response())
}

/// `managedZones.list`
pub fn list(simulator: &Simulator, project: &str, query: &Query) -> Result<Response> {
    let pager = Pager::read(query)?;
    let mut zones = store::zones(&simulator.db.lock(), Some(project), &pager.after)?;
    if let Some(wanted) = query.text("dnsName") {
        zones.retain(|zone| zone.dns_name.eq_ignore_ascii_case(wanted));
    }
    let items = zones.into_iter().map(|zone| (zone.name, zone.doc)).collect();
    Ok(Json(page("dns#managedZonesListResponse", "managedZones", items, &pager)).into_response())
}

/// `managedZones.delete`
pub fn delete(simulator: &Simulator, project: &str, name: &str) -> Result<Response> {
    let zone = find(simulator, project, name)?;
    {
        let mut db = simulator.db.lock();
        let transaction = db.transaction()?;
        let own = |set: &RecordSet| set.name == zone.dns_name && matches!(set.kind.as_str(), "NS" | "SOA");
        if store::rrsets(&transaction, zone.id)?.iter().any(|set| !own(set)) {
            let message = format!(
                "The resource named '{name}' cannot be deleted because it contains one or more 'resource records'."
            );
            return Err(DnsError::new(StatusCode::BAD_REQUEST, "containerNotEmpty", message));
        }
        store::remove_zone(&transaction, &zone)?;
        transaction.commit()?;
    }
    simulator.dns.publish(&simulator.db, zone.id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `projects.get`: what a project may hold.
pub fn project(simulator: &Simulator, project: &str) -> Response {
    // A number that stays the same for an id, as a project's does.
    let number = project.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_000_000);
    Json(json!({
        "kind": "dns#project",
        "id": project,
        "number": number.to_string(),
        "quota": {
            "kind": "dns#quota",
            "managedZones": simulator.config.quotas.managed_zones,
            "rrsetsPerManagedZone": limits::DNS_SETS_PER_ZONE,
            "rrsetAdditionsPerChange": limits::DNS_SETS_PER_CHANGE,
            "rrsetDeletionsPerChange": limits::DNS_SETS_PER_CHANGE,
            "totalRrdataSizePerChange": limits::DNS_DATA_PER_CHANGE,
            "resourceRecordsPerRrset": limits::DNS_RECORDS_PER_SET,
        },
    }))
    .into_response()
}

/// 1 to 63 characters, begins with a letter, ends with a letter or digit (discovery document, `ManagedZone.name`).
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
