//! Zones.

use http::StatusCode;
use serde_json::{Value, json};

use super::{document, links, preconditions, records};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::limits;
use crate::profile::Step;

/// The collection.
pub const KIND: &str = "microsoft.network/privatednszones";

/// The zone's id.
pub fn id(call: &Call) -> String {
    call.id(&["privateDnsZones", call.name(0)])
}

/// The zone of the path.
///
/// # Errors
/// 404.
pub fn find(call: &Call) -> Result<Value> {
    store::get(&call.simulator.db, &id(call))?.ok_or_else(|| call.missing("privateDnsZones", call.name(0)))
}

/// With its counts.
fn shown(call: &Call, mut doc: Value) -> Value {
    let id = doc["id"].as_str().unwrap_or_default();
    // A count that cannot be read is none.
    let links = store::children(&call.simulator.db, links::KIND, id).unwrap_or_default();
    let registering = links.iter().filter(|link| link["properties"]["registrationEnabled"] == true).count();
    let sets = records::count(call, id);
    let properties = &mut doc["properties"];
    properties["numberOfRecordSets"] = json!(sets);
    properties["maxNumberOfRecordSets"] = json!(limits::RECORD_SETS);
    properties["numberOfVirtualNetworkLinks"] = json!(links.len());
    properties["maxNumberOfVirtualNetworkLinks"] = json!(limits::ZONE_LINKS);
    properties["numberOfVirtualNetworkLinksWithRegistration"] = json!(registering);
    properties["maxNumberOfVirtualNetworkLinksWithRegistration"] = json!(100);
    doc
}

/// `privateDnsZones/Z` with GET
pub fn get(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(shown(call, find(call)?)))
}

/// `privateDnsZones` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), |doc| shown(call, doc))
}

/// A domain of two labels at least.
fn check(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = name.split('.').count();
    if name.len() <= 253 && name.split('.').all(label) && (2..=34).contains(&labels) {
        return Ok(());
    }
    let message =
        format!("The zone name '{name}' is invalid: two to 34 labels of letters, digits, '-' and '_'.");
    Err(ArmError::bad("BadRequest", message))
}

/// `privateDnsZones/Z` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    check(call.name(0))?;
    tags::check(&call.body)?;
    if !call.body["location"].as_str().unwrap_or("global").eq_ignore_ascii_case("global") {
        let message = "The property 'location' of a private DNS zone has to be 'global'.";
        return Err(ArmError::bad("LocationNotAvailableForResourceType", message));
    }
    let old = store::get(&call.simulator.db, &id(call))?;
    preconditions(call, old.as_ref())?;
    save(call, old.is_none())
}

/// `privateDnsZones/Z` with PATCH: tags.
pub fn patch(call: &Call) -> Result<Answer> {
    tags::check(&call.body)?;
    let old = find(call)?;
    preconditions(call, Some(&old))?;
    let doc = store::update(&call.simulator.db, &id(call), |doc| {
        if call.body["tags"].is_object() {
            doc["tags"] = call.body["tags"].clone();
        }
    })?;
    Ok(Answer::ok(shown(call, doc.unwrap_or(old))))
}

fn save(call: &Call, new: bool) -> Result<Answer> {
    let id = id(call);
    let mut doc = document(call, &id, "privateDnsZones", call.name(0));
    doc["location"] = json!("global");
    doc["properties"]["provisioningState"] = json!("Creating");
    store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, 0)?;
    if new {
        records::apex(&call.simulator.db, &id, call.name(0))?;
    }
    let (simulator, place) = (call.simulator.clone(), id.clone());
    let operation = operations::begin(call, async move {
        tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
        store::update(&simulator.db, &place, |doc| {
            doc["properties"]["provisioningState"] = json!("Succeeded")
        })
    })?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, shown(call, doc)).with_operation(call, &operation, Style::Status))
}

/// `privateDnsZones/Z` with DELETE: its links have to go first.
pub fn delete(call: &Call) -> Result<Answer> {
    let id = id(call);
    let Some(old) = store::get(&call.simulator.db, &id)? else {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    };
    preconditions(call, Some(&old))?;
    if !store::children(&call.simulator.db, links::KIND, &id)?.is_empty() {
        let message = format!(
            "Can not delete resource before nested resources are deleted: the zone '{}' is linked to virtual networks.",
            call.name(0)
        );
        return Err(ArmError::conflict("CannotDeleteResource", message));
    }
    store::update(&call.simulator.db, &id, |doc| doc["properties"]["provisioningState"] = json!("Deleting"))?;
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
        store::delete(&simulator.db, &id)?;
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}
