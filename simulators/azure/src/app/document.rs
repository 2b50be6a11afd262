//! What resources of the provider have in common as documents. Fields that begin with `_` are the simulator's own.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::arm::{Call, store, tags};
use crate::error::{ArmError, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::time;

/// Without the simulator's own fields and without the values of secrets.
pub fn shown(mut doc: Value) -> Value {
    if let Some(fields) = doc.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    let secrets = doc.pointer_mut("/properties/configuration/secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten().filter_map(Value::as_object_mut) {
        secret.remove("value");
    }
    let storage = doc.pointer_mut("/properties/azureFile").and_then(Value::as_object_mut);
    if let Some(storage) = storage {
        storage.remove("accountKey");
    }
    doc
}

/// A resource's document from a body: with its id, name and type, and provisioning.
pub fn fresh(call: &Call, kind: &str, id: &str, name: &str, old: Option<&Value>) -> Value {
    let mut doc = call.body.clone();
    doc["id"] = json!(id);
    doc["name"] = json!(name);
    doc["type"] = json!(format!("{}/{kind}", call.namespace));
    doc["systemData"] = tags::system_data(old);
    doc["location"] = json!(call.simulator.config.location);
    doc["properties"]["provisioningState"] = json!("InProgress");
    doc["_seen"] = seen(&call.simulator, old);
    doc
}

/// From when on a resource that is made now is found by its id, nanoseconds since 1970.
pub fn seen_from(simulator: &Simulator) -> i64 {
    let lag = simulator.config.profile.latency(Step::Seen);
    time::to_nanos(time::now()).saturating_add(i64::try_from(lag.as_nanos()).unwrap_or_default())
}

/// The same of one that is set: what was there is found at all times.
pub fn seen(simulator: &Simulator, old: Option<&Value>) -> Value {
    old.map_or_else(|| json!(seen_from(simulator)), |old| old["_seen"].clone())
}

/// Whether it is found by its id already.
pub fn is_seen(doc: &Value) -> bool {
    doc["_seen"].as_i64().is_none_or(|from| from <= time::to_nanos(time::now()))
}

/// 409 while an operation on it goes on.
///
/// # Errors
/// As said.
pub fn settled(old: Option<&Value>, what: &str) -> Result<()> {
    let Some(old) = old else { return Ok(()) };
    match old["properties"]["provisioningState"].as_str() {
        Some(state @ ("InProgress" | "Deleting")) => Err(ArmError::conflict(
            "ContainerAppOperationInProgress",
            format!(
                "Cannot modify {what} '{}' because there is a provisioning operation in progress ({state}).",
                old["name"].as_str().unwrap_or_default()
            ),
        )),
        _ => Ok(()),
    }
}

/// Writes the end of a provisioning, and gives the resource as it is shown.
///
/// # Errors
/// The database's; that it was deleted meanwhile.
pub fn provisioned(simulator: &Simulator, id: &str) -> Result<Option<Value>> {
    let doc = store::update(&simulator.db, id, |doc| {
        if doc["properties"]["provisioningState"] == "InProgress" {
            doc["properties"]["provisioningState"] = json!("Succeeded");
        }
    })?;
    doc.map(|doc| Some(shown(doc)))
        .ok_or_else(|| ArmError::conflict("OperationPreempted", "The resource was deleted meanwhile."))
}

/// When listings have first what is made now, nanoseconds since 1970.
pub fn listed(simulator: &Simulator) -> i64 {
    let lag = simulator.config.profile.latency(Step::Listed);
    time::to_nanos(time::now()).saturating_add(i64::try_from(lag.as_nanos()).unwrap_or_default())
}

/// Waits as long as provisioning takes.
pub async fn provision(simulator: &Arc<Simulator>) {
    tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
}

/// The values of secrets, for those that may list them.
pub fn secrets(doc: &Value) -> Value {
    let secrets = doc["properties"]["configuration"]["secrets"].as_array().into_iter().flatten();
    json!({"value": secrets.cloned().collect::<Vec<_>>()})
}
