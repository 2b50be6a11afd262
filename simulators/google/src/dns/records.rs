//! Record sets by themselves, and the changes that were made.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::changes::Change;
use super::error::{DnsError, Result};
use super::rrset::RecordSet;
use super::store::{self, Zone};
use super::{Pager, page};
use crate::schema::Query;
use crate::server::Simulator;

/// `changes.create`
pub fn change(simulator: &Simulator, zone: &Zone, body: &Value) -> Result<Response> {
    let change = Change::read(body, zone)?;
    Ok(Json(carry_out(simulator, zone, &change)?).into_response())
}

/// Makes a change that is pending until the name server knows of it.
fn carry_out(simulator: &Simulator, zone: &Zone, change: &Change) -> Result<Value> {
    let (id, doc) = {
        let mut db = simulator.db.lock();
        // The zone may have gone since it was found.
        store::zone(&db, &zone.project, &zone.name)?
            .filter(|current| current.id == zone.id)
            .ok_or_else(|| DnsError::missing("parameters.managedZone", &zone.name))?;
        change.apply(&mut db, zone)?
    };
    simulator.dns.pending(&simulator.db, zone.id, id, simulator.config.profile);
    Ok(doc)
}

fn with_status(simulator: &Simulator, zone: &Zone, id: i64, mut doc: Value) -> Value {
    let pending = simulator.dns.is_pending(zone.id, id);
    doc["status"] = json!(if pending { "pending" } else { "done" });
    doc
}

/// `changes.get`
pub fn get_change(simulator: &Simulator, zone: &Zone, id: &str) -> Result<Response> {
    let missing = || DnsError::missing("parameters.changeId", id);
    let number: i64 = id.parse().map_err(|_| missing())?;
    let doc = store::change(&simulator.db.lock(), zone.id, number)?.ok_or_else(missing)?;
    Ok(Json(with_status(simulator, zone, number, doc)).into_response())
}

/// `changes.list`, the newest first unless the caller wants it otherwise.
pub fn changes(simulator: &Simulator, zone: &Zone, query: &Query) -> Result<Response> {
    let pager = Pager::read(query)?;
    let ascending = query.text("sortOrder") == Some("ascending");
    let mut found = store::changes(&simulator.db.lock(), zone.id, i64::MAX)?;
    if ascending {
        found.reverse();
    }
    if !pager.after.is_empty() {
        let after: i64 = pager.after.parse().map_err(|_| DnsError::invalid("parameters.pageToken", "?"))?;
        found.retain(|(id, _)| if ascending { *id > after } else { *id < after });
    }
    let item = |(id, doc): (i64, Value)| (id.to_string(), with_status(simulator, zone, id, doc));
    let items = found.into_iter().map(item).collect();
    Ok(Json(page("dns#changesListResponse", "changes", items, &pager)).into_response())
}

/// `resourceRecordSets.list`
pub fn list(simulator: &Simulator, zone: &Zone, query: &Query) -> Result<Response> {
    let pager = Pager::read(query)?;
    let key = |set: &RecordSet| format!("{} {}", set.name, set.kind);
    let (name, kind) = (query.text("name"), query.text("type"));
    if kind.is_some() && name.is_none() {
        return Err(DnsError::required("parameters.name"));
    }
    let items = store::rrsets(&simulator.db.lock(), zone.id)?
        .into_iter()
        .filter(|set| name.is_none_or(|name| set.name.eq_ignore_ascii_case(name)))
        .filter(|set| kind.is_none_or(|kind| set.kind == kind))
        .map(|set| (key(&set), set.resource()))
        .filter(|(key, _)| *key > pager.after)
        .collect();
    Ok(Json(page("dns#resourceRecordSetsListResponse", "rrsets", items, &pager)).into_response())
}

fn find(simulator: &Simulator, zone: &Zone, name: &str, kind: &str) -> Result<RecordSet> {
    let name = name.to_ascii_lowercase();
    let found = store::rrset(&simulator.db.lock(), zone.id, &name, kind)?;
    found.ok_or_else(|| DnsError::missing("parameters.name", &format!("{name} ({kind})")))
}

/// `resourceRecordSets.get`
pub fn get(simulator: &Simulator, zone: &Zone, name: &str, kind: &str) -> Result<Response> {
    Ok(Json(find(simulator, zone, name, kind)?.resource()).into_response())
}

/// `resourceRecordSets.create`
pub fn create(simulator: &Simulator, zone: &Zone, body: &Value) -> Result<Response> {
    let new = RecordSet::read(body, "entity.rrset", &zone.dns_name)?;
    let answer = new.resource();
    carry_out(simulator, zone, &Change { additions: vec![new], ..Change::default() })?;
    Ok(Json(answer).into_response())
}

/// `resourceRecordSets.patch`: what the body does not name stays.
pub fn patch(simulator: &Simulator, zone: &Zone, name: &str, kind: &str, body: &Value) -> Result<Response> {
    let old = find(simulator, zone, name, kind)?;
    let mut merged = old.resource();
    let fields: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    for (field, value) in fields {
        merged[field] = value;
    }
    let new = RecordSet::read(&merged, "entity.rrset", &zone.dns_name)?;
    let answer = new.resource();
    carry_out(simulator, zone, &Change { deletions: vec![old], additions: vec![new], of_server: false })?;
    Ok(Json(answer).into_response())
}

/// `resourceRecordSets.delete`
pub fn delete(simulator: &Simulator, zone: &Zone, name: &str, kind: &str) -> Result<Response> {
    let old = find(simulator, zone, name, kind)?;
    carry_out(simulator, zone, &Change { deletions: vec![old], ..Change::default() })?;
    Ok(Json(json!({})).into_response())
}
