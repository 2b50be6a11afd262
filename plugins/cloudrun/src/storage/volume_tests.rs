use serde_json::{Value, json};
use sockerless_plugin_sdk::{ErrorCode, Method, Request, Response, testing::response};

use super::*;
use crate::testing::plugin;

fn volume() -> Volume {
    Volume {
        name: "data".into(),
        owner: "d0".into(),
        labels: vec![("com.example.Key".into(), "Ü b".into())],
        options: vec![("uid".into(), "999".into())],
    }
}

fn record(owner: &str) -> Response {
    response(
        200,
        json!({"name": "data", "owner": owner, "labels": [["com.example.Key", "Ü b"]], "options": [["uid", "999"]]}),
    )
}

fn request(name: &str) -> MountRequest {
    MountRequest {
        source: MountSource::Volume(name.into()),
        owner: "d0".into(),
        read_only: false,
        executable: false,
        renew: false,
    }
}

fn text(request: &Request) -> String {
    String::from_utf8(request.body.clone().unwrap_or_default()).unwrap()
}

/// The answer to a batch in which every call ended so.
fn batch(request: &Request, status: u16) -> Response {
    let count = text(request).matches("DELETE /storage").count();
    let one = format!("--q\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status} X\r\n\r\n\r\n");
    let headers = vec![("content-type".to_owned(), "multipart/mixed; boundary=q".to_owned())];
    Response { status: 200, headers, body: format!("{}--q--\r\n", one.repeat(count)).into_bytes() }
}

