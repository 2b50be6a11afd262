//! `containerApps`: replicas that are run again when they end, with an ingress.

pub mod ingress;
pub mod revisions;
mod run;

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::document::{self, shown};
use super::{names, rules};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::server::Simulator;
use crate::{ids, time};
use run::run;

/// The collection.
pub const KIND: &str = "microsoft.app/containerapps";

fn id(call: &Call) -> String {
    call.id(&["containerApps", call.name(0)])
}

fn find(call: &Call) -> Result<Value> {
    store::get(&call.simulator.db, &id(call))?.ok_or_else(|| call.missing("containerApps", call.name(0)))
}

/// `containerApps/A` with GET
pub fn get(call: &Call) -> Result<Answer> {
    let found = Some(find(call)?).filter(document::is_seen);
    Ok(Answer::ok(shown(found.ok_or_else(|| call.missing("containerApps", call.name(0)))?)))
}

/// `containerApps` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), shown)
}

/// `listSecrets` with POST
pub fn secrets(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(document::secrets(&find(call)?)))
}

/// `containerApps/A` with PUT: a changed template is a new revision, which takes the place of the old one.
pub fn put(call: &Call) -> Result<Answer> {
    names::check("ContainerApp", call.name(0))?;
    tags::check(&call.body)?;
    tags::location(call)?;
    let id = id(call);
    let old = store::get(&call.simulator.db, &id)?;
    document::settled(old.as_ref(), "container app")?;
    let mut doc = document::fresh(call, "containerApps", &id, call.name(0), old.as_ref());
    check(&call.simulator, &mut doc)?;
    let kept = old.as_ref().filter(|old| old["properties"]["template"] == doc["properties"]["template"]);
    let revision = match kept.and_then(|old| old["properties"]["latestRevisionName"].as_str()) {
        Some(revision) => revision.to_owned(),
        None => revision(call, &doc),
    };
    doc["properties"]["latestRevisionName"] = json!(revision);
    doc["properties"]["runningStatus"] = json!("Progressing");
    doc["_made"] = json!(time::text(time::now()));
    let new =
        store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, document::listed(&call.simulator))?;
    let operation = roll(call, id, kept.is_none())?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, shown(doc)).with_operation(call, &operation, Style::Status))
}

fn revision(call: &Call, doc: &Value) -> String {
    let suffix = doc["properties"]["template"]["revisionSuffix"].as_str().filter(|suffix| !suffix.is_empty());
    format!("{}--{}", call.name(0), suffix.map_or_else(|| ids::suffix(7), str::to_owned))
}

fn check(simulator: &Simulator, doc: &mut Value) -> Result<()> {
    let identity = doc["identity"].clone();
    let name = doc["name"].as_str().unwrap_or_default().to_owned();
    let properties = &mut doc["properties"];
    if properties["environmentId"].is_null() {
        properties["environmentId"] = properties["managedEnvironmentId"].clone();
    }
    properties["managedEnvironmentId"] = properties["environmentId"].clone();
    rules::environment(simulator, &properties["environmentId"])?;
    rules::configuration(&properties["configuration"])?;
    ingress::check(&properties["configuration"]["ingress"])?;
    rules::identities(simulator, &identity, &properties["configuration"])?;
    let (configuration, environment) =
        (properties["configuration"].clone(), properties["environmentId"].clone());
    ingress::complete(simulator, &name, properties)?;
    let template = &mut properties["template"];
    rules::template(simulator, template, &configuration)?;
    rules::volumes(simulator, template, &environment)?;
    let (low, high) = (template["scale"]["minReplicas"].as_i64(), template["scale"]["maxReplicas"].as_i64());
    let (low, high) = (low.unwrap_or(0), high.unwrap_or(10));
    if low < 0 || high < 1 || low > high {
        let message = format!("The scale of {low} to {high} replicas is invalid.");
        return Err(ArmError::bad("ContainerAppInvalidScaleSpec", message));
    }
    Ok(())
}

/// Brings the replicas in line with the app's document.
fn roll(call: &Call, id: String, anew: bool) -> Result<String> {
    let simulator = call.simulator.clone();
    operations::begin(call, async move {
        let old = if anew { simulator.apps.interrupt(&id) } else { Vec::new() };
        document::provision(&simulator).await;
        for over in old {
            over.cancelled().await;
        }
        let doc = document::provisioned(&simulator, &id)?;
        if anew {
            run(&simulator, &id)?;
        }
        Ok(doc)
    })
}

/// `containerApps/A/start` with POST
pub fn start(call: &Call) -> Result<Answer> {
    let doc = find(call)?;
    document::settled(Some(&doc), "container app")?;
    let (simulator, id) = (call.simulator.clone(), id(call));
    let operation = operations::begin(call, async move {
        document::provision(&simulator).await;
        if !simulator.apps.live().contains_key(&id.to_ascii_lowercase()) {
            run(&simulator, &id)?;
        }
        Ok(store::get(&simulator.db, &id)?.map(shown))
    })?;
    Ok(Answer::new(StatusCode::ACCEPTED, shown(doc)).with_operation(call, &operation, Style::Location))
}

/// `containerApps/A/stop` with POST
pub fn stop(call: &Call) -> Result<Answer> {
    let doc = find(call)?;
    document::settled(Some(&doc), "container app")?;
    let (simulator, id) = (call.simulator.clone(), id(call));
    let operation = operations::begin(call, async move {
        for over in simulator.apps.interrupt(&id) {
            over.cancelled().await;
        }
        let doc = store::update(&simulator.db, &id, |doc| {
            doc["properties"]["runningStatus"] = json!("Stopped");
            doc["_replicas"] = json!([]);
        })?;
        Ok(doc.map(shown))
    })?;
    Ok(Answer::new(StatusCode::ACCEPTED, shown(doc)).with_operation(call, &operation, Style::Location))
}

/// `containerApps/A` with DELETE
pub fn delete(call: &Call) -> Result<Answer> {
    let id = id(call);
    let marked = store::update(&call.simulator.db, &id, |doc| {
        doc["properties"]["provisioningState"] = json!("Deleting")
    })?;
    if marked.is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        for over in simulator.apps.interrupt(&id) {
            over.cancelled().await;
        }
        document::provision(&simulator).await;
        store::delete(&simulator.db, &id)?;
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

/// Apps run again after a start, as a cloud's do not notice that somebody's simulator ended.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    for doc in store::all(&simulator.db, KIND)? {
        let id = doc["id"].as_str().unwrap_or_default();
        if doc["properties"]["provisioningState"] == "Deleting" {
            store::delete(&simulator.db, id)?;
            continue;
        }
        document::provisioned(simulator, id)?;
        if doc["properties"]["runningStatus"] != "Stopped" {
            run(simulator, id)?;
        }
    }
    Ok(())
}
