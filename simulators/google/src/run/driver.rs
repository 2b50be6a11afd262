//! An execution from its creation to its end.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Attempt, Outcome};
use super::conditions::{Reason, State, add, clear, condition, set};
use super::names::{Location, parent, short};
use super::store::{self, Kind};
use super::{Stage, plan};
use crate::error::{ApiError, Code, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::{ids, time};

/// How a task ended.
enum End {
    Succeeded,
    Cancelled,
    Failed(Outcome),
}

/// Runs an execution's tasks and keeps its document up to date.
pub async fn drive(
    simulator: &Arc<Simulator>,
    name: &str,
    cancel: &CancellationToken,
    stage: &watch::Sender<Stage>,
) {
    let end = match tasks(simulator, name, cancel, stage).await {
        Ok(Some(end)) => end,
        // The simulator ends; the next process says that the execution was lost.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, name, "an execution cannot be driven");
            Stage::Failed(error.message)
        }
    };
    stage.send_replace(end);
}

async fn tasks(
    simulator: &Arc<Simulator>,
    name: &str,
    cancel: &CancellationToken,
    stage: &watch::Sender<Stage>,
) -> Result<Option<Stage>> {
    let Some(execution) = store::get(&simulator.db, name)? else {
        return Err(ApiError::new(Code::Internal, format!("execution {name} is gone")));
    };
    let execution = Arc::new(execution);
    let began = std::time::Instant::now();
    tokio::select! {
        () = tokio::time::sleep(simulator.config.profile.latency(Step::ColdStart)) => {}
        () = cancel.cancelled() => {}
    }
    let count = execution["taskCount"].as_i64().unwrap_or(1);
    let width =
        execution["parallelism"].as_i64().and_then(|width| usize::try_from(width).ok()).unwrap_or(1).max(1);
    let room = Arc::new(Semaphore::new(width));
    let mut running = JoinSet::new();
    let mut failed: Option<(i64, Outcome)> = None;
    let mut cancelled = false;
    for index in 0..count {
        let permit = room.clone().acquire_owned().await;
        if simulator.run.closing.is_cancelled() {
            break;
        }
        let (simulator, execution, cancel, stage) =
            (simulator.clone(), execution.clone(), cancel.clone(), stage.clone());
        running.spawn(async move {
            let end = task(&simulator, &execution, index, &cancel, &stage).await;
            drop(permit);
            (index, end)
        });
    }
    while let Some(joined) = running.join_next().await {
        let (index, end) = joined
            .map_err(|error| ApiError::new(Code::Internal, format!("a task's driver failed: {error}")))?;
        match end? {
            End::Succeeded => {}
            End::Cancelled => cancelled = true,
            End::Failed(outcome) => {
                failed.get_or_insert((index, outcome));
            }
        }
    }
    if simulator.run.closing.is_cancelled() {
        return Ok(None);
    }
    tokio::time::sleep(simulator.config.profile.latency(Step::Complete)).await;
    let seconds = began.elapsed().as_secs_f64();
    let (state, message, reason) = match failed {
        Some((index, outcome)) => {
            let message = match outcome.reason {
                Reason::Execution(_) => {
                    format!("Task {}-task{index} failed with message: {}", short(name), outcome.message)
                }
                Reason::Common(_) => outcome.message.clone(),
            };
            if outcome.image {
                store::update(&simulator.db, name, |doc| {
                    set(
                        doc,
                        condition("ContainerReady", State::Failed, &outcome.message, Some(outcome.reason)),
                    );
                })?;
            }
            (State::Failed, message, Some(outcome.reason))
        }
        None if cancelled => {
            let by = "Execution was cancelled by the user.".to_owned();
            (State::Failed, by, Some(Reason::Execution("CANCELLED")))
        }
        None => (State::Succeeded, format!("Execution completed successfully in {seconds:.2}s."), None),
    };
    complete(simulator, name, state, &message, reason, |_| {})?;
    Ok(Some(if state == State::Succeeded { Stage::Succeeded } else { Stage::Failed(message) }))
}

/// Writes the end of an execution, and of it as its job's latest one.
pub fn complete(
    simulator: &Simulator,
    name: &str,
    state: State,
    message: &str,
    reason: Option<Reason>,
    change: impl FnOnce(&mut Value),
) -> Result<()> {
    let now = time::micros(time::now());
    store::update(&simulator.db, name, |doc| {
        doc["completionTime"] = json!(now);
        clear(doc, "reconciling");
        set(doc, condition("Completed", state, message, reason));
        change(doc);
    })?;
    store::finish(&simulator.db, name)?;
    let status = match (state, reason) {
        (State::Succeeded, _) => "EXECUTION_SUCCEEDED",
        (_, Some(Reason::Execution("CANCELLED"))) => "EXECUTION_CANCELLED",
        _ => "EXECUTION_FAILED",
    };
    store::update(&simulator.db, parent(name), |job| {
        let latest = &mut job["latestCreatedExecution"];
        if latest["name"] == short(name) {
            latest["completionTime"] = json!(now);
            latest["completionStatus"] = json!(status);
        }
    })?;
    Ok(())
}

