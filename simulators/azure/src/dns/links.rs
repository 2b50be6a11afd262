//! Links of a zone to virtual networks.

use http::StatusCode;
use serde_json::json;

use super::{document, preconditions, zones};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::profile::Step;

/// The collection.
pub const KIND: &str = "microsoft.network/privatednszones/virtualnetworklinks";

fn id(call: &Call) -> String {
    format!("{}/virtualNetworkLinks/{}", zones::id(call), call.name(1))
}

/// `virtualNetworkLinks/L` with GET
pub fn get(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let found = store::get(&call.simulator.db, &id(call))?;
    let name = format!("{}/{}", call.name(0), call.name(1));
    Ok(Answer::ok(found.ok_or_else(|| call.missing("privateDnsZones/virtualNetworkLinks", &name))?))
}

/// `virtualNetworkLinks` with GET
pub fn list(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    page(call, KIND, &zones::id(call), |doc| doc)
}

/// `virtualNetworkLinks/L` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    tags::check(&call.body)?;
    let network = call.body["properties"]["virtualNetwork"]["id"].as_str().unwrap_or_default();
    if !network.eq_ignore_ascii_case(&call.simulator.info.network) {
        let message = format!("The virtual network '{network}' was not found.");
        return Err(ArmError::bad("BadRequest", message));
    }
    let id = id(call);
    let old = store::get(&call.simulator.db, &id)?;
    preconditions(call, old.as_ref())?;
    let mut doc = document(call, &id, "privateDnsZones/virtualNetworkLinks", call.name(1));
    doc["location"] = json!("global");
    if doc["properties"]["registrationEnabled"].is_null() {
        doc["properties"]["registrationEnabled"] = json!(false);
    }
    doc["properties"]["provisioningState"] = json!("Creating");
    doc["properties"]["virtualNetworkLinkState"] = json!("InProgress");
    let new = store::put(&call.simulator.db, KIND, &zones::id(call), &id, &doc, 0)?;
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
        store::update(&simulator.db, &id, |doc| {
            doc["properties"]["provisioningState"] = json!("Succeeded");
            doc["properties"]["virtualNetworkLinkState"] = json!("Completed");
        })
    })?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, doc).with_operation(call, &operation, Style::Status))
}

/// `virtualNetworkLinks/L` with DELETE
pub fn delete(call: &Call) -> Result<Answer> {
    zones::find(call)?;
    let id = id(call);
    let Some(old) = store::get(&call.simulator.db, &id)? else {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    };
    preconditions(call, Some(&old))?;
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
        store::delete(&simulator.db, &id)?;
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}
