//! Cloud Run Admin API v2: jobs, their executions and tasks, and long-running operations.

mod attempt;
mod conditions;
mod driver;
mod executions;
mod image;
mod instance;
mod jobs;
mod mount_options;
mod names;
mod operations;
mod plan;
mod quantity;
mod reconcile;
mod rules;
pub mod store;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{ApiError, Code, Result};
use crate::quota::PerMinute;
use crate::server::Simulator;
use crate::{auth, limits, schema};
pub(crate) use mount_options::MountOptions;
use names::{Location, Resource};

/// Where an execution is, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing runs yet.
    Waiting,
    /// Its first task runs.
    Started,
    /// It completed well.
    Succeeded,
    /// It did not: the sentence of its condition.
    Failed(String),
}

/// An execution that is not over.
#[derive(Clone)]
struct Live {
    cancel: CancellationToken,
    stage: watch::Receiver<Stage>,
}

/// What Cloud Run keeps in memory: the state of what is going on.
pub(crate) struct CloudRun {
    live: Mutex<HashMap<String, Live>>,
    runs: PerMinute,
    work: TaskTracker,
    closing: CancellationToken,
    finished: watch::Sender<u64>,
}

impl CloudRun {
    pub(crate) fn new(runs_per_minute: u32) -> Self {
        Self {
            live: Mutex::default(),
            runs: PerMinute::new(runs_per_minute),
            work: TaskTracker::new(),
            closing: CancellationToken::new(),
            finished: watch::Sender::new(0),
        }
    }

    /// Begins no more work; what ends from now on ends by the simulator's own end.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.work.close();
    }

    /// Waits for what was going on.
    pub(crate) async fn drained(&self) {
        self.work.wait().await;
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one start from the minute's.
    fn take_run(&self, location: &Location) -> Result<()> {
        self.runs.take(Instant::now()).map_err(|after| {
            let consumer = format!("projects/{}", auth::project_number(&location.project));
            ApiError::quota("run.googleapis.com/job_run_requests", self.runs.limit(), &consumer, after)
        })
    }
}

/// Whether a path below `/v2` is Cloud Run's and not a registry's.
pub(crate) fn is_run(path: &str) -> bool {
    let mut parts = path.split('/').skip(2);
    parts.next() == Some("projects") && parts.nth(1) == Some("locations")
}

