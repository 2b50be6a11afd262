//! Versions, headers, paths and errors.

use sockerless_engine::{Error, ErrorKind};

use crate::server::Server;

#[tokio::test]
async fn ping_answers_get_and_head_with_dockerds_headers() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let get = client.request("GET", "/_ping").await;
    assert_eq!((get.status(), get.body.as_slice()), (200, b"OK".as_slice()));
    client.send("HEAD", "/v1.43/_ping", &[], None).await;
    let head = client.read_head().await;
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    for (name, value) in [
        ("api-version", "1.51"),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("builder-version", "1"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("swarm", "inactive"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(get.header(name), Some(value));
        assert_eq!(head.headers.get(name).map(String::as_str), Some(value));
    }
    assert!(get.header("server").unwrap().starts_with("Sockerless/"));
    assert_eq!((get.header("content-length"), head.headers["content-length"].as_str()), (Some("2"), "0"));
    // With a version it takes another way through the daemon, and says the same.
    let versioned = client.request("GET", "/v1.43/_ping").await;
    let mut expected = get.head.headers.clone();
    expected.insert("date".into(), versioned.header("date").unwrap().into());
    assert_eq!((versioned.body, versioned.head.headers), (get.body, expected));
    assert_eq!(client.request("POST", "/_ping").await.message(), "page not found");
    // The connection goes on being one.
    assert_eq!(client.request("GET", "/_ping").await.status(), 200);
}

#[tokio::test]
async fn every_path_works_with_and_without_a_version() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for prefix in ["", "/v1.24", "/v1.44", "/v1.51"] {
        assert_eq!(
            client.request("GET", &format!("{prefix}/containers/json?all=1")).await.json(),
            serde_json::json!([])
        );
        assert_eq!(client.request("GET", &format!("{prefix}/version")).await.json()["ApiVersion"], "1.51");
    }
    assert!(server.fake.calls().iter().all(|call| call.contains("all: true")));
}

#[tokio::test]
async fn a_version_out_of_range_is_refused_with_headers_that_say_the_right_one() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let old = client.request("GET", "/v1.23/info").await;
    assert_eq!(old.status(), 400);
    assert_eq!(
        old.message(),
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
    );
    assert_eq!(old.header("api-version"), Some("1.51"));
    let new = client.request("POST", "/v1.99/containers/create").await;
    assert_eq!(new.message(), "client version 1.99 is too new. Maximum supported API version is 1.51");
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_dockerds_404_whatever_the_method() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/v1.44/nothing"),
        ("GET", "/containers/create"),
        ("POST", "/containers/json"),
        ("DELETE", "/info"),
        ("PATCH", "/containers/a"),
        ("GET", "/containers/a/json/"),
        ("GET", "/images/a/b/c"),
        ("POST", "/images/json"),
    ] {
        let response = client.request(method, target).await;
        assert_eq!(
            (response.status(), response.message().as_str()),
            (404, "page not found"),
            "{method} {target}"
        );
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    client.send("HEAD", "/containers/json", &[], None).await;
    assert_eq!(client.read_head().await.status(), 404);
}

#[tokio::test]
async fn each_kind_of_error_has_its_status_and_keeps_its_words() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (kind, status) in [
        (ErrorKind::Invalid, 400),
        (ErrorKind::Unauthorized, 401),
        (ErrorKind::Forbidden, 403),
        (ErrorKind::NotFound, 404),
        (ErrorKind::Conflict, 409),
        (ErrorKind::Internal, 500),
        (ErrorKind::Unsupported, 501),
        (ErrorKind::Unavailable, 503),
    ] {
        *server.fake.refusal.lock().unwrap() = Some(Error::new(kind, "the \"reason\""));
        let response = client.request("GET", "/containers/a/json").await;
        assert_eq!((response.status(), response.message().as_str()), (status, "the \"reason\""));
    }
}

#[tokio::test]
async fn a_request_that_is_no_http_costs_its_connection_alone() {
    let server = Server::start().await;
    let mut broken = server.client().await;
    broken.write(b"\x16\x03\x01 hello\r\n\r\n").await;
    assert!(broken.read_to_end().await.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(server.client().await.request("GET", "/_ping").await.status(), 200);
}
