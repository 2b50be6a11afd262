//! Buckets and objects.

use serde_json::{Value, json};

use super::{Cloud, Refused as _};

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud
        .ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket", "location": "us-central1"}))
        .await;
    cloud
}

async fn put(cloud: &Cloud, name: &str, content: &str) -> Value {
    let path = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
    let answer = cloud.raw("POST", &path, &[("content-type", "text/plain")], content.to_owned()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn an_object_is_what_was_uploaded_with_its_checksums() {
    let cloud = cloud().await;
    put(&cloud, "dir%2Fa%20b", "hello world").await;
    let object = cloud.get("/storage/v1/b/bucket/o/dir%2Fa%20b").await;
    assert_eq!(object["name"], "dir/a b");
    assert_eq!(object["size"], "11");
    assert_eq!(object["contentType"], "text/plain");
    assert_eq!(object["md5Hash"], "XrY7u+Ae7tCTyyK7j1rNww==");
    assert_eq!(object["crc32c"], "yZRlqg==");
    let answer = cloud.raw("GET", "/storage/v1/b/bucket/o/dir%2Fa%20b?alt=media", &[], "").await;
    assert_eq!(answer.text(), "hello world");
    assert_eq!(answer.header("x-goog-hash"), "crc32c=yZRlqg==,md5=XrY7u+Ae7tCTyyK7j1rNww==");
    let part = cloud
        .raw("GET", "/download/storage/v1/b/bucket/o/dir%2Fa%20b?alt=media", &[("range", "bytes=6-8")], "")
        .await;
    assert_eq!(
        (part.status.as_u16(), part.text().as_str(), part.header("content-range")),
        (206, "wor", "bytes 6-8/11")
    );
    let beyond =
        cloud.raw("GET", "/storage/v1/b/bucket/o/dir%2Fa%20b?alt=media", &[("range", "bytes=11-")], "").await;
    assert_eq!(beyond.error().1, "requestedRangeNotSatisfiable");
}

#[tokio::test]
async fn a_multipart_upload_brings_metadata_and_is_checked_against_its_hash() {
    let cloud = cloud().await;
    let body = |metadata: Value| {
        format!(
            "--b\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n--b\r\nContent-Type: text/x\r\n\r\nhello\r\n--b--"
        )
    };
    let send = async |metadata: Value| {
        let headers = [("content-type", "multipart/related; boundary=b")];
        cloud
            .raw("POST", "/upload/storage/v1/b/bucket/o?uploadType=multipart", &headers, body(metadata))
            .await
    };
    let object = send(json!({"name": "a", "metadata": {"k": "v"}})).await.json();
    assert_eq!((&object["metadata"], &object["contentType"]), (&json!({"k": "v"}), &json!("text/x")));
    let wrong = send(json!({"name": "b", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww=="})).await;
    assert!(wrong.error().2.contains("doesn't match calculated md5Hash"));
    let unknown = send(json!({"name": "b", "colour": "red"})).await;
    assert!(unknown.error().2.contains("Unknown name \"colour\""));
    assert_eq!(cloud.call("GET", "/storage/v1/b/bucket/o/b", Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_resumable_upload_goes_on_where_it_was() {
    const UNIT: usize = 256 << 10;
    let cloud = cloud().await;
    let begun =
        cloud.raw("POST", "/upload/storage/v1/b/bucket/o?uploadType=resumable&name=a", &[], "{}").await;
    let session = begun.header("location").strip_prefix(&cloud.server.info().google).unwrap().to_owned();
    let content = vec![b'x'; UNIT + 10];
    let first =
        cloud.raw("PUT", &session, &[("content-range", "bytes 0-262143/*")], content[..UNIT].to_vec()).await;
    assert_eq!((first.status.as_u16(), first.header("range")), (308, "bytes=0-262143"));
    let asked = cloud.raw("PUT", &session, &[("content-range", "bytes */*")], "").await;
    assert_eq!((asked.status.as_u16(), asked.header("range")), (308, "bytes=0-262143"));
    let range = format!("bytes 262144-{}/{}", UNIT + 9, UNIT + 10);
    let last = cloud.raw("PUT", &session, &[("content-range", &range)], content[UNIT..].to_vec()).await;
    assert_eq!(last.json()["size"], (UNIT + 10).to_string());
    assert_eq!(cloud.raw("GET", "/storage/v1/b/bucket/o/a?alt=media", &[], "").await.bytes, content);
    let gone = cloud.raw("PUT", &session, &[("content-range", "bytes */*")], "").await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn preconditions_guard_a_generation() {
    let cloud = cloud().await;
    let path = "/upload/storage/v1/b/bucket/o?uploadType=media&name=a&ifGenerationMatch";
    let first = cloud.raw("POST", &format!("{path}=0"), &[], "1").await;
    assert_eq!(first.status, 200);
    let again = cloud.raw("POST", &format!("{path}=0"), &[], "2").await;
    assert_eq!((again.status.as_u16(), again.error().1.as_str()), (412, "conditionNotMet"));
    let generation = first.json()["generation"].as_str().unwrap().to_owned();
    let second = cloud.raw("POST", &format!("{path}={generation}"), &[], "3").await;
    assert_ne!(second.json()["generation"], generation);
    let old = cloud
        .call("DELETE", &format!("/storage/v1/b/bucket/o/a?ifGenerationMatch={generation}"), Value::Null)
        .await;
    assert_eq!(old.status, 412);
    assert_eq!(cloud.raw("GET", "/storage/v1/b/bucket/o/a?alt=media", &[], "").await.text(), "3");
}

#[tokio::test]
async fn a_listing_has_prefixes_and_pages() {
    let cloud = cloud().await;
    for name in ["a%2F1", "a%2F2", "b", "c%2F1", "d"] {
        put(&cloud, name, "x").await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = cloud.get("/storage/v1/b/bucket/o?delimiter=/").await;
    assert_eq!((names(&all), &all["prefixes"]), (vec!["b".to_owned(), "d".to_owned()], &json!(["a/", "c/"])));
    assert_eq!(names(&cloud.get("/storage/v1/b/bucket/o?prefix=a/").await), ["a/1", "a/2"]);
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page =
            cloud.get(&format!("/storage/v1/b/bucket/o?delimiter=/&maxResults=1&pageToken={token}")).await;
        found.extend(names(&page));
        found.extend(
            page["prefixes"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F");
    }
    assert_eq!(found, ["a/", "b", "c/", "d"]);
}

#[tokio::test]
async fn objects_are_copied_rewritten_composed_changed_and_deleted() {
    let cloud = cloud().await;
    put(&cloud, "a", "one").await;
    cloud.ok("POST", "/storage/v1/b/bucket/o/a/copyTo/b/bucket/o/b", json!({})).await;
    let done = cloud
        .ok("POST", "/storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/c", json!({"contentType": "x/y"}))
        .await;
    assert_eq!((&done["done"], &done["resource"]["contentType"]), (&json!(true), &json!("x/y")));
    let sources =
        json!({"sourceObjects": [{"name": "a"}, {"name": "b"}], "destination": {"contentType": "z"}});
    let both = cloud.ok("POST", "/storage/v1/b/bucket/o/both/compose", sources).await;
    assert_eq!((&both["componentCount"], &both["md5Hash"]), (&json!(2), &Value::Null));
    let patched = cloud
        .ok("PATCH", "/storage/v1/b/bucket/o/a", json!({"metadata": {"k": "v"}, "contentType": null}))
        .await;
    assert_eq!((&patched["metageneration"], &patched["contentType"]), (&json!("2"), &Value::Null));
    cloud.ok("DELETE", "/storage/v1/b/bucket/o/a", Value::Null).await;
    assert_eq!(cloud.raw("GET", "/storage/v1/b/bucket/o/b?alt=media", &[], "").await.text(), "one");
    assert_eq!(cloud.raw("GET", "/storage/v1/b/bucket/o/both?alt=media", &[], "").await.text(), "oneone");
    let files = std::fs::read_dir(cloud.state().join("storage/objects")).unwrap().count();
    assert_eq!(files, 3, "no content without an object");
}

#[tokio::test]
async fn a_batch_answers_each_call() {
    let cloud = cloud().await;
    put(&cloud, "a", "x").await;
    let part = |id: &str, name: &str| {
        format!(
            "--b\nContent-Type: application/http\nContent-ID: <{id}>\n\nDELETE /storage/v1/b/bucket/o/{name} HTTP/1.1\n\n\n"
        )
    };
    let body = format!("{}{}--b--", part("x+1", "a"), part("x+2", "absent"));
    let answer = cloud
        .raw("POST", "/batch/storage/v1", &[("content-type", "multipart/mixed; boundary=b")], body)
        .await;
    let text = answer.text();
    let first = text.find("Content-ID: <response-x+1>\r\n\r\nHTTP/1.1 204 No Content").unwrap();
    let second = text.find("Content-ID: <response-x+2>\r\n\r\nHTTP/1.1 404 Not Found").unwrap();
    assert!(first < second);
}

#[tokio::test]
async fn buckets_have_rules_of_their_own() {
    let cloud = cloud().await;
    let insert = async |body: Value| cloud.call("POST", "/storage/v1/b?project=sim-project", body).await;
    assert_eq!(insert(json!({"name": "bucket"})).await.error().0, 409);
    assert_eq!(insert(json!({"name": "A"})).await.error().0, 400);
    assert_eq!(insert(json!({"name": "other", "colour": 1})).await.error().0, 400);
    let foreign = cloud.call("POST", "/storage/v1/b?project=other", json!({"name": "other"})).await;
    assert_eq!(foreign.error().0, 403);
    put(&cloud, "a", "x").await;
    let full = cloud.call("DELETE", "/storage/v1/b/bucket", Value::Null).await;
    assert_eq!(full.error().2, "The bucket you tried to delete is not empty.");
    let patched = cloud.ok("PATCH", "/storage/v1/b/bucket", json!({"labels": {"a": "b"}})).await;
    assert_eq!((&patched["labels"], &patched["metageneration"]), (&json!({"a": "b"}), &json!("2")));
    cloud.ok("DELETE", "/storage/v1/b/bucket/o/a", Value::Null).await;
    cloud.ok("DELETE", "/storage/v1/b/bucket", Value::Null).await;
    let gone = cloud.call("GET", "/storage/v1/b/bucket/o", Value::Null).await;
    assert_eq!(gone.error().2, "The specified bucket does not exist.");
}
