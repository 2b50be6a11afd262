//! `jobs`

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::document::{self, shown};
use super::{names, rules};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::{limits, time};

/// The collection.
pub const KIND: &str = "microsoft.app/jobs";

/// A job's id in the call's group.
pub fn id(call: &Call) -> String {
    call.id(&["jobs", call.name(0)])
}

/// The job of the path.
///
/// # Errors
/// 404.
pub fn find(call: &Call) -> Result<Value> {
    store::get(&call.simulator.db, &id(call))?.ok_or_else(|| call.missing("jobs", call.name(0)))
}

/// `jobs/J` with GET
pub fn get(call: &Call) -> Result<Answer> {
    let found = Some(find(call)?).filter(document::is_seen);
    Ok(Answer::ok(shown(found.ok_or_else(|| call.missing("jobs", call.name(0)))?)))
}

/// `jobs` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), shown)
}

/// `jobs/J/listSecrets` with POST
pub fn secrets(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(document::secrets(&find(call)?)))
}

/// `jobs/J` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    names::check("ContainerAppJob", call.name(0))?;
    tags::check(&call.body)?;
    tags::location(call)?;
    let id = id(call);
    let old = store::get(&call.simulator.db, &id)?;
    document::settled(old.as_ref(), "job")?;
    if old.is_none() && store::children(&call.simulator.db, KIND, &call.group_id())?.len() >= limits::JOBS {
        let message = format!("The resource group has {} jobs: the quota is reached.", limits::JOBS);
        return Err(ArmError::bad("MaxNumberOfJobsInResourceGroupExceeded", message));
    }
    let mut doc = document::fresh(call, "jobs", &id, call.name(0), old.as_ref());
    rules::job(&call.simulator, &mut doc)?;
    save(call, doc, old)
}

/// `jobs/J` with PATCH: what is given replaces what was there, object by object.
pub fn patch(call: &Call) -> Result<Answer> {
    let old = find(call)?;
    document::settled(Some(&old), "job")?;
    tags::check(&call.body)?;
    let mut doc = old.clone();
    merge(&mut doc, &call.body);
    doc["properties"]["provisioningState"] = json!("InProgress");
    doc["systemData"] = tags::system_data(Some(&old));
    rules::job(&call.simulator, &mut doc)?;
    let id = id(call);
    with_previous(&call.simulator, &mut doc, Some(&old));
    store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, 0)?;
    let operation = begin(call, id)?;
    Ok(Answer::new(StatusCode::ACCEPTED, shown(doc)).with_operation(call, &operation, Style::Location))
}

/// JSON merge patch (RFC 7396) of objects; lists are replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn save(call: &Call, mut doc: Value, old: Option<Value>) -> Result<Answer> {
    let id = id(call);
    with_previous(&call.simulator, &mut doc, old.as_ref());
    let new =
        store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, document::listed(&call.simulator))?;
    let operation = begin(call, id)?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, shown(doc)).with_operation(call, &operation, Style::Status))
}

/// Executions were seen to use an old template for minutes after an update.
fn with_previous(simulator: &Simulator, doc: &mut Value, old: Option<&Value>) {
    let Some(old) = old else { return };
    let lag = simulator.config.profile.latency(Step::Template).as_nanos();
    let until = time::to_nanos(time::now()).saturating_add(i64::try_from(lag).unwrap_or_default());
    doc["_previous"] = json!({"template": old["properties"]["template"], "until": until});
}

fn begin(call: &Call, id: String) -> Result<String> {
    let simulator = call.simulator.clone();
    operations::begin(call, async move {
        document::provision(&simulator).await;
        document::provisioned(&simulator, &id)
    })
}

/// `jobs/J` with DELETE: what runs is stopped.
pub fn delete(call: &Call) -> Result<Answer> {
    let id = id(call);
    let marked = store::update(&call.simulator.db, &id, |doc| {
        doc["properties"]["provisioningState"] = json!("Deleting");
    })?;
    if marked.is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        let running = simulator.apps.interrupt(&id);
        document::provision(&simulator).await;
        for over in running {
            over.cancelled().await;
        }
        store::delete(&simulator.db, &id)?;
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

/// What was on its way when the last process ended has arrived.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    for doc in store::all(&simulator.db, KIND)? {
        let id = doc["id"].as_str().unwrap_or_default();
        match doc["properties"]["provisioningState"].as_str() {
            Some("Deleting") => {
                store::delete(&simulator.db, id)?;
            }
            Some("InProgress") => {
                document::provisioned(simulator, id)?;
            }
            _ => {}
        }
    }
    Ok(())
}
