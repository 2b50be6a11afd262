//! `jobs/J/executions`

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Live, document, driver, jobs, resources, rules};
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, store};
use crate::error::{ArmError, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// The collection.
pub const KIND: &str = "microsoft.app/jobs/executions";
/// Statuses that nothing follows.
const OVER: &[&str] = &["Succeeded", "Failed", "Stopped"];

/// Whether nothing follows an execution's status.
pub fn is_over(doc: &Value) -> bool {
    OVER.contains(&doc["properties"]["status"].as_str().unwrap_or_default())
}

/// Without the simulator's own fields, and the template as executions have it: it knows no mounts.
fn shown(mut doc: Value) -> Value {
    let template = doc["_template"].clone();
    let strip = |list: &Value| -> Value {
        let keep = ["args", "command", "env", "image", "name", "resources"];
        let entries = list.as_array().into_iter().flatten().cloned().map(|mut container| {
            if let Some(fields) = container.as_object_mut() {
                fields.retain(|name, _| keep.contains(&name.as_str()));
            }
            container
        });
        entries.collect()
    };
    doc["properties"]["template"] = json!({"containers": strip(&template["containers"]), "initContainers": strip(&template["initContainers"])});
    if let Some(fields) = doc.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    doc
}

fn missing(call: &Call) -> ArmError {
    let message = format!("The execution '{}' of the job '{}' was not found.", call.name(1), call.name(0));
    ArmError::not_found("JobExecutionNotFound", message)
}

fn id(call: &Call) -> String {
    format!("{}/executions/{}", jobs::id(call), call.name(1))
}

/// `executions/E` with GET
pub fn get(call: &Call) -> Result<Answer> {
    jobs::find(call)?;
    let found = store::get(&call.simulator.db, &id(call))?.filter(document::is_seen);
    Ok(Answer::ok(shown(found.ok_or_else(|| missing(call))?)))
}

/// `executions` with GET: the newest first, all at once.
pub fn list(call: &Call) -> Result<Answer> {
    let job = jobs::find(call)?;
    if let Some(filter) = call.query.get("$filter") {
        let message = format!("The filter '{filter}' is not simulated.");
        return Err(ArmError::bad("InvalidFilter", message));
    }
    let parent = job["id"].as_str().unwrap_or_default();
    let (mut found, _) = store::list(&call.simulator.db, KIND, parent, 0, usize::MAX)?;
    found.reverse();
    Ok(Answer::ok(json!({"value": found.into_iter().map(shown).collect::<Vec<_>>()})))
}

/// `jobs/J/start` with POST; the body replaces the template's containers.
pub fn start(call: &Call) -> Result<Answer> {
    let job = jobs::find(call)?;
    super::document::settled(Some(&job), "job")?;
    let mut template = current(&job);
    if let Some(given) = call.body.as_object() {
        for field in ["containers", "initContainers"] {
            template[field] = given.get(field).cloned().unwrap_or_else(|| json!([]));
        }
        rules::template(&call.simulator, &mut template, &job["properties"]["configuration"])?;
    }
    let job_id = job["id"].as_str().unwrap_or_default();
    let name = format!("{}-{}", job["name"].as_str().unwrap_or_default(), ids::suffix(7));
    let id = format!("{job_id}/executions/{name}");
    if call.doom.is_some() {
        // No execution comes of what fails, so that none is named: its operation alone says why.
        let operation = operations::begin(call, async { Ok(None) })?;
        return Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location));
    }
    let doc = json!({
        "id": id,
        "name": name,
        "type": "Microsoft.App/jobs/executions",
        "properties": {
            "status": "Processing",
            "startTime": time::seconds(time::now()),
            "detailedStatus": {"replicas": []},
        },
        "_template": template,
        "_configuration": job["properties"]["configuration"],
        "_identity": job["identity"],
        "_environment": job["properties"]["environmentId"],
        "_job": job["name"],
        "_seen": document::seen_from(&call.simulator),
    });
    let cpu_millis = resources::cpu_millis(&template)
        .saturating_mul(u32::try_from(driver::parallelism(&doc)).unwrap_or(u32::MAX));
    let live = Live { cancel: CancellationToken::new(), over: CancellationToken::new(), cpu_millis };
    {
        let mut running = call.simulator.apps.live();
        let held: u32 = running.values().map(|live| live.cpu_millis).fold(0, u32::saturating_add);
        if held.saturating_add(cpu_millis) > limits::ENVIRONMENT_CPU {
            let message = format!(
                "Maximum Allowed Cores exceeded for the Managed Environment: {} of {} are in use.",
                held / 1_000,
                limits::ENVIRONMENT_CPU / 1_000
            );
            return Err(ArmError::bad("ManagedEnvironmentCoreQuotaExceeded", message));
        }
        running.insert(id.to_ascii_lowercase(), live.clone());
    }
    let kept = store::put(&call.simulator.db, KIND, job_id, &id, &doc, document::listed(&call.simulator));
    if let Err(error) = kept.and_then(|_| trim(&call.simulator, job_id)) {
        call.simulator.apps.live().remove(&id.to_ascii_lowercase());
        return Err(error);
    }
    drive(&call.simulator, id.clone(), live);
    let base = json!({"id": id, "name": name});
    let (result, profile) = (base.clone(), call.simulator.config.profile);
    let operation = operations::begin(call, async move {
        tokio::time::sleep(profile.latency(Step::Provision)).await;
        Ok(Some(result))
    })?;
    Ok(Answer::new(StatusCode::ACCEPTED, base).with_operation(call, &operation, Style::Location))
}

