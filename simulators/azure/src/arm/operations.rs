//! Asynchronous operations: what `Azure-AsyncOperation` and `Location` lead to.

use std::future::Future;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Call, store};
use crate::error::{ArmError, Result};
use crate::profile::{self, Step};
use crate::server::Simulator;
use crate::{ids, time};

/// How a caller learns of an operation's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `Azure-AsyncOperation`: a document with a status.
    Status,
    /// `Location`: 202 until the end, and the result then.
    Location,
}

/// Begins an operation: `work` gives what it results in, if anything.
///
/// # Errors
/// The database's.
pub fn begin<F>(call: &Call, work: F) -> Result<String>
where
    F: Future<Output = Result<Option<Value>>> + Send + 'static,
{
    let id = ids::uuid();
    let doc = json!({"name": id, "status": "InProgress", "startTime": time::text(time::now())});
    store::set_operation(&call.simulator.db, &id, false, &doc)?;
    let (simulator, name) = (call.simulator.clone(), id.clone());
    let doom = call.doom.clone().map(|error| (error, call.resource()));
    call.simulator.work.spawn(async move {
        let work = async {
            match doom {
                Some((error, resource)) => fail(&simulator, error, resource.as_deref()).await,
                None => work.await,
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            // The next process closes what this one leaves open.
            () = simulator.closing.cancelled() => return,
        };
        if let Err(error) = finish(&simulator, &name, outcome) {
            tracing::error!(%error, name, "an operation cannot be finished");
        }
    });
    Ok(id)
}

/// What is begun half-way stays so.
async fn fail(simulator: &Simulator, error: ArmError, resource: Option<&str>) -> Result<Option<Value>> {
    tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
    if let Some(id) = resource {
        store::update(&simulator.db, id, |doc| doc["properties"]["provisioningState"] = json!("Failed"))?;
    }
    Err(error)
}

fn finish(simulator: &Simulator, id: &str, outcome: Result<Option<Value>>) -> Result<()> {
    let Some(mut doc) = store::operation(&simulator.db, id)? else { return Ok(()) };
    doc["endTime"] = json!(time::text(time::now()));
    match outcome {
        Ok(result) => {
            doc["status"] = json!("Succeeded");
            if let Some(result) = result {
                doc["result"] = result;
            }
        }
        Err(error) => {
            doc["status"] = json!("Failed");
            doc["error"] = error.document();
            doc["httpStatus"] = json!(error.status.as_u16());
        }
    }
    store::set_operation(&simulator.db, id, true, &doc)
}

/// Operations of the last process are over.
///
/// # Errors
/// The database's.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    for id in store::open_operations(&simulator.db)? {
        finish(simulator, &id, Ok(None))?;
    }
    Ok(())
}

impl Answer {
    /// Names the operation, and when to ask for it.
    pub fn with_operation(self, call: &Call, id: &str, style: Style) -> Self {
        let (header, link) = match style {
            Style::Status => ("azure-asyncoperation", link(call, id, "Statuses")),
            Style::Location => ("location", link(call, id, "Results")),
        };
        self.with(header, link).with_retry(call)
    }

    fn with_retry(self, call: &Call) -> Self {
        let seconds = profile::retry_after(call.simulator.config.profile).as_secs();
        self.with("retry-after", seconds.to_string())
    }
}

/// The place of an operation, in the form that its provider has.
fn link(call: &Call, id: &str, end: &str) -> String {
    let (base, subscription, version) = (&call.base, &call.subscription, call.version());
    match call.namespace.as_str() {
        "Microsoft.Network" => format!(
            "{base}/subscriptions/{subscription}/resourceGroups/{}/providers/Microsoft.Network/privateDnsOperation{end}/{id}\
             ?api-version={version}",
            call.group
        ),
        "Microsoft.Storage" => format!(
            "{base}/subscriptions/{subscription}/providers/Microsoft.Storage/locations/{}/asyncoperationResults/{id}\
             ?monitor=true&api-version={version}",
            call.simulator.config.location
        ),
        _ => format!(
            "{base}/subscriptions/{subscription}/providers/Microsoft.App/locations/{}/containerappOperation{end}/{id}\
             ?api-version={version}",
            call.simulator.config.location
        ),
    }
}

/// The style and name of an operation in a path, if it leads to one.
pub fn of_path(path: &[&str]) -> Option<(Style, String)> {
    let [.., kind, id] = path else { return None };
    let kind = kind.to_ascii_lowercase();
    if kind.ends_with("operationstatuses") {
        Some((Style::Status, (*id).to_owned()))
    } else if kind.ends_with("operationresults") {
        Some((Style::Location, (*id).to_owned()))
    } else {
        None
    }
}

/// `GET` of an operation's place.
///
/// # Errors
/// 404, and the operation's own error where its result is asked for.
pub fn get(call: &Call, style: Style, id: &str, path: &str) -> Result<Answer> {
    let Some(doc) = store::operation(&call.simulator.db, id)? else {
        let message = format!("The operation '{id}' was not found.");
        return Err(ArmError::not_found("OperationNotFound", message));
    };
    let status = doc["status"].as_str().unwrap_or_default();
    if style == Style::Status {
        let mut shown =
            json!({"id": path, "name": doc["name"], "status": status, "startTime": doc["startTime"]});
        for field in ["endTime", "error"] {
            if !doc[field].is_null() {
                shown[field] = doc[field].clone();
            }
        }
        let answer = Answer::new(StatusCode::OK, shown);
        return Ok(if status == "InProgress" { answer.with_retry(call) } else { answer });
    }
    match status {
        "InProgress" => {
            let place = format!("{}{path}?{}", call.base, call.raw_query);
            Ok(Answer::empty(StatusCode::ACCEPTED).with("location", place).with_retry(call))
        }
        "Failed" => {
            let number = doc["httpStatus"].as_u64().and_then(|number| u16::try_from(number).ok());
            let status = number.and_then(|number| StatusCode::from_u16(number).ok());
            let text = |field: &str| doc["error"][field].as_str().unwrap_or_default().to_owned();
            Err(ArmError::new(
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                text("code"),
                text("message"),
            ))
        }
        _ if doc["result"].is_null() => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        _ => Ok(Answer::new(StatusCode::OK, doc["result"].clone())),
    }
}
