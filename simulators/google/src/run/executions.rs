//! The `executions` of a job.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::conditions::{Reason, State, add, clear, condition, set};
use super::names::{Location, exists, not_found, parent, short};
use super::store::{self, Kind};
use super::{Live, Stage, driver, jobs, operations, reconcile, rules};
use crate::error::{ApiError, Code, Result};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{auth, ids, time};

/// Fields that a listing leaves out.
const NOT_LISTED: &[&str] = &["conditions", "template"];

/// The job's execution template with the overrides of a `run` call.
///
/// # Errors
/// 400 for overrides of a container that does not exist, or values that a job could not have.
pub fn overridden(job: &Value, overrides: &Value) -> Result<Value> {
    let mut template = job["template"].clone();
    if !overrides["taskCount"].is_null() && overrides["taskCount"] != 0 {
        template["taskCount"] = overrides["taskCount"].clone();
    }
    if overrides["delayExecution"] == true {
        template["delayExecution"] = json!(true);
    }
    rules::execution(&mut template)?;
    if !overrides["timeout"].is_null() {
        rules::timeout(&overrides["timeout"], "overrides.timeout")?;
        template["template"]["timeout"] = overrides["timeout"].clone();
    }
    let given = overrides["containerOverrides"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let Some(containers) = template["template"]["containers"].as_array_mut() else { return Ok(template) };
    let single = containers.len() == 1;
    for (index, change) in given.iter().enumerate() {
        let at = format!("overrides.container_overrides[{index}]");
        let name = change["name"].as_str().unwrap_or_default();
        let found = containers.iter_mut().find(|container| {
            container["name"].as_str().unwrap_or_default() == name || (single && name.is_empty())
        });
        let Some(container) = found else {
            return Err(ApiError::field(
                &format!("{at}.name"),
                format!("{at}.name: Container {name:?} not found."),
            ));
        };
        let args = change["args"].as_array().is_some_and(|args| !args.is_empty());
        match (args, change["clearArgs"] == true) {
            (true, true) => {
                return Err(ApiError::field(
                    &at,
                    format!("{at}: Only one of args and clear_args may be set."),
                ));
            }
            (true, false) => container["args"] = change["args"].clone(),
            (false, true) => container["args"] = json!([]),
            (false, false) => {}
        }
        rules::env(&change["env"], &at)?;
        for variable in change["env"].as_array().into_iter().flatten() {
            if !container["env"].is_array() {
                container["env"] = json!([]);
            }
            if let Some(env) = container["env"].as_array_mut() {
                env.retain(|old| old["name"] != variable["name"]);
                env.push(variable.clone());
            }
        }
    }
    Ok(template)
}

/// A new execution's document. `name` is short.
pub fn document(location: &Location, job: &Value, name: &str, template: Value) -> Value {
    let now = time::micros(time::now());
    let job_id = short(job["name"].as_str().unwrap_or_default());
    let tasks = template["taskCount"].as_i64().unwrap_or(1);
    let parallelism = template["parallelism"].as_i64().filter(|limit| *limit > 0).unwrap_or(tasks);
    let mut execution = json!({
        "name": format!("{}/jobs/{job_id}/executions/{name}", location.name()),
        "uid": ids::uuid(),
        "generation": "1",
        "observedGeneration": "1",
        "creator": auth::service_account(&location.project),
        "createTime": now,
        "updateTime": now,
        "launchStage": job["launchStage"],
        "job": job_id,
        "parallelism": parallelism,
        "taskCount": tasks,
        "template": template["template"],
        "reconciling": true,
        "conditions": [
            condition("Completed", State::Reconciling, "Waiting for execution to complete.", None),
            condition("ResourcesAvailable", State::Reconciling, "Provisioning imported containers.", None),
            condition("Started", State::Reconciling, "Waiting for the execution to start.", None),
            condition("ContainerReady", State::Reconciling, "Importing container image.", None),
        ],
        "logUri": log_uri(location, name),
        "etag": store::etag(),
    });
    for field in ["labels", "annotations", "client", "clientVersion"] {
        let value = if template[field].is_null() { &job[field] } else { &template[field] };
        if !value.is_null() {
            execution[field] = value.clone();
        }
    }
    execution
}

fn log_uri(location: &Location, execution: &str) -> String {
    let filter = format!(
        "resource.type=\"cloud_run_job\"\nlabels.\"run.googleapis.com/execution_name\"=\"{execution}\"\nresource.labels.location=\"{}\"",
        location.region
    );
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("project", &location.project)
        .append_pair("advancedFilter", &filter)
        .finish();
    format!("https://console.cloud.google.com/logs/viewer?{query}")
}

/// Keeps a new execution and begins it.
///
/// # Errors
/// 409 when there is one of that name, 429 when too many run.
pub fn start(
    simulator: &Arc<Simulator>,
    location: &Location,
    job: &Value,
    execution: &Value,
) -> Result<watch::Receiver<Stage>> {
    let name = execution["name"].as_str().unwrap_or_default().to_owned();
    let job_name = job["name"].as_str().unwrap_or_default();
    let (sender, stage) = watch::channel(Stage::Waiting);
    let cancel = CancellationToken::new();
    {
        let mut live = simulator.run.live();
        let most = simulator.config.quotas.running_executions;
        if live.len() >= most {
            let message = format!(
                "Quota exceeded for total number of running executions: {most} in region {}.",
                location.region
            );
            return Err(ApiError::new(Code::ResourceExhausted, message));
        }
        // A job that is being deleted collects its executions behind this very lock.
        let current = store::get(&simulator.db, job_name)?;
        if current.is_none_or(|current| current["uid"] != job["uid"] || !current["deleteTime"].is_null()) {
            return Err(not_found(location, "JOB", short(job_name)));
        }
        if !store::insert(&simulator.db, Kind::Execution, job_name, &name, execution)? {
            return Err(exists(short(&name)));
        }
        live.insert(name.clone(), Live { cancel: cancel.clone(), stage: stage.clone() });
    }
    store::update(&simulator.db, job_name, |doc| {
        add(doc, "executionCount", 1);
        doc["latestCreatedExecution"] = json!({
            "name": short(&name),
            "createTime": execution["createTime"],
            "completionStatus": "EXECUTION_RUNNING",
        });
    })?;
    let simulator_too = simulator.clone();
    simulator.run.work.spawn(async move {
        driver::drive(&simulator_too, &name, &cancel, &sender).await;
        simulator_too.run.live().remove(&name);
    });
    Ok(stage)
}

/// `executions.get`
pub fn get(simulator: &Simulator, location: &Location, job: &str, id: &str) -> Result<Value> {
    store::get(&simulator.db, &format!("{}/executions/{id}", location.job(job)))?
        .ok_or_else(|| not_found(location, "EXECUTION", id))
}

/// `executions.list`; `-` as job lists those of all jobs.
pub fn list(simulator: &Simulator, location: &Location, job: &str, query: &Query) -> Result<Value> {
    let (size, token) = (query.number("pageSize").unwrap_or_default(), query.text("pageToken"));
    let (mut found, next) = if job == "-" {
        let jobs = format!("{}/jobs", location.name());
        store::list_below(&simulator.db, Kind::Execution, &jobs, size, token)?
    } else {
        jobs::get(simulator, location, job)?;
        store::list(&simulator.db, Kind::Execution, &location.job(job), size, token)?
    };
    for execution in found.iter_mut().filter_map(Value::as_object_mut) {
        execution.retain(|field, _| !NOT_LISTED.contains(&field.as_str()));
    }
    Ok(operations::page("executions", found, next))
}

/// `executions.cancel`: SIGTERM to what runs, SIGKILL ten seconds later.
pub fn cancel(
    simulator: &Arc<Simulator>,
    location: &Location,
    job: &str,
    id: &str,
    body: &Value,
) -> Result<Value> {
    let execution = get(simulator, location, job, id)?;
    jobs::check_etag(&execution, body["etag"].as_str())?;
    if body["validateOnly"] == true {
        return Ok(operations::done(location, "Execution", &execution));
    }
    let name = execution["name"].as_str().unwrap_or_default().to_owned();
    let live = simulator.run.live().get(&name).cloned();
    let Some(live) = live.filter(|_| execution["completionTime"].is_null()) else {
        let message = format!("Execution '{id}' is already completed and cannot be cancelled.");
        return Err(ApiError::new(Code::FailedPrecondition, message));
    };
    let cancelling = store::update(&simulator.db, &name, |doc| {
        if doc["completionTime"].is_null() {
            set(
                doc,
                condition(
                    "Completed",
                    State::Reconciling,
                    "Cancelling the execution.",
                    Some(Reason::Execution("CANCELLING")),
                ),
            );
        }
    })?;
    let operation = operations::start(simulator, location, "Execution", &cancelling.unwrap_or(execution))?;
    live.cancel.cancel();
    reconcile::begin_cancel(simulator, &name, &operation, live.stage);
    Ok(operation)
}

/// `executions.delete`
pub fn delete(
    simulator: &Arc<Simulator>,
    location: &Location,
    job: &str,
    id: &str,
    query: &Query,
) -> Result<Value> {
    let execution = get(simulator, location, job, id)?;
    jobs::check_etag(&execution, query.text("etag"))?;
    if query.flag("validateOnly") {
        return Ok(operations::done(location, "Execution", &execution));
    }
    let operation = operations::start(simulator, location, "Execution", &execution)?;
    reconcile::begin_delete(simulator, &execution, &operation, "Execution");
    Ok(operation)
}

/// Cancels an execution if it is going on, and gives what to wait for.
pub fn interrupt(simulator: &Simulator, name: &str) -> Option<watch::Receiver<Stage>> {
    let live = simulator.run.live().get(name).cloned()?;
    live.cancel.cancel();
    Some(live.stage)
}

/// Names of a job's executions that are going on.
pub fn of_job(simulator: &Simulator, job: &str) -> Vec<String> {
    simulator.run.live().keys().filter(|name| parent(name) == job).cloned().collect()
}

/// Closes an execution whose processes went with the simulator's last process.
pub fn lost(simulator: &Simulator, name: &str) -> Result<()> {
    if store::get(&simulator.db, name)?.is_some_and(|execution| !execution["deleteTime"].is_null()) {
        store::delete(&simulator.db, name)?;
        return Ok(());
    }
    const MESSAGE: &str = "The execution was lost: the infrastructure that ran it has failed.";
    let reason = Some(Reason::Common("INTERNAL"));
    let (tasks, _) = store::list(&simulator.db, Kind::Task, name, 0, None)?;
    for task in tasks.iter().filter(|task| task["completionTime"].is_null()) {
        if let Some(task) = task["name"].as_str() {
            store::update(&simulator.db, task, |doc| {
                doc["completionTime"] = json!(time::micros(time::now()));
                clear(doc, "reconciling");
                doc["lastAttemptResult"] = json!({"status": {"code": 13, "message": MESSAGE}});
                set(doc, condition("Completed", State::Failed, MESSAGE, reason));
            })?;
        }
    }
    driver::complete(simulator, name, State::Failed, MESSAGE, reason, |doc| {
        let open = doc["taskCount"].as_i64().unwrap_or(1)
            - doc["succeededCount"].as_i64().unwrap_or_default()
            - doc["failedCount"].as_i64().unwrap_or_default()
            - doc["cancelledCount"].as_i64().unwrap_or_default();
        add(doc, "failedCount", open);
        clear(doc, "runningCount");
    })
}
