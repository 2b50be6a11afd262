//! The output of a job, from Cloud Logging: for after its end, or without an agent. Entries arrive late,
//! and many have the same time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, Request, Result,
    jobs::{Handle, LogEntry, LogPage, Output},
    time, url,
};

use crate::{CloudRun, jobs::State, limits, settings::Config};

/// Where a reading goes on: at a time, without the entries of that very time that were
/// read already. So those that share a time are neither lost nor doubled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As Google wrote it: nanoseconds count.
    #[serde(rename = "t")]
    time: String,
    /// The `insertId`s that were read at that time.
    #[serde(rename = "i")]
    seen: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    entries: Vec<Entry>,
    next_page_token: String,
}

/// `LogEntry`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    insert_id: String,
    log_name: String,
    severity: String,
    timestamp: String,
    receive_timestamp: String,
    text_payload: Option<String>,
    json_payload: Option<Value>,
    labels: BTreeMap<String, String>,
}

/// Reads on.
///
/// # Errors
/// `invalid-argument` for a cursor of somebody else; the provider's.
pub fn page(plugin: &CloudRun, handle: &Handle, cursor: Option<&str>, limit: u32) -> Result<LogPage> {
    let mut place = Place::read(cursor)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, limits::LOG_PAGE_MAX);
    let mut entries = Vec::new();
    let mut more = false;
    if handle.started {
        let execution = State::of(handle)?.execution_name(&handle.name);
        let filter = filter(&plugin.config, &execution, &place);
        // As many as were asked for must fit beside those that are skipped.
        let size = (limit + place.seen.len()).min(limits::LOG_PAGE_MAX);
        let mut token = String::new();
        for _ in 0..limits::LOG_PAGES {
            let answer = list(plugin, &filter, size, &token)?;
            let read = take(answer.entries, &mut place, limit - entries.len(), &mut entries);
            token = answer.next_page_token;
            more = !read || !token.is_empty();
            if entries.len() >= limit || token.is_empty() {
                break;
            }
        }
    }
    // Strings are always JSON.
    let next = serde_json::to_string(&place).unwrap_or_default();
    let poll_after_ms = if more { limits::LOG_NEXT_PAGE_MS } else { limits::LOG_POLL_MS };
    Ok(LogPage { entries, next, poll_after_ms, lag_ms: limits::LOG_LAG_MS })
}

impl Place {
    fn read(cursor: Option<&str>) -> Result<Self> {
        match cursor.filter(|cursor| !cursor.is_empty()) {
            None => Ok(Self::default()),
            Some(cursor) => serde_json::from_str(cursor).map_err(|error| {
                Error::invalid(format!("this is no cursor of this plugin's logs ({error})"))
            }),
        }
    }

    fn has(&self, entry: &Entry) -> bool {
        entry.timestamp == self.time && self.seen.contains(&entry.insert_id)
    }

    fn advance(&mut self, entry: &Entry) {
        if entry.timestamp != self.time {
            self.time.clone_from(&entry.timestamp);
            self.seen.clear();
        }
        self.seen.push(entry.insert_id.clone());
    }
}

fn list(plugin: &CloudRun, filter: &str, size: usize, token: &str) -> Result<Answer> {
    let mut body = json!({
        "resourceNames": [format!("projects/{}", plugin.config.project)],
        "filter": filter,
        "orderBy": "timestamp asc",
        "pageSize": size,
    });
    if !token.is_empty() {
        body["pageToken"] = json!(token);
    }
    let answer =
        plugin.send(Request::post(format!("{}/v2/entries:list", plugin.config.logging)).json(&body))?;
    plugin.check("reading the log", &answer)?;
    answer.json()
}

/// Takes what is new, up to `room` entries. False when some of the page had no room.
fn take(page: Vec<Entry>, place: &mut Place, room: usize, out: &mut Vec<LogEntry>) -> bool {
    let mut left = room;
    for mut entry in page {
        if entry.timestamp.is_empty() {
            entry.timestamp.clone_from(&entry.receive_timestamp);
        }
        if place.has(&entry) {
            continue;
        }
        if left == 0 {
            return false;
        }
        left -= 1;
        place.advance(&entry);
        out.push(line(entry));
    }
    true
}

fn line(entry: Entry) -> LogEntry {
    let text = match (entry.text_payload, entry.json_payload) {
        (Some(text), _) => text,
        // A line that is JSON arrives parsed.
        (None, Some(json)) => json.to_string(),
        (None, None) => String::new(),
    };
    let errors =
        entry.log_name.ends_with("stderr") || entry.labels.get("stream").is_some_and(|s| s == "stderr");
    let own = entry.log_name.contains("run.googleapis.com");
    let grave = matches!(entry.severity.as_str(), "ERROR" | "CRITICAL" | "ALERT" | "EMERGENCY");
    let output = if errors || (!own && grave) { Output::Stderr } else { Output::Stdout };
    LogEntry {
        time: time::parse_rfc3339(&entry.timestamp).unwrap_or_default(),
        output,
        line: text.strip_suffix('\n').unwrap_or(&text).as_bytes().to_vec(),
    }
}

/// Audit logs carry the same resource and labels: without the names of the logs they would
/// match too.
fn filter(config: &Config, execution: &str, place: &Place) -> String {
    let log = |id: &str| format!("logName=\"projects/{}/logs/{}\"", config.project, url::encode(id));
    let logs = match &config.log_id {
        Some(id) => log(id),
        None => format!("({} OR {})", log("run.googleapis.com/stdout"), log("run.googleapis.com/stderr")),
    };
    let mut filter = format!(
        "resource.type=\"cloud_run_job\" AND labels.\"run.googleapis.com/execution_name\"=\"{execution}\" AND {logs}"
    );
    if !place.time.is_empty() {
        filter = format!("{filter} AND timestamp>=\"{}\"", place.time);
    }
    filter
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
