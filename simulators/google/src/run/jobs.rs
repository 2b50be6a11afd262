//! The `jobs` collection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::conditions::{State, condition};
use super::names::{self, Location, exists, not_found, short};
use super::store::{self, Kind};
use super::{executions, operations, reconcile, rules};
use crate::error::{ApiError, Code, Result};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{auth, ids, time};

/// Fields that a listing leaves out: a `get` has them.
const NOT_LISTED: &[&str] = &["conditions", "terminalCondition", "latestCreatedExecution"];

/// Which execution a job's body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// None.
    None,
    /// The job is ready once it has started.
    Start(String),
    /// The job is ready once it has succeeded.
    Run(String),
}

impl Token {
    /// Reads and checks the tokens of a body.
    fn of(job: &str, body: &Value) -> Result<Self> {
        let text = |field: &str| body[field].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        match (text("startExecutionToken"), text("runExecutionToken")) {
            (None, None) => Ok(Self::None),
            (Some(token), None) => {
                names::check_token("startExecutionToken", job, &token)?;
                Ok(Self::Start(token))
            }
            (None, Some(token)) => {
                names::check_token("runExecutionToken", job, &token)?;
                Ok(Self::Run(token))
            }
            (Some(_), Some(_)) => {
                let reason = "Only one of start_execution_token and run_execution_token may be set.";
                Err(ApiError::field("job", reason))
            }
        }
    }

    /// The token itself.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Start(token) | Self::Run(token) => Some(token),
        }
    }
}

/// `jobs.create`
pub fn create(
    simulator: &Arc<Simulator>,
    location: &Location,
    query: &Query,
    mut body: Value,
) -> Result<Value> {
    let id = query.text("jobId").unwrap_or_default().to_owned();
    names::check_job_id(&id)?;
    if body["name"].as_str().is_some_and(|name| !name.is_empty()) {
        return Err(ApiError::field("job.name", "job.name: The job name must be empty; use job_id instead."));
    }
    let token = Token::of(&id, &body)?;
    rules::job(&mut body, &location.project, &simulator.info.registry)?;
    let name = location.job(&id);
    let job = fresh(location, &name, body);
    if store::get(&simulator.db, &name)?.is_some() {
        return Err(exists(&id));
    }
    if store::count(&simulator.db, Kind::Job, &location.name())? >= simulator.config.quotas.jobs {
        let message = format!(
            "Quota exceeded for total number of jobs: {} in region {}.",
            simulator.config.quotas.jobs, location.region
        );
        return Err(ApiError::new(Code::ResourceExhausted, message));
    }
    if query.flag("validateOnly") {
        return Ok(operations::done(location, "Job", &job));
    }
    if token.text().is_some() {
        simulator.run.take_run(location)?;
    }
    if !store::insert(&simulator.db, Kind::Job, &location.name(), &name, &job)? {
        return Err(exists(&id));
    }
    let operation = operations::start(simulator, location, "Job", &job)?;
    reconcile::begin(simulator, &job, &operation, token);
    Ok(operation)
}

/// A new job's document.
fn fresh(location: &Location, name: &str, mut job: Value) -> Value {
    let now = time::micros(time::now());
    job["name"] = json!(name);
    job["uid"] = json!(ids::uuid());
    job["generation"] = json!("1");
    job["createTime"] = json!(now);
    job["updateTime"] = json!(now);
    let account = auth::service_account(&location.project);
    job["creator"] = json!(account);
    job["lastModifier"] = json!(account);
    job["etag"] = json!(store::etag());
    reconciling(&mut job);
    job
}

fn reconciling(job: &mut Value) {
    job["reconciling"] = json!(true);
    job["terminalCondition"] = condition("Ready", State::Reconciling, "", None);
    job["conditions"] = json!([condition("ResourcesAvailable", State::Reconciling, "", None)]);
}

/// `jobs.get`
pub fn get(simulator: &Simulator, location: &Location, id: &str) -> Result<Value> {
    store::get(&simulator.db, &location.job(id))?.ok_or_else(|| not_found(location, "JOB", id))
}

/// `jobs.list`
pub fn list(simulator: &Simulator, location: &Location, query: &Query) -> Result<Value> {
    let size = query.number("pageSize").unwrap_or_default();
    let (mut jobs, next) =
        store::list(&simulator.db, Kind::Job, &location.name(), size, query.text("pageToken"))?;
    for job in jobs.iter_mut().filter_map(Value::as_object_mut) {
        job.retain(|field, _| !NOT_LISTED.contains(&field.as_str()));
    }
    Ok(operations::page("jobs", jobs, next))
}

