//! How requests are read: bodies, queries and what is wrong with them.

use crate::{client::Client, server::Server};

const CREATE: &str = "/v1.44/containers/create";

async fn refused(client: &mut Client, content_type: Option<&str>, body: &[u8]) -> (u16, String) {
    let headers: Vec<_> = content_type.map(|value| ("Content-Type", value)).into_iter().collect();
    client.send("POST", CREATE, &headers, Some(body)).await;
    let response = client.read_response().await;
    (response.status(), response.message())
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_and_nothing_is_created() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let json = Some("application/json");
    for (content_type, body, message) in [
        (json, "", "invalid JSON: got EOF while reading request body"),
        (None, "", "invalid JSON: got EOF while reading request body"),
        (json, "  \n", "invalid JSON: got EOF while reading request body"),
        (json, "{\"Image\":", "invalid JSON: unexpected EOF"),
        (json, "{} {}", "unexpected content after JSON"),
        (json, "null", "config cannot be empty in order to create a container"),
        (Some("text/plain"), "{}", "Content-Type specified (text/plain) must be 'application/json'"),
        (None, "{}", "Content-Type specified () must be 'application/json'"),
    ] {
        let answer = refused(&mut client, content_type, body.as_bytes()).await;
        assert_eq!(answer, (400, message.to_owned()), "{content_type:?} {body}");
    }
    let (status, message) = refused(&mut client, json, b"{image}").await;
    assert_eq!(status, 400);
    assert!(message.starts_with("invalid JSON: key must be a string"), "{message}");
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn a_content_type_may_have_parameters() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .send(
            "POST",
            CREATE,
            &[("Content-Type", "Application/JSON; charset=utf-8")],
            Some(b"{\"Image\":\"a\"}"),
        )
        .await;
    assert_eq!(client.read_response().await.status(), 201);
}

#[tokio::test]
async fn a_body_of_too_many_bytes_is_refused() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let body = vec![b' '; (8 << 20) + 1];
    let (status, message) = refused(&mut client, Some("application/json"), &body).await;
    assert_eq!(status, 413);
    assert!(message.contains("8388608 bytes"), "{message}");
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn create_takes_what_testcontainers_sends_with_every_option_doubled_in_the_query() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let target = include_str!("bodies/testcontainers-node.target").trim();
    let response = client.post_json(target, include_bytes!("bodies/testcontainers-node.json")).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.json(), serde_json::json!({"Id": "c0ffee", "Warnings": []}));
    let call = server.fake.calls().remove(0);
    for part in [
        "image: Some(\"busybox:latest\")",
        "echo ready; httpd -f -p 80",
        "org.testcontainers.session-id",
        "host_port: Some(\"0\")",
    ] {
        assert!(call.contains(part), "{part} in {call}");
    }
}

#[tokio::test]
async fn create_takes_what_every_recorded_client_sends() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for body in include_str!("bodies/recorded.jsonl").lines() {
        let response = client.post_json(CREATE, body.as_bytes()).await;
        assert_eq!(response.status(), 201, "{body}: {}", String::from_utf8_lossy(&response.body));
    }
}

#[tokio::test]
async fn start_refuses_a_host_configuration_and_takes_an_empty_object() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    let response = client.post_json("/containers/a/start", b"{\"HostConfig\":{}}").await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.message(),
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
    );
    assert!(server.fake.calls().is_empty());
    assert_eq!(client.post_json("/containers/a/start", b"{}").await.status(), 204);
    assert_eq!(client.request("POST", "/containers/a/start?detachKeys=ctrl-c").await.status(), 204);
}

#[tokio::test]
async fn parameters_reach_the_engine_as_the_client_meant_them() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    for (method, target, status, call) in [
        ("POST", "/containers/a/stop?t=3&t=9", 304, "stop a None Some(3)"),
        ("POST", "/containers/a/stop?t=-1&signal=SIGINT", 304, "stop a Some(\"SIGINT\") Some(-1)"),
        ("POST", "/v1.41/containers/a/stop?signal=SIGINT", 304, "stop a None None"),
        ("POST", "/containers/a/restart?t=0", 204, "restart a None Some(0)"),
        ("POST", "/containers/a/kill?signal=HUP", 204, "kill a Some(\"HUP\")"),
        ("POST", "/containers/a/rename?name=b%2Bc", 204, "rename a b+c"),
        ("POST", "/containers/a/resize?h=24&w=80", 200, "resize a 80x24"),
        (
            "DELETE",
            "/containers/a?force=1&v=true&link=0",
            204,
            "remove a RemoveRequest { force: true, volumes: true, link: false }",
        ),
        (
            "DELETE",
            "/v1.47/containers/a/alias?link=1",
            204,
            "remove a/alias RemoveRequest { force: false, volumes: false, link: true }",
        ),
        (
            "POST",
            "/containers/prune?filters=%7B%22until%22%3A%5B%2210m%22%5D%7D",
            200,
            "prune {\"until\": [\"10m\"]}",
        ),
        ("GET", "/containers/a/json?size=True", 200, "inspect a true"),
        (
            "GET",
            "/containers/json?limit=-1&filters=%7B%22status%22%3A%7B%22running%22%3Atrue%7D%7D&before=x",
            200,
            "list ListRequest { all: false, limit: None, size: false, filters: {\"before\": [\"x\"], \"status\": [\"running\"]} }",
        ),
        (
            "GET",
            "/containers/json?limit=2",
            200,
            "list ListRequest { all: false, limit: Some(2), size: false, filters: {} }",
        ),
        (
            "GET",
            "/events?since=1.5&until=2",
            200,
            "events EventsRequest { since: Some(SystemTime { tv_sec: 1, tv_nsec: 500000000 }), until: Some(SystemTime { tv_sec: 2, tv_nsec: 0 }), filters: {} }",
        ),
    ] {
        let response = client.request(method, target).await;
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(server.fake.calls(), [call], "{target}");
    }
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused_before_the_engine_sees_them() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    for (method, target, message) in [
        ("POST", "/containers/a/stop?t=soon", "invalid value \"soon\" for t: invalid digit found in string"),
        ("POST", "/containers/a/resize?h=24", "missing value for w"),
        (
            "POST",
            "/containers/a/resize?h=24&w=-1",
            "invalid value \"-1\" for w: invalid digit found in string",
        ),
        ("POST", "/containers/a/wait?condition=tired", "invalid condition: \"tired\""),
        ("GET", "/containers/json?filters=%7B", "invalid filter"),
        (
            "GET",
            "/containers/json?limit=ten",
            "invalid value \"ten\" for limit: invalid digit found in string",
        ),
        ("GET", "/containers/json?all=%zz", "invalid URL escape \"%zz\""),
        ("GET", "/containers/a/logs", "Bad parameters: you must choose at least one stream"),
        ("GET", "/events?since=2&until=1", "`since` time (2) cannot be after `until` time (1)"),
        ("POST", "/images/create", "fromImage or fromSrc has to be given"),
    ] {
        let response = client.request(method, target).await;
        assert_eq!((response.status(), response.message().as_str()), (400, message), "{target}");
    }
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn bind_mounts_are_merged_when_asked() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("POST", "/containers/web/sync", &[], None).await;
    assert_eq!(client.read_response().await.status(), 204);
    assert_eq!(server.fake.calls(), ["sync web"]);
}
