//! `entries.write` and `entries.list`.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::store::{self, EXECUTION, Entry, Narrowing, NewEntry, Position, Source};
use super::{Message, insert_id};
use crate::error::{ApiError, Code, Result};
use crate::server::Simulator;
use crate::{auth, limits, time};

/// Severities with their numbers.
const SEVERITIES: &[(&str, u16)] = &[
    ("DEFAULT", 0),
    ("DEBUG", 100),
    ("INFO", 200),
    ("NOTICE", 300),
    ("WARNING", 400),
    ("ERROR", 500),
    ("CRITICAL", 600),
    ("ALERT", 700),
    ("EMERGENCY", 800),
];

/// The number of a severity's name, in any case.
pub fn severity_number(name: &str) -> Option<u16> {
    SEVERITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

fn severity_name(number: u16) -> &'static str {
    SEVERITIES.iter().rev().find(|(_, known)| *known <= number).map_or("DEFAULT", |(name, _)| name)
}

/// Splits `projects/P/logs/L`, where the log's id is URL-encoded.
fn log_name(name: &str) -> Result<(&str, &str)> {
    let parts: Vec<&str> = name.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["projects", project, "logs", log] if !log.is_empty() && log.len() < 512 => Ok((project, log)),
        _ => Err(ApiError::field(
            "logName",
            format!("Invalid log name {name:?}: expected projects/[PROJECT_ID]/logs/[LOG_ID]."),
        )),
    }
}

