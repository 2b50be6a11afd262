//! The registry.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Cloud;

const REPOSITORY: &str = "/v2/sim-project/r/image";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

async fn blob(cloud: &Cloud, content: &'static str) -> String {
    let digest = digest(content.as_bytes());
    let answer =
        cloud.raw("POST", &format!("{REPOSITORY}/blobs/uploads/?digest={digest}"), &[], content).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    digest
}

fn code(answer: &super::Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["errors"][0]["code"].as_str().unwrap().to_owned())
}

async fn image(cloud: &Cloud, tag: &str) -> String {
    let (config, layer) = (blob(cloud, "{}").await, blob(cloud, "layer").await);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": config}, "layers": [{"digest": layer}]});
    let path = format!("{REPOSITORY}/manifests/{tag}");
    let put = cloud.raw("PUT", &path, &[("content-type", MANIFEST)], manifest.to_string()).await;
    assert_eq!(put.status, 201, "{}", put.text());
    put.header("docker-content-digest").to_owned()
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled_by_tag_and_digest() {
    let cloud = Cloud::start().await;
    let digest = image(&cloud, "v1").await;
    for reference in ["v1", &digest] {
        let manifest = cloud.raw("GET", &format!("{REPOSITORY}/manifests/{reference}"), &[], "").await;
        assert_eq!(manifest.header("content-type"), MANIFEST);
        assert_eq!(manifest.header("docker-content-digest"), digest);
        assert_eq!(manifest.json()["schemaVersion"], 2);
        let head = cloud.raw("HEAD", &format!("{REPOSITORY}/manifests/{reference}"), &[], "").await;
        assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
        assert_eq!(head.header("content-length"), manifest.bytes.len().to_string());
    }
    let layer = super::registry::digest(b"layer");
    let path = format!("{REPOSITORY}/blobs/{layer}");
    assert_eq!(cloud.raw("GET", &path, &[], "").await.text(), "layer");
    let part = cloud.raw("GET", &path, &[("range", "bytes=1-2")], "").await;
    assert_eq!(
        (part.status.as_u16(), part.text().as_str(), part.header("content-range")),
        (206, "ay", "bytes 1-2/5")
    );
    assert_eq!(cloud.raw("HEAD", &path, &[], "").await.header("content-length"), "5");
    let tags = cloud.raw("GET", &format!("{REPOSITORY}/tags/list"), &[], "").await.json();
    assert_eq!(tags, json!({"name": "sim-project/r/image", "tags": ["v1"]}));
    assert_eq!(
        cloud.raw("GET", "/v2/_catalog", &[], "").await.json(),
        json!({"repositories": ["sim-project/r/image"]})
    );
}

#[tokio::test]
async fn a_blob_comes_in_chunks_in_order() {
    let cloud = Cloud::start().await;
    let begun = cloud.raw("POST", &format!("{REPOSITORY}/blobs/uploads/"), &[], "").await;
    assert_eq!(begun.status, 202);
    let session = begun.header("location").to_owned();
    let first = cloud.raw("PATCH", &session, &[("content-range", "0-3")], "abcd").await;
    assert_eq!((first.status.as_u16(), first.header("range")), (202, "0-3"));
    let gap = cloud.raw("PATCH", &session, &[("content-range", "9-12")], "xxxx").await;
    assert_eq!(gap.status, 416);
    assert_eq!(cloud.raw("GET", &session, &[], "").await.header("range"), "0-3");
    let wanted = digest(b"abcdef");
    let last = cloud.raw("PUT", &format!("{session}?digest={wanted}"), &[], "ef").await;
    assert_eq!((last.status.as_u16(), last.header("docker-content-digest")), (201, wanted.as_str()));
    assert_eq!(cloud.raw("GET", &format!("{REPOSITORY}/blobs/{wanted}"), &[], "").await.text(), "abcdef");
}

#[tokio::test]
async fn content_is_what_its_digest_says() {
    let cloud = Cloud::start().await;
    let wrong = digest(b"other");
    let answer =
        cloud.raw("POST", &format!("{REPOSITORY}/blobs/uploads/?digest={wrong}"), &[], "content").await;
    assert_eq!(code(&answer), (400, "DIGEST_INVALID".to_owned()));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST}).to_string();
    let answer = cloud.raw("PUT", &format!("{REPOSITORY}/manifests/{wrong}"), &[], manifest).await;
    assert_eq!(code(&answer), (400, "DIGEST_INVALID".to_owned()));
    let left = std::fs::read_dir(cloud.state().join("registry/uploads")).unwrap().count();
    assert_eq!(left, 0, "nothing is left of a refused upload");
}

