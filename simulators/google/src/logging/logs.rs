//! `logs.list` and `logs.delete`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::store;
use crate::error::{ApiError, Code, Result};
use crate::limits;
use crate::schema::Query;
use crate::server::Simulator;

/// `projects.logs.list`
pub fn list(simulator: &Simulator, project: &str, query: &Query) -> Result<Value> {
    let size = match query.number("pageSize") {
        None | Some(0) => limits::PAGE,
        Some(size) => usize::try_from(size)
            .map_err(|_| ApiError::field("page_size", "page_size must not be negative."))?
            .min(limits::OBJECT_PAGE),
    };
    let after = match query.text("pageToken") {
        Some(token) => STANDARD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| ApiError::field("page_token", "page_token is invalid."))?,
        None => String::new(),
    };
    let logs = store::logs(&simulator.logging.db, project, &after, size + 1)?;
    let mut page = json!({});
    if logs.len() > size {
        page["nextPageToken"] = json!(STANDARD.encode(&logs[size - 1]));
    }
    let names: Vec<String> =
        logs.iter().take(size).map(|log| format!("projects/{project}/logs/{log}")).collect();
    if !names.is_empty() {
        page["logNames"] = json!(names);
    }
    Ok(page)
}

/// `projects.logs.delete`
pub fn delete(simulator: &Simulator, project: &str, log: &str) -> Result<Value> {
    if store::delete(&simulator.logging.db, project, log)? {
        return Ok(json!({}));
    }
    Err(ApiError::new(Code::NotFound, format!("Log projects/{project}/logs/{log} does not exist")))
}
