use serde_json::{Value, json};

use super::*;

fn entry() -> Value {
    json!({
        "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_job", "labels": {"job_name": "web", "location": "r"}},
        "labels": {"run.googleapis.com/execution_name": "web-abc", "plain": "x"},
        "timestamp": "2026-11-22T16:00:00.123456789Z",
        "insertId": "0005",
        "severity": "WARNING",
        "textPayload": "Hello world",
        "jsonPayload": {"count": 7, "deep": {"ok": true}, "list": [{"a": "b"}]},
    })
}

fn matches(filter: &str) -> bool {
    Filter::parse(filter).unwrap().matches(&entry())
}

#[test]
fn the_filter_of_the_plugin_finds_its_lines() {
    assert!(matches(
        r#"resource.type="cloud_run_job" AND labels."run.googleapis.com/execution_name"="web-abc"
           AND (logName="projects/p/logs/run.googleapis.com%2Fstdout" OR logName="projects/p/logs/run.googleapis.com%2Fstderr")
           AND (timestamp > "2026-11-22T16:00:00.123456788Z" OR (timestamp="2026-11-22T16:00:00.123456789Z" AND insertId > "0004"))"#
    ));
}

#[test]
fn comparisons_do_what_cloud_logging_says() {
    for yes in [
        "",
        "severity>=WARNING",
        "severity=warning",
        "severity<ERROR",
        "textPayload:hello",
        "textPayload=\"hello WORLD\"",
        "labels.plain=x",
        "resource.labels.job_name=(web OR other)",
        "jsonPayload.count>6.5",
        "jsonPayload.deep.ok=true",
        "jsonPayload.list.a=b",
        "labels.plain:*",
        "timestamp>=\"2026-11-22\"",
        "log_id(\"run.googleapis.com/stdout\")",
        "\"world\"",
        "world",
        "insertId!=0004",
        "-textPayload:absent",
        "NOT labels.missing:*",
        "textPayload:hello -- a comment\nlabels.plain=x",
    ] {
        assert!(matches(yes), "{yes}");
    }
    for no in [
        "severity>WARNING",
        "textPayload=hello",
        "labels.missing=x",
        "labels.missing!=x",
        "jsonPayload.count<7",
        "timestamp<\"2026-11-22T16:00:00.123456789Z\"",
        "absent",
        "NOT world",
        "resource.labels.job_name=(a OR b)",
    ] {
        assert!(!matches(no), "{no}");
    }
}

#[test]
fn or_binds_closer_than_and() {
    assert!(!matches("insertId=0005 OR insertId=0006 AND absent"));
    assert!(matches("absent OR insertId=0005 AND world OR absent"));
    assert!(matches("(absent AND absent) OR world"));
    assert!(matches("insertId=0005 world"));
}

#[test]
fn bounds_come_from_what_must_hold_alone() {
    let bounds = |filter: &str| Filter::parse(filter).unwrap().bounds();
    let narrow = bounds(
        r#"labels."run.googleapis.com/execution_name"="web-abc" timestamp>="1970-01-01T00:00:01Z" timestamp<"1970-01-01T00:00:02Z""#,
    );
    assert_eq!(narrow, Bounds { from: 1_000_000_000, to: 2_000_000_000, execution: Some("web-abc".into()) });
    let wide = bounds(
        r#"timestamp>="2026-01-01T00:00:00Z" OR labels."run.googleapis.com/execution_name"="web-abc""#,
    );
    assert_eq!(wide, Bounds { from: i64::MIN, to: i64::MAX, execution: None });
}

#[test]
fn a_broken_filter_is_refused() {
    for filter in
        ["a=", "(a", "a)", "a=\"x", "AND", "a OR", "a=~\"x\"", "sample(a, 1)", "=x", &"(".repeat(200)]
    {
        let error = Filter::parse(filter).unwrap_err();
        assert!(error.message.starts_with("Unparseable filter: "), "{filter}: {error}");
    }
}
