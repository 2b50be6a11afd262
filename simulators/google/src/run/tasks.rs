//! The `tasks` of an execution.

use serde_json::Value;

use super::names::{Location, not_found};
use super::store::{self, Kind};
use super::{executions, operations};
use crate::error::Result;
use crate::schema::Query;
use crate::server::Simulator;

/// `tasks.get`. `of` is job and execution.
pub fn get(simulator: &Simulator, location: &Location, of: (&str, &str), id: &str) -> Result<Value> {
    let name = format!("{}/executions/{}/tasks/{id}", location.job(of.0), of.1);
    store::get(&simulator.db, &name)?.ok_or_else(|| not_found(location, "TASK", id))
}

/// `tasks.list`. `of` is job and execution.
pub fn list(simulator: &Simulator, location: &Location, of: (&str, &str), query: &Query) -> Result<Value> {
    let execution = executions::get(simulator, location, of.0, of.1)?;
    let parent = execution["name"].as_str().unwrap_or_default();
    let size = query.number("pageSize").unwrap_or_default();
    let (tasks, next) = store::list(&simulator.db, Kind::Task, parent, size, query.text("pageToken"))?;
    Ok(operations::page("tasks", tasks, next))
}
