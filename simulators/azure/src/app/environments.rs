//! `managedEnvironments`

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::document::{self, shown};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::server::Simulator;
use crate::{ids, time};

/// The collection.
pub const KIND: &str = "microsoft.app/managedenvironments";

/// An environment by its id.
///
/// # Errors
/// The database's.
pub fn find(simulator: &Simulator, id: &str) -> Result<Option<Value>> {
    store::get(&simulator.db, id)
}

/// `managedEnvironments/E` with GET
pub fn get(call: &Call) -> Result<Answer> {
    let id = call.id(&["managedEnvironments", call.name(0)]);
    let found =
        find(&call.simulator, &id)?.ok_or_else(|| call.missing("managedEnvironments", call.name(0)))?;
    Ok(Answer::ok(shown(found)))
}

/// `managedEnvironments` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), shown)
}

/// `managedEnvironments/E` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    super::names::check("ManagedEnvironment", call.name(0))?;
    tags::check(&call.body)?;
    tags::location(call)?;
    let id = call.id(&["managedEnvironments", call.name(0)]);
    let old = store::get(&call.simulator.db, &id)?;
    let mut doc = document::fresh(call, "managedEnvironments", &id, call.name(0), old.as_ref());
    complete(&mut doc, old.as_ref());
    doc["properties"]["provisioningState"] = json!("InitializationInProgress");
    let new =
        store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, document::listed(&call.simulator))?;
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        document::provision(&simulator).await;
        let doc = store::update(&simulator.db, &id, |doc| {
            doc["properties"]["provisioningState"] = json!("Succeeded");
        })?;
        Ok(doc.map(shown))
    })?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Answer::new(status, shown(doc)).with_operation(call, &operation, Style::Status))
}

/// What the service adds to an environment.
fn complete(doc: &mut Value, old: Option<&Value>) {
    let known = old.and_then(|old| old["properties"]["defaultDomain"].as_str()).map(str::to_owned);
    let location = doc["location"].as_str().unwrap_or_default().to_owned();
    let domain = known.unwrap_or_else(|| format!("sim-{}.{location}.azurecontainerapps.io", ids::suffix(8)));
    doc["properties"]["defaultDomain"] = json!(domain);
    doc["properties"]["staticIp"] = json!("10.0.0.4");
}

/// Makes one that is there from the start, if it is not.
///
/// # Errors
/// The database's.
pub fn make(simulator: &Simulator, group: &str, name: &str, network: &str) -> Result<()> {
    let id = format!("{group}/providers/Microsoft.App/managedEnvironments/{name}");
    if store::get(&simulator.db, &id)?.is_some() {
        return Ok(());
    }
    let mut doc = json!({
        "id": id,
        "name": name,
        "type": "Microsoft.App/managedEnvironments",
        "location": simulator.config.location,
        "systemData": tags::system_data(None),
        "properties": {
            "provisioningState": "Succeeded",
            "environmentMode": "ConsumptionOnly",
            "appLogsConfiguration": {
                "destination": "log-analytics",
                "logAnalyticsConfiguration": {"customerId": simulator.info.workspace},
            },
            "vnetConfiguration": {"infrastructureSubnetId": format!("{network}/subnets/apps"), "internal": true},
            "zoneRedundant": false,
        },
    });
    complete(&mut doc, None);
    store::put(&simulator.db, KIND, group, &id, &doc, time::to_nanos(time::now()))?;
    Ok(())
}

/// `managedEnvironments/E` with DELETE: what runs in it has to go first.
pub fn delete(call: &Call) -> Result<Answer> {
    let id = call.id(&["managedEnvironments", call.name(0)]);
    let Some(found) = store::get(&call.simulator.db, &id)? else {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    };
    let own = |doc: &Value| {
        let of = doc["properties"]["environmentId"]
            .as_str()
            .or(doc["properties"]["managedEnvironmentId"].as_str());
        of.is_some_and(|of| of.eq_ignore_ascii_case(found["id"].as_str().unwrap_or_default()))
    };
    for kind in [super::jobs::KIND, super::apps::KIND] {
        if store::all(&call.simulator.db, kind)?.iter().any(own) {
            let message = format!("The environment '{}' has apps or jobs; delete them first.", call.name(0));
            return Err(ArmError::conflict("ManagedEnvironmentNotEmpty", message));
        }
    }
    store::update(&call.simulator.db, &id, |doc| {
        doc["properties"]["provisioningState"] = json!("ScheduledForDelete")
    })?;
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        document::provision(&simulator).await;
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
            Some("ScheduledForDelete") => {
                store::delete(&simulator.db, id)?;
            }
            Some("Succeeded") => {}
            _ => {
                store::update(&simulator.db, id, |doc| {
                    doc["properties"]["provisioningState"] = json!("Succeeded")
                })?;
            }
        }
    }
    Ok(())
}