/// `entries.write`
pub async fn write(simulator: &Simulator, body: &Value) -> Result<Value> {
    let entries = body["entries"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if entries.is_empty() {
        return Err(ApiError::field("entries", "Log entries must be set."));
    }
    if entries.len() > limits::LOG_WRITE {
        return Err(ApiError::field("entries", format!("At most {} entries per call.", limits::LOG_WRITE)));
    }
    let now = time::to_nanos(time::now());
    let new: Vec<NewEntry> =
        entries.iter().map(|entry| new_entry(simulator, body, entry, now)).collect::<Result<_>>()?;
    if body["dryRun"] != true {
        // The writer ends with the runtime alone.
        if simulator.logging.sender.send(Message::Entries(new)).await.is_err() {
            return Err(ApiError::new(Code::Internal, "The log's writer is gone."));
        }
        simulator.logging.flush().await;
    }
    Ok(json!({}))
}

fn new_entry(simulator: &Simulator, body: &Value, entry: &Value, now: i64) -> Result<NewEntry> {
    let pick = |field: &str| if entry[field].is_null() { body[field].clone() } else { entry[field].clone() };
    let name = pick("logName");
    let (project, log) = log_name(name.as_str().unwrap_or_default())?;
    simulator.project(project, "logging.googleapis.com")?;
    let mut resource = pick("resource");
    if resource["type"].as_str().is_none_or(str::is_empty) {
        return Err(ApiError::field("resource", "A monitored resource must be specified."));
    }
    if resource["labels"]["project_id"].is_null() {
        if !resource["labels"].is_object() {
            resource["labels"] = json!({});
        }
        resource["labels"]["project_id"] = json!(project);
    }
    let mut labels: Map<String, Value> = body["labels"].as_object().cloned().unwrap_or_default();
    labels.extend(entry["labels"].as_object().cloned().unwrap_or_default());
    let payloads = ["textPayload", "jsonPayload", "protoPayload"];
    if payloads.iter().filter(|payload| !entry[**payload].is_null()).count() > 1 {
        return Err(ApiError::field("entries", "Only one payload may be set."));
    }
    let mut rest = entry.as_object().cloned().unwrap_or_default();
    for field in ["logName", "resource", "labels", "timestamp", "insertId", "severity"] {
        rest.remove(field);
    }
    let stamp = entry["timestamp"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let source = Source {
        project: project.to_owned(),
        log: log.to_owned(),
        execution: labels.get(EXECUTION).and_then(Value::as_str).unwrap_or_default().to_owned(),
        resource: resource.to_string(),
        labels: Value::Object(labels).to_string(),
    };
    let given = entry["insertId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(NewEntry {
        source: Arc::new(source),
        time: stamp.map_or(now, time::to_nanos),
        received: now,
        insert_id: given.unwrap_or_else(|| insert_id(&simulator.logging.sequence)),
        severity: entry["severity"].as_str().and_then(severity_number).unwrap_or_default(),
        rest: Value::Object(rest).to_string(),
    })
}

/// `entries.list`
pub async fn list(simulator: &Simulator, body: &Value) -> Result<Value> {
    let projects = projects(simulator, body)?;
    let filter = Filter::parse(body["filter"].as_str().unwrap_or_default())?;
    let descending = match body["orderBy"].as_str().unwrap_or_default().trim() {
        "" | "timestamp" | "timestamp asc" => false,
        "timestamp desc" => true,
        other => {
            return Err(ApiError::field(
                "order_by",
                format!("Invalid order_by {other:?}: expected 'timestamp asc' or 'timestamp desc'."),
            ));
        }
    };
    let size = match body["pageSize"].as_i64().unwrap_or_default() {
        0 => 50,
        size => usize::try_from(size)
            .map_err(|_| ApiError::field("page_size", "page_size must not be negative."))?
            .min(limits::OBJECT_PAGE),
    };
    let mut after =
        body["pageToken"].as_str().filter(|token| !token.is_empty()).map(read_token).transpose()?;
    let logging = &simulator.logging;
    logging.lists.take(Instant::now()).map_err(|after| {
        let consumer = format!("projects/{}", auth::project_number(&projects[0]));
        ApiError::quota("logging.googleapis.com/read_requests", logging.lists.limit(), &consumer, after)
    })?;
    if projects.len() > 1 {
        return Err(ApiError::new(
            Code::Unimplemented,
            "The simulator lists entries of one project at a time.",
        ));
    }
    let bounds = filter.bounds();
    let narrowing = Narrowing {
        from: bounds.from,
        to: bounds.to,
        execution: bounds.execution,
        now: time::to_nanos(time::now()),
    };
    let mut found = Vec::new();
    let mut more = true;
    while more && found.len() < size {
        let block = store::read(
            &logging.db,
            &projects[0],
            &narrowing,
            after.as_ref(),
            descending,
            limits::OBJECT_PAGE,
        )?;
        more = block.len() == limits::OBJECT_PAGE;
        for entry in block {
            if found.len() == size {
                more = true;
                break;
            }
            after = Some(Position { time: entry.time, insert_id: entry.insert_id.clone(), id: entry.id });
            let entry = resource(entry);
            if filter.matches(&entry) {
                found.push(entry);
            }
        }
        // Others want to run between blocks of a long search.
        tokio::task::yield_now().await;
    }
    let mut page = json!({});
    if !found.is_empty() {
        page["entries"] = json!(found);
    }
    if let (true, Some(position)) = (more, after) {
        page["nextPageToken"] = json!(write_token(&position));
    }
    Ok(page)
}

fn projects(simulator: &Simulator, body: &Value) -> Result<Vec<String>> {
    let names = body["resourceNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ids = body["projectIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut projects = Vec::new();
    for project in names.map(|name| name.strip_prefix("projects/").unwrap_or(name)).chain(ids) {
        // `projects/P/locations/…/views/…` is a view of the same entries.
        let project = project.split('/').next().unwrap_or_default();
        simulator.project(project, "logging.googleapis.com")?;
        if !projects.iter().any(|known| known == project) {
            projects.push(project.to_owned());
        }
    }
    if projects.is_empty() {
        return Err(ApiError::field("resource_names", "At least one resource name must be set."));
    }
    Ok(projects)
}

/// The entry's resource.
fn resource(entry: Entry) -> Value {
    let mut resource = Value::Object(entry.rest);
    resource["logName"] = json!(format!("projects/{}/logs/{}", entry.project, entry.log));
    resource["resource"] = entry.resource;
    if entry.labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        resource["labels"] = entry.labels;
    }
    resource["timestamp"] = json!(time::nanos(time::from_nanos(entry.time)));
    resource["receiveTimestamp"] = json!(time::nanos(time::from_nanos(entry.received)));
    resource["insertId"] = json!(entry.insert_id);
    if entry.severity > 0 {
        resource["severity"] = json!(severity_name(entry.severity));
    }
    resource
}

fn write_token(position: &Position) -> String {
    STANDARD.encode(format!("{} {} {}", position.time, position.id, position.insert_id))
}

fn read_token(token: &str) -> Result<Position> {
    let read = || {
        let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let (time, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Position { time, id, insert_id: parts.next()?.to_owned() })
    };
    read().ok_or_else(|| ApiError::field("page_token", "page_token is invalid."))
}
