//! Long-running operations.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::names::{Location, not_found};
use super::store::{self, Kind};
use crate::error::{ApiError, Code, Result};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// An operation that is under way. `metadata` is the resource, of the type `google.cloud.run.v2.{kind}`.
pub fn start(simulator: &Simulator, location: &Location, kind: &str, resource: &Value) -> Result<Value> {
    let name = location.operation(&ids::uuid());
    let operation = json!({"name": name, "metadata": typed(kind, resource)});
    store::insert(&simulator.db, Kind::Operation, &location.name(), &name, &operation)?;
    Ok(operation)
}

/// An operation that was done at once and is not kept: the answer to `validateOnly`.
pub fn done(location: &Location, kind: &str, resource: &Value) -> Value {
    let resource = typed(kind, resource);
    json!({"name": location.operation(&ids::uuid()), "metadata": resource, "done": true, "response": resource})
}

/// Ends an operation with the resource or an error.
pub fn finish(
    simulator: &Simulator,
    operation: &str,
    kind: &str,
    outcome: std::result::Result<&Value, &ApiError>,
) -> Result<()> {
    store::update(&simulator.db, operation, |doc| {
        doc["done"] = json!(true);
        match outcome {
            Ok(resource) => {
                doc["metadata"] = typed(kind, resource);
                doc["response"] = typed(kind, resource);
            }
            Err(error) => doc["error"] = error.status(),
        }
    })?;
    store::finish(&simulator.db, operation)?;
    let mut number = 0;
    simulator.run.finished.send_modify(|count| {
        *count += 1;
        number = *count;
    });
    if number % limits::OPERATIONS_TRIM == 0 {
        let parent = Location::of(operation).map(|location| location.name()).unwrap_or_default();
        store::forget(&simulator.db, Kind::Operation, &parent, limits::OPERATIONS)?;
    }
    Ok(())
}

/// Closes an operation that the last process left.
pub fn lost(simulator: &Simulator, name: &str) -> Result<()> {
    let error =
        ApiError::new(Code::Aborted, "The operation was interrupted; read the resource for its state.");
    finish(simulator, name, "Job", Err(&error))
}

/// `operations.get`
pub fn get(simulator: &Simulator, location: &Location, id: &str) -> Result<Value> {
    let name = location.operation(id);
    store::get(&simulator.db, &name)?.ok_or_else(|| not_found(location, "OPERATION", id))
}

/// `operations.list`
pub fn list(simulator: &Simulator, location: &Location, query: &Query) -> Result<Value> {
    if query.text("filter").is_some() {
        return Err(ApiError::new(Code::Unimplemented, "The simulator lists operations without a filter."));
    }
    let size = query.number("pageSize").unwrap_or_default();
    let (operations, next) =
        store::list(&simulator.db, Kind::Operation, &location.name(), size, query.text("pageToken"))?;
    Ok(page("operations", operations, next))
}

/// `operations.delete`: the client is not interested any more.
pub fn delete(simulator: &Simulator, location: &Location, id: &str) -> Result<Value> {
    if store::delete(&simulator.db, &location.operation(id))? {
        return Ok(json!({}));
    }
    Err(not_found(location, "OPERATION", id))
}

/// `operations.wait`: best effort, may answer before it is done.
pub async fn wait(simulator: &Arc<Simulator>, location: &Location, id: &str, body: &Value) -> Result<Value> {
    let asked = body["timeout"].as_str().and_then(time::duration).unwrap_or(limits::OPERATION_WAIT);
    let deadline = Instant::now() + asked.min(limits::OPERATION_WAIT);
    let mut finished = simulator.run.finished.subscribe();
    loop {
        finished.mark_unchanged();
        let operation = get(simulator, location, id)?;
        if operation["done"] == true || !matches!(timeout_at(deadline, finished.changed()).await, Ok(Ok(())))
        {
            return Ok(operation);
        }
    }
}

/// A page in the form that every list of Cloud Run has.
pub fn page(field: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut page = json!({});
    if !items.is_empty() {
        page[field] = json!(items);
    }
    if let Some(token) = next {
        page["nextPageToken"] = json!(token);
    }
    page
}

fn typed(kind: &str, resource: &Value) -> Value {
    let mut any = resource.clone();
    any["@type"] = json!(format!("type.googleapis.com/google.cloud.run.v2.{kind}"));
    any
}