/// The template that an execution gets now.
fn current(job: &Value) -> Value {
    let previous = &job["_previous"];
    if previous["until"].as_i64().is_some_and(|until| until > time::to_nanos(time::now())) {
        return previous["template"].clone();
    }
    job["properties"]["template"].clone()
}

/// Forgets the oldest executions that are over.
fn trim(simulator: &Simulator, job: &str) -> Result<()> {
    let all = store::children(&simulator.db, KIND, job)?;
    let excess = all.len().saturating_sub(limits::EXECUTIONS);
    for doc in all.iter().filter(|doc| is_over(doc)).take(excess) {
        store::delete(&simulator.db, doc["id"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

fn drive(simulator: &Arc<Simulator>, id: String, live: Live) {
    let simulator_too = simulator.clone();
    simulator.work.spawn(async move {
        driver::drive(&simulator_too, &id, &live.cancel).await;
        simulator_too.apps.live().remove(&id.to_ascii_lowercase());
        live.over.cancel();
    });
}

/// `executions/E/stop` with POST
pub fn stop(call: &Call) -> Result<Answer> {
    jobs::find(call)?;
    let id = id(call);
    store::get(&call.simulator.db, &id)?.ok_or_else(|| missing(call))?;
    let running = call.simulator.apps.interrupt(&id);
    let operation = operations::begin(call, async move {
        for over in running {
            over.cancelled().await;
        }
        Ok(None)
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

/// `jobs/J/stop` with POST: all that run.
pub fn stop_all(call: &Call) -> Result<Answer> {
    let job = jobs::find(call)?;
    let parent = job["id"].as_str().unwrap_or_default().to_owned();
    let running = call.simulator.apps.interrupt(&parent);
    let simulator = call.simulator.clone();
    let operation = operations::begin(call, async move {
        for over in running {
            over.cancelled().await;
        }
        let (found, _) = store::list(&simulator.db, KIND, &parent, 0, usize::MAX)?;
        Ok(Some(json!({"value": found.into_iter().map(shown).collect::<Vec<_>>()})))
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

/// Closes executions whose processes went with the simulator's last process.
pub fn recover(simulator: &Arc<Simulator>) -> Result<()> {
    for doc in store::all(&simulator.db, KIND)?.iter().filter(|doc| !is_over(doc)) {
        let id = doc["id"].as_str().unwrap_or_default();
        driver::complete(simulator, id, "Failed", "The machine that ran the replica was lost.")?;
    }
    Ok(())
}
