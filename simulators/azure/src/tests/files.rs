//! Accounts, shares and their files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::*;
use crate::time;

const VERSION: (&str, &str) = ("x-ms-version", "2025-05-05");

fn account(cloud: &Cloud) -> String {
    format!("{}/Microsoft.Storage/storageAccounts/simstorage", cloud.group())
}

async fn share(cloud: &Cloud, name: &str) {
    let path = format!("{}/fileServices/default/shares/{name}", account(cloud));
    cloud.ok("PUT", &path, json!({"properties": {"shareQuota": 1, "metadata": {"owner": "d0"}}})).await;
}

/// A call of the data plane by bearer token.
async fn plane(
    cloud: &Cloud,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Answer {
    let mut all = vec![VERSION, ("x-ms-file-request-intent", "backup")];
    all.extend_from_slice(headers);
    cloud.raw(method, &format!("/files/simstorage/{path}"), &all, body).await
}

fn word(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.header("x-ms-error-code").to_owned())
}

#[tokio::test]
async fn accounts_and_shares_come_and_go() {
    let cloud = Cloud::start().await;
    let path = format!("{}/Microsoft.Storage/storageAccounts/other1", cloud.group());
    let body = json!({"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    let made = cloud.done("PUT", &path, body.clone()).await;
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    assert_eq!(made["properties"]["primaryEndpoints"]["file"], format!("https://{HOST}/files/other1/"));
    let keys = cloud.ok("POST", &format!("{path}/listKeys"), Value::Null).await;
    let other = cloud.ok("POST", &format!("{path}/regenerateKey"), json!({"keyName": "key1"})).await;
    assert_ne!(keys["keys"][0]["value"], other["keys"][0]["value"]);
    assert_eq!(keys["keys"][1]["value"], other["keys"][1]["value"]);

    share(&cloud, "data").await;
    let shares = format!("{}/fileServices/default/shares", account(&cloud));
    let found = cloud.get(&format!("{shares}/data?$expand=stats")).await;
    assert_eq!(
        (&found["properties"]["metadata"], &found["properties"]["shareUsageBytes"]),
        (&json!({"owner": "d0"}), &json!(0))
    );
    share(&cloud, "date").await;
    let names = async |query: &str| {
        let page = cloud.get(&format!("{shares}?{query}")).await;
        let all = page["value"].as_array().unwrap().clone();
        assert!(all.iter().all(|share| share["properties"].get("metadata").is_none()), "{all:?}");
        let names: Vec<_> = all.iter().map(|share| share["name"].as_str().unwrap().to_owned()).collect();
        (names, page["nextLink"].as_str().map(|link| link.split_once('?').unwrap().1.to_owned()))
    };
    assert_eq!(names("$expand=deleted,snapshots").await.0, ["data", "date"]);
    assert_eq!(names("$filter=dat").await.0.len(), 2);
    assert_eq!(names("$filter=dat%65").await.0, ["date"]);
    let (first, next) = names("$maxpagesize=1").await;
    let (second, end) = names(&next.unwrap()).await;
    assert_eq!((first, second, end), (vec!["data".into()], vec!["date".into()], None));
    for odd in ["$expand=metadata", "$expand=stats"] {
        let answer = cloud.call("GET", &format!("{shares}?{odd}"), Value::Null).await;
        assert_eq!(answer.error(), (400, "InvalidQueryParameterValue".to_owned()), "{odd}");
    }
    cloud.call("DELETE", &format!("{shares}/date"), Value::Null).await;
    for bad in ["ab", "a--b", "-ab", "Data"] {
        let answer = cloud.call("PUT", &format!("{shares}/{bad}"), json!({})).await;
        assert_eq!(answer.error().1, "InvalidResourceName", "{bad}");
    }
    assert_eq!(cloud.call("DELETE", &format!("{shares}/data"), Value::Null).await.status, 200);
    assert_eq!(cloud.call("DELETE", &format!("{shares}/data"), Value::Null).await.status, 204);
    assert_eq!(cloud.call("DELETE", &path, Value::Null).await.status, 200);
    let bad = format!("{}/Microsoft.Storage/storageAccounts/No-Good", cloud.group());
    assert_eq!(cloud.call("PUT", &bad, body).await.error().1, "AccountNameInvalid");
}

#[tokio::test]
async fn files_are_made_written_read_and_removed() {
    let cloud = Cloud::start().await;
    share(&cloud, "data").await;
    let file = [("x-ms-type", "file"), ("x-ms-content-length", "6")];
    assert_eq!(word(&plane(&cloud, "PUT", "data/a/f", &file, "").await), (404, "ParentNotFound".into()));
    assert_eq!(plane(&cloud, "PUT", "data/a?restype=directory", &[], "").await.status, 201);
    assert_eq!(
        word(&plane(&cloud, "PUT", "data/A?restype=directory", &[], "").await),
        (409, "ResourceAlreadyExists".into())
    );
    assert_eq!(plane(&cloud, "PUT", "data/a/f", &file, "").await.status, 201);
    let range = |range| [("x-ms-write", "update"), ("x-ms-range", range)];
    assert_eq!(plane(&cloud, "PUT", "data/a/f?comp=range", &range("bytes=0-2"), "abc").await.status, 201);
    assert_eq!(plane(&cloud, "PUT", "data/a/f?comp=range", &range("bytes=3-5"), "def").await.status, 201);
    let beyond = plane(&cloud, "PUT", "data/a/f?comp=range", &range("bytes=4-6"), "xyz").await;
    assert_eq!(word(&beyond), (416, "InvalidRange".into()));
    assert_eq!(plane(&cloud, "GET", "data/A/F", &[], "").await.text(), "abcdef");
    let part = plane(&cloud, "GET", "data/a/f", &[("x-ms-range", "bytes=2-3")], "").await;
    assert_eq!(
        (part.status.as_u16(), part.text().as_str(), part.header("content-range")),
        (206, "cd", "bytes 2-3/6")
    );
    assert_eq!(plane(&cloud, "HEAD", "data/a/f", &[], "").await.header("content-length"), "6");

    let list = plane(&cloud, "GET", "data/a?restype=directory&comp=list", &[], "").await.text();
    assert!(list.contains("<File><Name>f</Name><Properties><Content-Length>6</Content-Length>"), "{list}");
    let source = format!("https://{HOST}/files/simstorage/data/a/f");
    let rename =
        [("x-ms-file-rename-source", source.as_str()), ("x-ms-file-rename-replace-if-exists", "true")];
    assert_eq!(plane(&cloud, "PUT", "data/g?comp=rename", &rename, "").await.status, 200);
    assert_eq!(plane(&cloud, "GET", "data/g", &[], "").await.text(), "abcdef");
    assert_eq!(plane(&cloud, "DELETE", "data/a?restype=directory", &[], "").await.status, 202);
    assert_eq!(plane(&cloud, "DELETE", "data/g", &[], "").await.status, 202);
    assert_eq!(word(&plane(&cloud, "GET", "data/g", &[], "").await), (404, "ResourceNotFound".into()));
    assert_eq!(word(&plane(&cloud, "GET", "none/g", &[], "").await), (404, "ShareNotFound".into()));
    assert_eq!(word(&plane(&cloud, "PUT", "data/%2e%2e/x?restype=directory", &[], "").await).0, 400);
}

#[tokio::test]
async fn metadata_of_a_folder_follows_it() {
    let cloud = Cloud::start().await;
    share(&cloud, "data").await;
    let meta = [("x-ms-meta-owner", "d0")];
    assert_eq!(plane(&cloud, "PUT", "data/a?restype=directory", &meta, "").await.status, 201);
    assert_eq!(
        plane(&cloud, "GET", "data/a?restype=directory", &[], "").await.header("x-ms-meta-owner"),
        "d0"
    );
    let source = format!("https://{HOST}/files/simstorage/data/a");
    let rename = [("x-ms-file-rename-source", source.as_str())];
    plane(&cloud, "PUT", "data/b?restype=directory&comp=rename", &rename, "").await;
    assert_eq!(
        plane(&cloud, "GET", "data/b?restype=directory", &[], "").await.header("x-ms-meta-owner"),
        "d0"
    );
    plane(&cloud, "DELETE", "data/b?restype=directory", &[], "").await;
    plane(&cloud, "PUT", "data/b?restype=directory", &[], "").await;
    assert_eq!(plane(&cloud, "GET", "data/b?restype=directory", &[], "").await.header("x-ms-meta-owner"), "");
}

#[tokio::test]
async fn a_full_folder_is_not_removed() {
    let cloud = Cloud::start().await;
    share(&cloud, "data").await;
    plane(&cloud, "PUT", "data/a?restype=directory", &[], "").await;
    plane(&cloud, "PUT", "data/a/b?restype=directory", &[], "").await;
    let answer = plane(&cloud, "DELETE", "data/a?restype=directory", &[], "").await;
    assert_eq!(word(&answer), (409, "DirectoryNotEmpty".into()));
}

/// A signed request, as the documentation of "Authorize with Shared Key" makes its string.
async fn signed(cloud: &Cloud, key: &str, date: &str) -> Answer {
    let path = "/files/simstorage/data";
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{}\n/simstorage{path}/x\nrestype:directory",
        VERSION.1
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let request = Request::builder()
        .method("PUT")
        .uri(format!("{path}/x?restype=directory"))
        .header("host", HOST)
        .header("authorization", format!("SharedKey simstorage:{signature}"))
        .header("x-ms-date", date)
        .header("content-length", "0")
        .header(VERSION.0, VERSION.1);
    cloud.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_shared_key_signs_and_a_wrong_or_old_signature_is_refused() {
    let cloud = Cloud::start().await;
    share(&cloud, "data").await;
    let (key, now) = (cloud.server.info().storage_key.clone(), time::http(time::now()));
    assert_eq!(signed(&cloud, &key, &now).await.status, 201);
    let wrong = STANDARD.encode([7_u8; 64]);
    assert_eq!(word(&signed(&cloud, &wrong, &now).await), (403, "AuthenticationFailed".into()));
    let old = "Sun, 22 Nov 2015 16:00:00 GMT";
    assert_eq!(word(&signed(&cloud, &key, old).await), (403, "AuthenticationFailed".into()));
    let none = Request::builder().uri("/files/simstorage/data/x").body(Body::empty()).unwrap();
    assert_eq!(cloud.send(none).await.status, 401);
}

#[tokio::test]
async fn an_account_answers_at_a_host_of_its_own() {
    let cloud = Cloud::start().await;
    share(&cloud, "data").await;
    let request = Request::builder()
        .uri("/data/none")
        .header("host", "simstorage.file.core.windows.net")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("x-ms-file-request-intent", "backup")
        .header(VERSION.0, VERSION.1);
    let answer = cloud.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(word(&answer), (404, "ResourceNotFound".into()));
}
