//! An execution from its creation to its end.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{self, End};
use super::executions;
use crate::arm::store;
use crate::error::{ArmError, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::time;

/// Replicas at once.
pub fn parallelism(execution: &Value) -> i64 {
    execution["_configuration"]["manualTriggerConfig"]["parallelism"].as_i64().unwrap_or(1)
}

/// Runs an execution's replicas and keeps its document up to date.
pub async fn drive(simulator: &Arc<Simulator>, id: &str, cancel: &CancellationToken) {
    let outcome = replicas(simulator, id, cancel).await;
    let (status, reason) = match &outcome {
        Ok(Some((status, reason))) => (*status, reason.as_str()),
        // The simulator ends; the next process says that the execution was lost.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, id, "an execution cannot be driven");
            ("Failed", error.message.as_str())
        }
    };
    if let Err(error) = complete(simulator, id, status, reason) {
        tracing::error!(%error, id, "an execution's end cannot be written");
    }
}

async fn replicas(
    simulator: &Arc<Simulator>,
    id: &str,
    cancel: &CancellationToken,
) -> Result<Option<(&'static str, String)>> {
    let Some(execution) = store::get(&simulator.db, id)? else {
        return Err(ArmError::internal(format!("the execution {id} is gone")));
    };
    let execution = Arc::new(execution);
    tokio::select! {
        () = tokio::time::sleep(simulator.config.profile.latency(Step::ColdStart)) => {}
        () = cancel.cancelled() => {}
    }
    store::update(&simulator.db, id, |doc| doc["properties"]["status"] = json!("Running"))?;
    let width = parallelism(&execution);
    let mut missing = execution["_configuration"]["manualTriggerConfig"]["replicaCompletionCount"]
        .as_i64()
        .unwrap_or(1)
        .max(1);
    let mut running = JoinSet::new();
    let spawn = |running: &mut JoinSet<Result<End>>| {
        let (simulator, execution, cancel) = (simulator.clone(), execution.clone(), cancel.clone());
        running.spawn(async move { attempt::replica(&simulator, &execution, &cancel).await });
    };
    for _ in 0..width.min(missing) {
        spawn(&mut running);
    }
    let mut failed: Option<String> = None;
    while let Some(joined) = running.join_next().await {
        match joined.map_err(|error| ArmError::internal(format!("a replica's driver failed: {error}")))?? {
            End::Succeeded => missing -= 1,
            End::Stopped => {}
            End::Failed(why) => {
                failed.get_or_insert(why);
            }
        }
        let open = i64::try_from(running.len()).unwrap_or(i64::MAX);
        let ending = cancel.is_cancelled() || simulator.closing.is_cancelled();
        if failed.is_none() && !ending && open < missing {
            spawn(&mut running);
        }
    }
    if simulator.closing.is_cancelled() {
        return Ok(None);
    }
    tokio::time::sleep(simulator.config.profile.latency(Step::Complete)).await;
    Ok(Some(match failed {
        _ if cancel.is_cancelled() => ("Stopped", "The execution was stopped by the user.".to_owned()),
        Some(why) => ("Failed", why),
        None => ("Succeeded", String::new()),
    }))
}

/// Writes the end of an execution.
///
/// # Errors
/// The database's.
pub fn complete(simulator: &Simulator, id: &str, status: &str, why: &str) -> Result<()> {
    store::update(&simulator.db, id, |doc| {
        if executions::is_over(doc) {
            return;
        }
        doc["properties"]["status"] = json!(status);
        doc["properties"]["endTime"] = json!(time::seconds(time::now()));
        if !why.is_empty() {
            doc["properties"]["message"] = json!(why);
        }
    })?;
    Ok(())
}
