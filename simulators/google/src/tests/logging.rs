//! Entries and logs.

use serde_json::{Value, json};

use super::fake::Fake;
use super::{Cloud, Refused as _};

async fn write(cloud: &Cloud, entries: Value) {
    let body = json!({
        "logName": "projects/sim-project/logs/app",
        "resource": {"type": "global"},
        "labels": {"common": "yes"},
        "entries": entries,
    });
    cloud.ok("POST", "/v2/entries:write", body).await;
}

fn texts(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().into_iter().flatten();
    entries.map(|entry| entry["textPayload"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn entries_come_in_the_order_of_time_and_insert_id_page_by_page() {
    let cloud = Cloud::start().await;
    let at = |time: &str, id: &str| json!({"timestamp": format!("2026-11-22T16:00:0{time}Z"), "insertId": id, "textPayload": id});
    write(&cloud, json!([at("2", "d"), at("1", "b"), at("1", "a"), at("1.000000001", "c")])).await;
    let list = async |order: &str, token: &Value| {
        let mut body = json!({"resourceNames": ["projects/sim-project"], "orderBy": order, "pageSize": 3});
        if token.is_string() {
            body["pageToken"] = token.clone();
        }
        cloud.ok("POST", "/v2/entries:list", body).await
    };
    let first = list("timestamp asc", &Value::Null).await;
    assert_eq!(texts(&first), ["a", "b", "c"]);
    let second = list("timestamp asc", &first["nextPageToken"]).await;
    assert_eq!((texts(&second), &second["nextPageToken"]), (vec!["d".to_owned()], &Value::Null));
    let down = list("timestamp desc", &Value::Null).await;
    assert_eq!(texts(&down), ["d", "c", "b"]);
    assert_eq!(texts(&list("timestamp desc", &down["nextPageToken"]).await), ["a"]);
}

#[tokio::test]
async fn an_entry_keeps_its_fields_and_takes_the_calls_defaults() {
    let cloud = Cloud::start().await;
    write(
        &cloud,
        json!([{"jsonPayload": {"n": 1}, "severity": 500, "labels": {"own": "too"}, "trace": "t"}]),
    )
    .await;
    let entry = &cloud.entries("jsonPayload.n=1").await[0];
    assert_eq!(entry["labels"], json!({"common": "yes", "own": "too"}));
    assert_eq!((&entry["severity"], &entry["trace"]), (&json!("ERROR"), &json!("t")));
    assert_eq!(entry["resource"], json!({"type": "global", "labels": {"project_id": "sim-project"}}));
    assert!(
        entry["insertId"].is_string()
            && entry["timestamp"].is_string()
            && entry["receiveTimestamp"].is_string()
    );
}

#[tokio::test]
async fn reading_has_a_quota_of_its_own() {
    let cloud = Cloud::with(Fake::default(), |config| config.quotas.entries_list_per_minute = 1).await;
    let body = json!({"resourceNames": ["projects/sim-project"]});
    cloud.ok("POST", "/v2/entries:list", body.clone()).await;
    let second = cloud.call("POST", "/v2/entries:list", body).await;
    assert_eq!(second.error().1, "RESOURCE_EXHAUSTED");
    assert!(!second.header("retry-after").is_empty());
}

#[tokio::test]
async fn wrong_requests_are_refused_with_the_field() {
    let cloud = Cloud::start().await;
    for (path, body, message) in [
        (
            "/v2/entries:list",
            json!({"resourceNames": ["projects/sim-project"], "filter": "a="}),
            "Unparseable filter",
        ),
        (
            "/v2/entries:list",
            json!({"resourceNames": ["projects/sim-project"], "orderBy": "severity"}),
            "Invalid order_by",
        ),
        ("/v2/entries:list", json!({}), "At least one resource name"),
        ("/v2/entries:list", json!({"filters": "x"}), "Unknown name \"filters\": Cannot find field."),
        ("/v2/entries:write", json!({"entries": []}), "Log entries must be set"),
        ("/v2/entries:write", json!({"entries": [{"logName": "x", "textPayload": "y"}]}), "Invalid log name"),
        ("/v2/entries:write", json!({"entries": [{"timestamp": "yesterday"}]}), "Invalid time format"),
    ] {
        let (status, word, text) = cloud.call("POST", path, body).await.error();
        assert_eq!((status, word.as_str()), (400, "INVALID_ARGUMENT"));
        assert!(text.contains(message), "{text}");
    }
    let foreign = cloud.call("POST", "/v2/entries:list", json!({"resourceNames": ["projects/other"]})).await;
    assert_eq!(foreign.error().1, "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_log_can_be_listed_and_deleted() {
    let cloud = Cloud::start().await;
    write(&cloud, json!([{"textPayload": "x"}])).await;
    let logs = cloud.get("/v2/projects/sim-project/logs").await;
    assert_eq!(logs, json!({"logNames": ["projects/sim-project/logs/app"]}));
    cloud.ok("DELETE", "/v2/projects/sim-project/logs/app", Value::Null).await;
    assert!(cloud.entries("").await.is_empty());
    assert_eq!(cloud.call("DELETE", "/v2/projects/sim-project/logs/app", Value::Null).await.status, 404);
}