/// One task with its retries.
async fn task(
    simulator: &Arc<Simulator>,
    execution: &Value,
    index: i64,
    cancel: &CancellationToken,
    stage: &watch::Sender<Stage>,
) -> Result<End> {
    let parent = execution["name"].as_str().unwrap_or_default();
    let name = format!("{parent}/tasks/{}-task{index}", short(parent));
    store::insert(&simulator.db, Kind::Task, parent, &name, &document(execution, &name, index))?;
    let retries = execution["template"]["maxRetries"].as_i64().unwrap_or_default();
    let mut number = 0;
    loop {
        if cancel.is_cancelled() {
            return cancelled(simulator, parent, &name);
        }
        let plan = match plan::task(simulator, execution, index, number).await {
            Ok(plan) => plan,
            Err(outcome) => return failed(simulator, parent, &name, outcome),
        };
        let attempt = Attempt { simulator, execution, task: &name, index, number, cancel, stage };
        let outcome = attempt::run(&attempt, plan).await?;
        if simulator.run.closing.is_cancelled() {
            return Ok(End::Cancelled);
        }
        if outcome.started {
            store::update(&simulator.db, parent, |doc| add(doc, "runningCount", -1))?;
        }
        store::update(&simulator.db, &name, |doc| doc["lastAttemptResult"] = outcome.result())?;
        if outcome.good() {
            finish_task(simulator, &name, condition("Completed", State::Succeeded, "", None))?;
            store::update(&simulator.db, parent, |doc| add(doc, "succeededCount", 1))?;
            return Ok(End::Succeeded);
        }
        if cancel.is_cancelled() {
            return cancelled(simulator, parent, &name);
        }
        if number >= retries || !outcome.retry {
            return failed(simulator, parent, &name, outcome);
        }
        number += 1;
        store::update(&simulator.db, &name, |doc| doc["retried"] = json!(number))?;
        if number == 1 {
            store::update(&simulator.db, parent, |doc| add(doc, "retriedCount", 1))?;
        }
    }
}

fn failed(simulator: &Simulator, execution: &str, task: &str, outcome: Outcome) -> Result<End> {
    store::update(&simulator.db, task, |doc| doc["lastAttemptResult"] = outcome.result())?;
    finish_task(
        simulator,
        task,
        condition("Completed", State::Failed, &outcome.message, Some(outcome.reason)),
    )?;
    store::update(&simulator.db, execution, |doc| add(doc, "failedCount", 1))?;
    Ok(End::Failed(outcome))
}

fn cancelled(simulator: &Simulator, execution: &str, task: &str) -> Result<End> {
    let message = "Task was cancelled by the user.";
    finish_task(
        simulator,
        task,
        condition("Completed", State::Failed, message, Some(Reason::Execution("CANCELLED"))),
    )?;
    store::update(&simulator.db, execution, |doc| add(doc, "cancelledCount", 1))?;
    Ok(End::Cancelled)
}

fn finish_task(simulator: &Simulator, task: &str, condition: Value) -> Result<()> {
    store::update(&simulator.db, task, |doc| {
        doc["completionTime"] = json!(time::micros(time::now()));
        clear(doc, "reconciling");
        set(doc, condition);
    })?;
    store::finish(&simulator.db, task)
}

/// A new task's document.
fn document(execution: &Value, name: &str, index: i64) -> Value {
    let now = time::micros(time::now());
    let mut task = json!({
        "name": name,
        "uid": ids::uuid(),
        "generation": "1",
        "observedGeneration": "1",
        "createTime": now,
        "scheduledTime": now,
        "updateTime": now,
        "job": execution["job"],
        "execution": short(parent(name)),
        "reconciling": true,
        "conditions": [condition("Completed", State::Reconciling, "", None)],
        "logUri": execution["logUri"],
        "etag": store::etag(),
    });
    add(&mut task, "index", index);
    for field in ["labels", "annotations"] {
        if !execution[field].is_null() {
            task[field] = execution[field].clone();
        }
    }
    for field in [
        "containers",
        "volumes",
        "maxRetries",
        "timeout",
        "serviceAccount",
        "executionEnvironment",
        "vpcAccess",
    ] {
        let value = &execution["template"][field];
        if !value.is_null() {
            task[field] = value.clone();
        }
    }
    task
}

/// The location of an execution's name.
pub fn location(name: &str) -> Location {
    Location::of(name).unwrap_or_else(|| Location { project: String::new(), region: String::new() })
}