#[tokio::test]
async fn a_manifest_needs_all_that_it_names() {
    let cloud = Cloud::start().await;
    let manifest = json!({"schemaVersion": 2, "config": {"digest": digest(b"absent")}, "layers": []});
    let put = cloud
        .raw(
            "PUT",
            &format!("{REPOSITORY}/manifests/v1"),
            &[("content-type", MANIFEST)],
            manifest.to_string(),
        )
        .await;
    assert_eq!(code(&put), (404, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let absent = cloud.raw("GET", &format!("{REPOSITORY}/manifests/v1"), &[], "").await;
    assert_eq!(code(&absent), (404, "MANIFEST_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let cloud = Cloud::start().await;
    let blob = blob(&cloud, "layer").await;
    let other = "/v2/sim-project/r/other";
    let unseen = cloud.raw("GET", &format!("{other}/blobs/{blob}"), &[], "").await;
    assert_eq!(code(&unseen), (404, "BLOB_UNKNOWN".to_owned()));
    let mount = format!("{other}/blobs/uploads/?mount={blob}&from=sim-project/r/image");
    assert_eq!(cloud.raw("POST", &mount, &[], "").await.status, 201);
    assert_eq!(cloud.raw("GET", &format!("{other}/blobs/{blob}"), &[], "").await.text(), "layer");
    let absent = digest(b"absent");
    let mount = format!("{other}/blobs/uploads/?mount={absent}&from=sim-project/r/image");
    assert_eq!(cloud.raw("POST", &mount, &[], "").await.status, 202, "an upload begins instead");
}

#[tokio::test]
async fn tags_manifests_and_blobs_are_deleted() {
    let cloud = Cloud::start().await;
    let digest = image(&cloud, "v1").await;
    image(&cloud, "v2").await;
    let delete = async |path: String| cloud.raw("DELETE", &path, &[], "").await.status.as_u16();
    assert_eq!(delete(format!("{REPOSITORY}/manifests/v1")).await, 202);
    let tags: Value = cloud.raw("GET", &format!("{REPOSITORY}/tags/list"), &[], "").await.json();
    assert_eq!(tags["tags"], json!(["v2"]));
    assert_eq!(delete(format!("{REPOSITORY}/manifests/{digest}")).await, 202);
    assert_eq!(delete(format!("{REPOSITORY}/manifests/v2")).await, 404);
    let layer = super::registry::digest(b"layer");
    assert_eq!(delete(format!("{REPOSITORY}/blobs/{layer}")).await, 202);
    assert_eq!(delete(format!("{REPOSITORY}/blobs/{layer}")).await, 404);
}

#[tokio::test]
async fn a_repository_is_of_a_project_that_exists() {
    let cloud = Cloud::start().await;
    for name in ["busybox", "other/r/image"] {
        let answer = cloud.raw("GET", &format!("/v2/{name}/tags/list"), &[], "").await;
        assert_eq!(code(&answer), (403, "DENIED".to_owned()), "{name}");
    }
    let answer = cloud.raw("GET", "/v2/sim-project/Upper/tags/list", &[], "").await;
    assert_eq!(code(&answer), (400, "NAME_INVALID".to_owned()));
}