#[test]
fn a_volume_is_a_record_and_a_folder_neither_of_which_was_there() {
    let (plugin, host) = plugin(|_| response(200, "{}"));
    plugin.create_volume(volume()).unwrap();
    let requests = host.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.url.ends_with("uploadType=multipart&ifGenerationMatch=0")));
    let record = text(&requests[0]);
    assert!(record.contains(r#""name":"volumes/.sockerless/data.json""#), "{record}");
    assert!(
        record.contains(r#""sockerless-owner":"d0""#) && record.contains(r#"[["com.example.Key","Ü b"]]"#)
    );
    assert!(text(&requests[1]).contains(r#""name":"volumes/data/""#));
}

#[test]
fn the_same_volume_again_is_no_error_and_another_daemons_is() {
    for (owner, outcome) in [("d0", None), ("d1", Some(ErrorCode::AlreadyExists))] {
        let (plugin, _) = plugin(move |request| match request.method {
            Method::Post => response(412, json!({"error": {"code": 412, "message": "no"}})),
            _ => record(owner),
        });
        assert_eq!(plugin.create_volume(volume()).err().map(|error| error.code), outcome);
    }
}

#[test]
fn a_volume_that_cannot_be_costs_no_call() {
    let (plugin, host) = plugin(|_| response(500, ""));
    for name in ["", ".hidden", "a/b", "a b", "-x", &"x".repeat(251)] {
        let odd = Volume { name: name.into(), ..volume() };
        assert_eq!(plugin.create_volume(odd).unwrap_err().code, ErrorCode::InvalidArgument, "{name}");
    }
    let odd = Volume { options: vec![("type".into(), "nfs".into())], ..volume() };
    assert_eq!(plugin.create_volume(odd).unwrap_err().code, ErrorCode::InvalidArgument);
    assert!(host.requests().is_empty());
}

#[test]
fn a_volume_goes_with_all_its_objects_and_its_record_last() {
    let left = std::cell::Cell::new(true);
    let (plugin, host) = plugin(move |request| {
        if request.url.ends_with("alt=media") {
            return record("d0");
        }
        if request.url.contains("/batch/") {
            left.set(false);
            return batch(request, 204);
        }
        let names: Vec<Value> = (0..250).map(|n| json!({"name": format!("volumes/data/{n}")})).collect();
        match request.method {
            Method::Get if left.get() => response(200, json!({"items": names})),
            Method::Get => response(200, "{}"),
            _ => response(204, ""),
        }
    });
    plugin.remove_volume("d0".into(), "data".into()).unwrap();
    let requests = host.requests();
    let batches: Vec<usize> = requests
        .iter()
        .filter(|request| request.url.contains("/batch/"))
        .map(|request| text(request).matches("DELETE").count())
        .collect();
    assert_eq!(batches, [100, 100, 50]);
    let last = requests.last().unwrap();
    assert_eq!(last.method, Method::Delete);
    assert!(last.url.ends_with("/o/volumes%2F.sockerless%2Fdata.json"), "{}", last.url);
}

#[test]
fn an_object_that_cannot_be_deleted_keeps_the_volume() {
    let (plugin, host) = plugin(|request| match () {
        () if request.url.ends_with("alt=media") => record("d0"),
        () if request.url.contains("/batch/") => batch(request, 403),
        () => response(200, json!({"items": [{"name": "volumes/data/x"}]})),
    });
    let error = plugin.remove_volume("d0".into(), "data".into()).unwrap_err();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    assert!(host.requests().iter().all(|request| request.method != Method::Delete));
}

#[test]
fn a_volume_without_end_is_removed_in_several_calls() {
    let (plugin, _) = plugin(|request| match () {
        () if request.url.ends_with("alt=media") => record("d0"),
        () if request.url.contains("/batch/") => batch(request, 204),
        () => response(200, json!({"items": [{"name": "volumes/data/x"}]})),
    });
    let error = plugin.remove_volume("d0".into(), "data".into()).unwrap_err();
    assert_eq!((error.code, error.retry_after_ms), (ErrorCode::Unavailable, Some(0)));
}

#[test]
fn what_is_gone_or_somebody_elses_is_left_alone() {
    for answer in [record("d1"), response(404, "{}")] {
        let (plugin, host) = plugin(move |_| answer.clone());
        plugin.remove_volume("d0".into(), "data".into()).unwrap();
        assert_eq!(plugin.usage("d0".into(), "data".into()).unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(plugin.mount(request("data")).unwrap_err().code, ErrorCode::NotFound);
        assert!(host.requests().iter().all(|request| request.method == Method::Get));
    }
}

#[test]
fn the_owners_volumes_are_listed_with_labels_and_options() {
    let (plugin, host) = plugin(|request| match request.url.ends_with("alt=media") {
        true => record("d0"),
        false => {
            let item = |name: &str, owner: &str| json!({"name": format!("volumes/.sockerless/{name}.json"), "metadata": {"sockerless-owner": owner}});
            response(200, json!({"items": [item("data", "d0"), item("other", "d1")], "nextPageToken": "n"}))
        }
    });
    let page = plugin.volumes("d0".into(), None).unwrap();
    assert_eq!((page.items, page.next.as_deref()), (vec![volume()], Some("n")));
    assert_eq!(host.requests().len(), 2);
}

#[test]
fn usage_counts_files_but_not_folders() {
    let (plugin, _) = plugin(|request| match () {
        () if request.url.ends_with("alt=media") => record("d0"),
        () if request.url.contains("pageToken=n") => {
            response(200, json!({"items": [{"name": "volumes/data/b", "size": "5"}]}))
        }
        () => response(
            200,
            json!({"items": [{"name": "volumes/data/", "size": "0"}, {"name": "volumes/data/a", "size": "7"}], "nextPageToken": "n"}),
        ),
    });
    assert_eq!(plugin.usage("d0".into(), "data".into()).unwrap(), VolumeUsage { bytes: 12, files: 2 });
}

#[test]
fn a_mounted_volume_is_its_folder_with_its_options() {
    let (plugin, _) = plugin(|_| record("d0"));
    let mount = plugin.mount(request("data")).unwrap();
    let state: Bucket = serde_json::from_str(&mount.state).unwrap();
    assert_eq!((state.only_dir.as_str(), state.read_only), ("volumes/data", false));
    assert_eq!(
        state.flags,
        [
            "file-mode=777",
            "dir-mode=777",
            "metadata-cache-ttl-secs=1",
            "metadata-cache-negative-ttl-secs=0",
            "rename-dir-limit=10000",
            "uid=999"
        ]
    );
}