/// `jobs.patch`: replaces what the caller may set. There is no update mask in v2.
pub fn patch(
    simulator: &Arc<Simulator>,
    location: &Location,
    id: &str,
    query: &Query,
    mut body: Value,
) -> Result<Value> {
    let name = location.job(id);
    if body["name"].as_str().is_some_and(|given| !given.is_empty() && given != name) {
        return Err(ApiError::field("job.name", format!("job.name: Must be empty or {name}.")));
    }
    let Some(old) = store::get(&simulator.db, &name)? else {
        if !query.flag("allowMissing") {
            return Err(not_found(location, "JOB", id));
        }
        if let Some(body) = body.as_object_mut() {
            body.remove("name");
            body.remove("etag");
        }
        let raw = format!("jobId={id}&validateOnly={}", query.flag("validateOnly"));
        let query = crate::schema::run().query("run.projects.locations.jobs.create", Some(&raw))?;
        return create(simulator, location, &query, body);
    };
    check_etag(&old, body["etag"].as_str())?;
    let token = Token::of(id, &body)?;
    rules::job(&mut body, &location.project, &simulator.info.registry)?;
    let mut job = body;
    for field in
        ["uid", "createTime", "creator", "executionCount", "latestCreatedExecution", "observedGeneration"]
    {
        if let Some(value) = old.get(field) {
            job[field] = value.clone();
        }
    }
    let generation =
        old["generation"].as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default() + 1;
    job["name"] = json!(name);
    job["generation"] = json!(generation.to_string());
    job["lastModifier"] = json!(auth::service_account(&location.project));
    job["etag"] = json!(store::etag());
    reconciling(&mut job);
    if query.flag("validateOnly") {
        job["updateTime"] = old["updateTime"].clone();
        return Ok(operations::done(location, "Job", &job));
    }
    if token.text().is_some() {
        simulator.run.take_run(location)?;
    }
    let job = store::update(&simulator.db, &name, |doc| *doc = job)?
        .ok_or_else(|| not_found(location, "JOB", id))?;
    store::reopen(&simulator.db, &name)?;
    let operation = operations::start(simulator, location, "Job", &job)?;
    reconcile::begin(simulator, &job, &operation, token);
    Ok(operation)
}

/// `jobs.delete`: with its executions; those that run are cancelled.
pub fn delete(simulator: &Arc<Simulator>, location: &Location, id: &str, query: &Query) -> Result<Value> {
    let job = get(simulator, location, id)?;
    check_etag(&job, query.text("etag"))?;
    if query.flag("validateOnly") {
        return Ok(operations::done(location, "Job", &job));
    }
    let operation = operations::start(simulator, location, "Job", &job)?;
    reconcile::begin_delete(simulator, &job, &operation, "Job");
    Ok(operation)
}

/// `jobs.run`: the operation ends when the execution does.
pub fn run(simulator: &Arc<Simulator>, location: &Location, id: &str, body: &Value) -> Result<Value> {
    let job = get(simulator, location, id)?;
    check_etag(&job, body["etag"].as_str())?;
    let template = executions::overridden(&job, &body["overrides"])?;
    if job["terminalCondition"]["state"] == "CONDITION_FAILED" {
        let message = format!(
            "Job '{id}' is not ready: {}",
            job["terminalCondition"]["message"].as_str().unwrap_or_default()
        );
        return Err(ApiError::new(Code::FailedPrecondition, message));
    }
    let name = format!("{id}-{}", ids::suffix(5));
    let execution = executions::document(location, &job, &name, template);
    if body["validateOnly"] == true {
        return Ok(operations::done(location, "Execution", &execution));
    }
    simulator.run.take_run(location)?;
    executions::start(simulator, location, &job, &execution)?;
    let operation = operations::start(simulator, location, "Execution", &execution)?;
    reconcile::begin_run(simulator, &execution, &operation);
    Ok(operation)
}

/// Refuses a fingerprint that is not the resource's.
pub fn check_etag(resource: &Value, given: Option<&str>) -> Result<()> {
    match given.filter(|given| !given.is_empty()) {
        Some(given) if resource["etag"] != given => {
            let name = short(resource["name"].as_str().unwrap_or_default()).to_owned();
            let message = format!(
                "Conflict for resource '{name}': version '{given}' was specified but current version is {}.",
                resource["etag"]
            );
            Err(ApiError::new(Code::Aborted, message))
        }
        _ => Ok(()),
    }
}