/// Answers a call.
pub(crate) async fn serve(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    match call(&simulator, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn call(simulator: &Arc<Simulator>, request: Request<Body>) -> Result<Value> {
    auth::check(simulator, request.headers())?;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let Some((location, resource, verb)) = names::parse(path) else { return Err(no_method(path)) };
    simulator.project(&location.project, "run.googleapis.com")?;
    if location.region != simulator.config.region {
        let message = format!("Location {} is not found or access is unauthorized.", location.region);
        return Err(ApiError::new(Code::PermissionDenied, message));
    }
    let body = axum::body::to_bytes(body, limits::JSON_BODY).await.map_err(|_| {
        ApiError::new(Code::InvalidArgument, "Request payload size exceeds the limit: 10485760 bytes.")
    })?;
    let Some(id) = method_id(&parts.method, &resource, verb.as_deref()) else { return Err(no_method(path)) };
    let id = format!("run.projects.locations.{id}");
    let api = schema::run();
    let query = api.query(&id, parts.uri.query())?;
    let root = if id.ends_with("jobs.create") || id.ends_with("jobs.patch") { "job" } else { "" };
    let body = api.request(&id, root, &body)?;
    match (resource, verb.as_deref(), parts.method) {
        (Resource::Jobs, None, Method::POST) => jobs::create(simulator, &location, &query, body),
        (Resource::Jobs, _, _) => jobs::list(simulator, &location, &query),
        (Resource::Job(job), Some(_), _) => jobs::run(simulator, &location, &job, &body),
        (Resource::Job(job), None, Method::GET) => jobs::get(simulator, &location, &job),
        (Resource::Job(job), None, Method::PATCH) => jobs::patch(simulator, &location, &job, &query, body),
        (Resource::Job(job), None, _) => jobs::delete(simulator, &location, &job, &query),
        (Resource::Executions(job), _, _) => executions::list(simulator, &location, &job, &query),
        (Resource::Execution(job, name), Some(_), _) => {
            executions::cancel(simulator, &location, &job, &name, &body)
        }
        (Resource::Execution(job, name), None, Method::GET) => {
            executions::get(simulator, &location, &job, &name)
        }
        (Resource::Execution(job, name), None, _) => {
            executions::delete(simulator, &location, &job, &name, &query)
        }
        (Resource::Tasks(job, execution), _, _) => {
            tasks::list(simulator, &location, (&job, &execution), &query)
        }
        (Resource::Task(job, execution, name), _, _) => {
            tasks::get(simulator, &location, (&job, &execution), &name)
        }
        (Resource::Operations, _, _) => operations::list(simulator, &location, &query),
        (Resource::Operation(operation), Some(_), _) => {
            operations::wait(simulator, &location, &operation, &body).await
        }
        (Resource::Operation(operation), None, Method::GET) => {
            operations::get(simulator, &location, &operation)
        }
        (Resource::Operation(operation), None, _) => operations::delete(simulator, &location, &operation),
    }
}

/// The method's id in the discovery document, behind `run.projects.locations.`.
fn method_id(method: &Method, resource: &Resource, verb: Option<&str>) -> Option<&'static str> {
    Some(match (method.as_str(), resource, verb) {
        ("POST", Resource::Jobs, None) => "jobs.create",
        ("GET", Resource::Jobs, None) => "jobs.list",
        ("GET", Resource::Job(_), None) => "jobs.get",
        ("PATCH", Resource::Job(_), None) => "jobs.patch",
        ("DELETE", Resource::Job(_), None) => "jobs.delete",
        ("POST", Resource::Job(_), Some("run")) => "jobs.run",
        ("GET", Resource::Executions(_), None) => "jobs.executions.list",
        ("GET", Resource::Execution(..), None) => "jobs.executions.get",
        ("DELETE", Resource::Execution(..), None) => "jobs.executions.delete",
        ("POST", Resource::Execution(..), Some("cancel")) => "jobs.executions.cancel",
        ("GET", Resource::Tasks(..), None) => "jobs.executions.tasks.list",
        ("GET", Resource::Task(..), None) => "jobs.executions.tasks.get",
        ("GET", Resource::Operations, None) => "operations.list",
        ("GET", Resource::Operation(_), None) => "operations.get",
        ("DELETE", Resource::Operation(_), None) => "operations.delete",
        ("POST", Resource::Operation(_), Some("wait")) => "operations.wait",
        _ => return None,
    })
}

fn no_method(path: &str) -> ApiError {
    ApiError::new(
        Code::NotFound,
        format!("Method not found: no method of Cloud Run v2 that is simulated answers at {path}."),
    )
}

/// After a start: what was running when the last process ended is over.
pub(crate) fn recover(simulator: &Arc<Simulator>) -> rusqlite::Result<()> {
    let db = &simulator.db;
    for name in store::open(db, store::Kind::Execution)? {
        if let Err(error) = executions::lost(simulator, &name) {
            tracing::error!(%error, name, "an execution of the last process cannot be closed");
        }
    }
    for name in store::open(db, store::Kind::Job)? {
        if let Err(error) = reconcile::lost(simulator, &name) {
            tracing::error!(%error, name, "a job of the last process cannot be closed");
        }
    }
    for name in store::open(db, store::Kind::Operation)? {
        if let Err(error) = operations::lost(simulator, &name) {
            tracing::error!(%error, name, "an operation of the last process cannot be closed");
        }
    }
    Ok(())
}
