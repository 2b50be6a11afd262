use std::cell::Cell;

use sockerless_plugin_sdk::{Response, testing::response};

use super::*;
use crate::testing::{config, plugin};

fn handle() -> Handle {
    Handle { name: "a".into(), state: String::new(), started: true }
}

/// A log of (time, insertId) that answers as `entries.list` does.
fn serving(log: Vec<(&'static str, &'static str)>) -> impl Fn(&Request) -> Response {
    move |request| {
        let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        let from = body["filter"]
            .as_str()
            .unwrap()
            .split("timestamp>=\"")
            .nth(1)
            .unwrap_or("")
            .trim_end_matches('"');
        let size = usize::try_from(body["pageSize"].as_u64().unwrap()).unwrap();
        let skip: usize = body["pageToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let fitting: Vec<_> = log.iter().filter(|(time, _)| *time >= from).collect();
        let entries: Vec<_> = fitting
            .iter()
            .skip(skip)
            .take(size)
            .map(|(time, id)| {
                json!({"timestamp": time, "insertId": id, "textPayload": format!("{id}\n"),
                "logName": "projects/proj/logs/run.googleapis.com%2Fstdout"})
            })
            .collect();
        let mut answer = json!({"entries": entries});
        if fitting.len() > skip + size {
            answer["nextPageToken"] = json!((skip + size).to_string());
        }
        response(200, answer)
    }
}

fn read_all(log: Vec<(&'static str, &'static str)>, limit: u32) -> Vec<String> {
    let (plugin, _) = plugin(serving(log));
    let (mut cursor, mut lines) = (None, Vec::new());
    loop {
        let page = page(&plugin, &handle(), cursor.as_deref(), limit).unwrap();
        assert!(page.entries.len() <= limit as usize);
        if page.entries.is_empty() {
            return lines;
        }
        lines.extend(page.entries.into_iter().map(|entry| String::from_utf8(entry.line).unwrap()));
        cursor = Some(page.next);
    }
}

const T1: &str = "2026-01-01T00:00:00.000000001Z";
const T2: &str = "2026-01-01T00:00:00.000000002Z";

#[test]
fn entries_of_one_time_are_neither_lost_nor_doubled() {
    let log = vec![(T1, "a"), (T1, "b"), (T1, "c"), (T2, "d"), (T2, "e")];
    for limit in 1..=6 {
        assert_eq!(read_all(log.clone(), limit), ["a", "b", "c", "d", "e"], "limit {limit}");
    }
}

#[test]
fn a_late_entry_of_the_time_read_last_is_found() {
    let round = Cell::new(0);
    let (plugin, _) = plugin(move |request| {
        round.set(round.get() + 1);
        let log = if round.get() == 1 { vec![(T1, "b")] } else { vec![(T1, "a"), (T1, "b")] };
        serving(log)(request)
    });
    let first = page(&plugin, &handle(), None, 10).unwrap();
    let second = page(&plugin, &handle(), Some(&first.next), 10).unwrap();
    assert_eq!(second.entries.iter().map(|entry| entry.line.clone()).collect::<Vec<_>>(), [b"a".to_vec()]);
}

#[test]
fn the_filter_names_the_logs_and_the_place() {
    let place = Place { time: T1.into(), seen: vec![] };
    assert_eq!(
        filter(&config(), "a-run", &place),
        format!(
            "resource.type=\"cloud_run_job\" AND labels.\"run.googleapis.com/execution_name\"=\"a-run\" AND \
             (logName=\"projects/proj/logs/run.googleapis.com%2Fstdout\" OR \
             logName=\"projects/proj/logs/run.googleapis.com%2Fstderr\") AND timestamp>=\"{T1}\""
        )
    );
    let own = Config { log_id: Some("my/log".into()), ..config() };
    assert!(filter(&own, "a", &Place::default()).ends_with("AND logName=\"projects/proj/logs/my%2Flog\""));
}

#[test]
fn outputs_stay_apart_and_json_lines_come_back_as_text() {
    let entry = |value: Value| line(serde_json::from_value(value).unwrap());
    let stderr = entry(
        json!({"logName": "projects/p/logs/run.googleapis.com%2Fstderr", "textPayload": "x", "timestamp": T1}),
    );
    assert_eq!((stderr.output, stderr.line), (Output::Stderr, b"x".to_vec()));
    let parsed =
        entry(json!({"logName": "projects/p/logs/run.googleapis.com%2Fstdout", "jsonPayload": {"a": 1}}));
    assert_eq!((parsed.output, parsed.line), (Output::Stdout, br#"{"a":1}"#.to_vec()));
    let own = entry(json!({"logName": "projects/p/logs/mine", "severity": "ERROR", "textPayload": "y"}));
    assert_eq!(own.output, Output::Stderr);
}

#[test]
fn a_job_that_was_not_started_has_no_log_and_costs_no_call() {
    let (plugin, host) = plugin(|_| response(500, ""));
    let page = page(&plugin, &Handle { started: false, ..handle() }, None, 10).unwrap();
    assert!(page.entries.is_empty() && page.poll_after_ms >= 1000);
    assert!(host.requests().is_empty());
}

#[test]
fn a_foreign_cursor_is_refused() {
    let (plugin, _) = plugin(|_| response(200, "{}"));
    assert!(page(&plugin, &handle(), Some("abc"), 10).is_err());
}
