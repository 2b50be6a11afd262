use std::cell::Cell;

use serde_json::Value;
use sockerless_plugin_sdk::{ErrorCode, Method, testing::response};

use super::*;
use crate::testing::plugin;

const BUCKET: &str = "https://storage.googleapis.com/storage/v1/b/sockerless-proj-us-central1";

#[test]
fn a_missing_bucket_is_made_and_the_upload_repeated() {
    let made = Cell::new(false);
    let (plugin, host) = plugin(move |request| {
        if request.url.ends_with("/storage/v1/b?project=proj") {
            made.set(true);
            return response(200, "{}");
        }
        if made.get() {
            response(200, json!({"size": "2"}))
        } else {
            response(404, json!({"error": {"code": 404}}))
        }
    });
    plugin.put("agent/12/agent".into(), b"ok".to_vec()).unwrap();
    let requests = host.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[0].url,
        "https://storage.googleapis.com/upload/storage/v1/b/sockerless-proj-us-central1/o?uploadType=media&name=agent%2F12%2Fagent"
    );
    assert_eq!(requests[0].credential.as_deref(), Some("google"));
    let bucket: Value = serde_json::from_slice(requests[1].body.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&bucket["location"], &bucket["labels"]["managed-by"]),
        (&json!("us-central1"), &json!("sockerless"))
    );
}

#[test]
fn a_name_that_somebody_else_has_ends_in_googles_refusal() {
    let (plugin, host) = plugin(|request| {
        let status = if request.url.contains("/upload/") { 404 } else { 409 };
        response(status, json!({"error": {"code": status, "message": "no such bucket"}}))
    });
    let error = plugin.put("a".into(), vec![]).unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("no such bucket"));
    assert_eq!(host.requests().len(), 3);
}

#[test]
fn an_upload_that_arrived_short_is_an_error() {
    let (plugin, _) = plugin(|_| response(200, json!({"size": "1"})));
    assert_eq!(plugin.put("a".into(), b"ab".to_vec()).unwrap_err().code, ErrorCode::Unavailable);
}

#[test]
fn a_part_of_a_blob_is_asked_for_by_range() {
    let (plugin, host) = plugin(|_| response(206, "cd"));
    assert_eq!(plugin.get("a b".into(), 2, 2).unwrap(), b"cd");
    let request = &host.requests()[0];
    assert_eq!(request.url, format!("{BUCKET}/o/a%20b?alt=media"));
    assert!(request.headers.contains(&("range".into(), "bytes=2-3".into())));
}

#[test]
fn a_server_that_ignores_the_range_makes_no_difference() {
    let (plugin, _) = plugin(|_| response(200, "abcdef"));
    assert_eq!(plugin.get("a".into(), 2, 2).unwrap(), b"cd");
    assert_eq!(plugin.get("a".into(), 9, 2).unwrap(), b"");
}

#[test]
fn beyond_the_end_there_is_nothing_and_without_a_blob_an_error() {
    let (plugin, _) =
        plugin(|request| response(if request.url.contains("/o/long") { 416 } else { 404 }, "{}"));
    assert_eq!(plugin.get("long".into(), 99, 1).unwrap(), b"");
    assert_eq!(plugin.get("none".into(), 0, 1).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(plugin.get("none".into(), 0, 0).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(plugin.stat("none".into()).unwrap(), None);
    plugin.delete_blob("none".into()).unwrap();
}

#[test]
fn a_blob_is_described() {
    let (plugin, _) =
        plugin(|_| response(200, json!({"name": "a", "size": "12", "updated": "1970-01-01T00:00:01Z"})));
    assert_eq!(
        plugin.stat("a".into()).unwrap(),
        Some(BlobInfo { path: "a".into(), size: 12, modified: Some(1000) })
    );
}

#[test]
fn blobs_are_listed_below_a_folder() {
    let (plugin, host) =
        plugin(|_| response(200, json!({"items": [{"name": "a/b", "size": "1"}], "nextPageToken": "n"})));
    let page = plugin.blobs("a".into(), Some("c".into())).unwrap();
    assert_eq!((page.items[0].path.as_str(), page.next.as_deref()), ("a/b", Some("n")));
    assert_eq!(host.requests()[0].url, format!("{BUCKET}/o?prefix=a%2F&maxResults=1000&pageToken=c"));
    assert_eq!(host.requests()[0].method, Method::Get);
}

#[test]
fn a_mount_of_blobs_costs_no_call() {
    let (plugin, host) = plugin(|_| response(500, ""));
    let request =
        |source| MountRequest { source, owner: "d0".into(), read_only: true, executable: true, renew: false };
    let mount = plugin.mount(request(MountSource::Blobs("agent/12/".into()))).unwrap();
    assert_eq!(mount.state, r#"{"b":"sockerless-proj-us-central1","d":"agent/12","x":true,"r":true}"#);
    assert!(host.requests().is_empty());
}

#[test]
fn paths_that_no_file_system_gives_back_are_refused() {
    let (plugin, host) = plugin(|_| response(500, ""));
    for path in ["", "/a", "a//b", "a/../b", "a/", "volumes/v", "a\nb"] {
        assert_eq!(plugin.put(path.into(), vec![]).unwrap_err().code, ErrorCode::InvalidArgument, "{path:?}");
    }
    assert!(host.requests().is_empty());
}
