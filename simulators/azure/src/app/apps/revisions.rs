//! `containerApps/A/revisions` and their replicas.

use serde_json::{Value, json};

use super::{find, id};
use crate::arm::{Answer, Call};
use crate::error::{ArmError, Result};

fn latest(call: &Call, doc: &Value) -> Value {
    let properties = &doc["properties"];
    let name = properties["latestRevisionName"].as_str().unwrap_or_default();
    let stopped = properties["runningStatus"] == "Stopped";
    json!({
        "id": format!("{}/revisions/{name}", id(call)),
        "name": name,
        "type": "Microsoft.App/containerapps/revisions",
        "properties": {
            "active": true,
            "createdTime": doc["_made"],
            "template": properties["template"],
            "replicas": doc["_replicas"].as_array().map_or(0, Vec::len),
            "trafficWeight": 100,
            "provisioningState": if properties["provisioningState"] == "InProgress" { "Provisioning" } else { "Provisioned" },
            "runningState": if stopped { "Stopped" } else { "Running" },
            "healthState": if stopped { "None" } else { "Healthy" },
        },
    })
}

/// `revisions` with GET: the latest, which is the only one that is kept.
pub fn list(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(json!({"value": [latest(call, &find(call)?)]})))
}

fn of_latest(call: &Call) -> Result<Value> {
    let doc = find(call)?;
    if doc["properties"]["latestRevisionName"] == call.name(1) {
        return Ok(doc);
    }
    let message = format!("The revision '{}' of the app '{}' was not found.", call.name(1), call.name(0));
    Err(ArmError::not_found("RevisionNotFound", message))
}

/// `revisions/R` with GET
pub fn get(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(latest(call, &of_latest(call)?)))
}

fn replica_of(call: &Call, entry: &Value) -> Value {
    let name = entry["name"].as_str().unwrap_or_default();
    let list = entry["containers"].as_array().into_iter().flatten();
    let running =
        list.clone().count() > 0 && list.clone().all(|container| container["runningState"] == "Running");
    json!({
        "id": format!("{}/revisions/{}/replicas/{name}", id(call), call.name(1)),
        "name": name,
        "type": "Microsoft.App/containerapps/revisions/replicas",
        "properties": {
            "createdTime": entry["createdTime"],
            "containers": entry["containers"],
            "initContainers": entry["initContainers"].as_array().cloned().unwrap_or_default(),
            "runningState": if running { "Running" } else { "NotRunning" },
        },
    })
}

/// `replicas` with GET
pub fn replicas(call: &Call) -> Result<Answer> {
    let doc = of_latest(call)?;
    let list = doc["_replicas"].as_array().into_iter().flatten();
    Ok(Answer::ok(json!({"value": list.map(|entry| replica_of(call, entry)).collect::<Vec<_>>()})))
}

/// `replicas/R` with GET
pub fn replica(call: &Call) -> Result<Answer> {
    let doc = of_latest(call)?;
    let mut list = doc["_replicas"].as_array().into_iter().flatten();
    let found = list.find(|entry| entry["name"] == call.name(2));
    let message = format!("The replica '{}' was not found.", call.name(2));
    let missing = || ArmError::not_found("ReplicaNotFound", message);
    Ok(Answer::ok(replica_of(call, found.ok_or_else(missing)?)))
}
