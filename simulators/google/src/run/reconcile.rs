//! What goes on behind an operation.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::conditions::{Reason, State, clear, condition};
use super::image::Image;
use super::jobs::Token;
use super::names::{Location, not_found, short};
use super::{Stage, executions, operations, store};
use crate::error::{ApiError, Code, Result};
use crate::profile::Step;
use crate::server::Simulator;

fn text(doc: &Value, field: &str) -> String {
    doc[field].as_str().unwrap_or_default().to_owned()
}

/// Runs a piece of work whose failure ends the operation.
fn spawn<F>(simulator: &Arc<Simulator>, operation: &Value, kind: &'static str, work: F)
where
    F: Future<Output = Result<Value>> + Send + 'static,
{
    let (simulator_too, operation) = (simulator.clone(), text(operation, "name"));
    simulator.run.work.spawn(async move {
        let outcome = tokio::select! {
            outcome = work => outcome,
            // The next process closes what this one leaves open.
            () = simulator_too.run.closing.cancelled() => return,
        };
        if let Err(error) = operations::finish(&simulator_too, &operation, kind, outcome.as_ref()) {
            tracing::error!(%error, operation, "an operation cannot be finished");
        }
    });
}

/// Brings a created or patched job into its desired state.
pub fn begin(simulator: &Arc<Simulator>, job: &Value, operation: &Value, token: Token) {
    let (simulator_too, job) = (simulator.clone(), job.clone());
    spawn(simulator, operation, "Job", async move {
        tokio::time::sleep(simulator_too.config.profile.latency(Step::Reconcile)).await;
        reconcile(&simulator_too, &job, &token).await
    });
}

async fn reconcile(simulator: &Arc<Simulator>, job: &Value, token: &Token) -> Result<Value> {
    let name = text(job, "name");
    let image = job["template"]["template"]["containers"][0]["image"].as_str().unwrap_or_default();
    if !available(simulator, image)? {
        let message = format!("Image '{image}' not found.");
        settle(simulator, job, State::Failed, &message, Some(Reason::Common("CONTAINER_MISSING")))?;
        return Err(ApiError::new(Code::NotFound, message));
    }
    let Some(token) = token.text().map(|text| (text, token)) else {
        return settle(simulator, job, State::Succeeded, "", None);
    };
    let location =
        Location::of(&name).unwrap_or_else(|| Location { project: String::new(), region: String::new() });
    let execution_id = format!("{}-{}", short(&name), token.0);
    let execution = executions::document(&location, job, &execution_id, job["template"].clone());
    let mut stage = match executions::start(simulator, &location, job, &execution) {
        Ok(stage) => stage,
        Err(error) => {
            settle(simulator, job, State::Failed, &error.message, Some(Reason::Common("INTERNAL")))?;
            return Err(error);
        }
    };
    let wanted = if matches!(token.1, Token::Start(_)) { Stage::Started } else { Stage::Succeeded };
    match reached(&mut stage, &wanted).await {
        Stage::Failed(message) => {
            let current = store::get(&simulator.db, execution["name"].as_str().unwrap_or_default())?;
            let reason = match current.as_ref().and_then(|doc| doc["conditions"][0]["reason"].as_str()) {
                Some("CONTAINER_MISSING") => Reason::Common("CONTAINER_MISSING"),
                _ => Reason::Common("UNKNOWN"),
            };
            settle(simulator, job, State::Failed, &message, Some(reason))?;
            Err(ApiError::new(Code::Aborted, message))
        }
        _ => settle(simulator, job, State::Succeeded, "", None),
    }
}

/// Whether the image is there, as far as this can be known without leaving the machine.
fn available(simulator: &Simulator, image: &str) -> Result<bool> {
    match Image::parse(image, &simulator.info.registry, "image")? {
        Image::Own { repository, reference } => Ok(simulator.registry.has(&repository, &reference)?),
        Image::Hub(_) => Ok(true),
    }
}

/// Writes a job's terminal condition, if the job is still the one that was looked at.
fn settle(
    simulator: &Simulator,
    job: &Value,
    state: State,
    message: &str,
    reason: Option<Reason>,
) -> Result<Value> {
    let name = text(job, "name");
    let updated = store::update(&simulator.db, &name, |doc| {
        if doc["uid"] != job["uid"] || doc["generation"] != job["generation"] {
            return;
        }
        doc["observedGeneration"] = doc["generation"].clone();
        clear(doc, "reconciling");
        doc["terminalCondition"] = condition("Ready", state, message, reason);
        doc["conditions"] = json!([condition("ResourcesAvailable", state, message, reason)]);
    })?;
    store::finish(&simulator.db, &name)?;
    updated
        .ok_or_else(|| ApiError::new(Code::Aborted, format!("Job '{}' was deleted meanwhile.", short(&name))))
}

/// Settles a job whose reconciliation the last process did not finish.
pub fn lost(simulator: &Simulator, name: &str) -> Result<()> {
    if let Some(job) = store::get(&simulator.db, name)? {
        if !job["deleteTime"].is_null() {
            store::delete(&simulator.db, name)?;
        } else if job["reconciling"] == true {
            settle(simulator, &job, State::Succeeded, "", None)?;
        } else {
            store::finish(&simulator.db, name)?;
        }
    }
    Ok(())
}

/// Waits until an execution has come as far as `wanted`, or is over.
async fn reached(stage: &mut watch::Receiver<Stage>, wanted: &Stage) -> Stage {
    let over = |stage: &Stage| stage == wanted || matches!(stage, Stage::Succeeded | Stage::Failed(_));
    match stage.wait_for(over).await {
        Ok(stage) => stage.clone(),
        // The driver is gone: only the end of the process does that.
        Err(_) => Stage::Failed("The execution was lost.".to_owned()),
    }
}

/// Ends the operation of `jobs.run` with its execution.
pub fn begin_run(simulator: &Arc<Simulator>, execution: &Value, operation: &Value) {
    let (simulator_too, name) = (simulator.clone(), text(execution, "name"));
    let stage = simulator.run.live().get(&name).map(|live| live.stage.clone());
    spawn(simulator, operation, "Execution", async move {
        let end = match stage {
            Some(mut stage) => reached(&mut stage, &Stage::Succeeded).await,
            None => Stage::Succeeded,
        };
        if let Stage::Failed(message) = end {
            return Err(ApiError::new(Code::Aborted, message));
        }
        current(&simulator_too, &name)
    });
}

/// Ends the operation of `executions.cancel` when the execution is over.
pub fn begin_cancel(
    simulator: &Arc<Simulator>,
    name: &str,
    operation: &Value,
    mut stage: watch::Receiver<Stage>,
) {
    let (simulator_too, name) = (simulator.clone(), name.to_owned());
    spawn(simulator, operation, "Execution", async move {
        reached(&mut stage, &Stage::Succeeded).await;
        current(&simulator_too, &name)
    });
}

fn current(simulator: &Simulator, name: &str) -> Result<Value> {
    let gone = || {
        let location =
            Location::of(name).unwrap_or_else(|| Location { project: String::new(), region: String::new() });
        not_found(&location, "EXECUTION", short(name))
    };
    store::get(&simulator.db, name)?.ok_or_else(gone)
}

/// Removes a job or an execution with all below it, after what runs has been cancelled.
pub fn begin_delete(simulator: &Arc<Simulator>, resource: &Value, operation: &Value, kind: &'static str) {
    let (simulator_too, resource) = (simulator.clone(), resource.clone());
    spawn(simulator, operation, kind, async move {
        let name = text(&resource, "name");
        // From here on nothing starts in it; the next process would go on with the deletion.
        store::update(&simulator_too.db, &name, |doc| {
            doc["deleteTime"] = json!(crate::time::micros(crate::time::now()));
        })?;
        store::reopen(&simulator_too.db, &name)?;
        let running =
            if kind == "Job" { executions::of_job(&simulator_too, &name) } else { vec![name.clone()] };
        let mut stages: Vec<_> =
            running.iter().filter_map(|name| executions::interrupt(&simulator_too, name)).collect();
        for stage in &mut stages {
            reached(stage, &Stage::Succeeded).await;
        }
        tokio::time::sleep(simulator_too.config.profile.latency(Step::Reconcile)).await;
        let last = store::get(&simulator_too.db, &name)?.unwrap_or(resource);
        store::delete(&simulator_too.db, &name)?;
        Ok(last)
    });
}
