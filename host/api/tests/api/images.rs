//! Images over the wire.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use sockerless_engine::{Error, ErrorKind};
use sockerless_ports::registry::ProgressEvent;

use crate::server::Server;

fn event(id: Option<&str>, status: &str) -> Result<ProgressEvent, Error> {
    Ok(ProgressEvent { id: id.map(Into::into), status: status.into(), bytes: None })
}

#[tokio::test]
async fn names_with_slashes_and_escapes_are_whole() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (method, target, status, call) in [
        ("GET", "/images/busybox/json", 200, "inspect-image busybox"),
        ("GET", "/v1.44/images/localhost:5000/a/b:c/json", 200, "inspect-image localhost:5000/a/b:c"),
        ("GET", "/images/docker.io%2Flibrary%2Fbusybox/json", 200, "inspect-image docker.io/library/busybox"),
        ("GET", "/images/a/b@sha256:00/history", 200, "history a/b@sha256:00"),
        ("POST", "/images/a/b/tag?repo=c/d&tag=e", 201, "tag a/b c/d e"),
        ("DELETE", "/images/a/json", 200, "remove-image a/json false true"),
        ("DELETE", "/images/a/b:c?force=1&noprune=1", 200, "remove-image a/b:c true false"),
        ("GET", "/images/json?all=1&filter=x", 200, "images true {\"reference\": [\"x\"]}"),
        (
            "POST",
            "/images/prune?filters=%7B%22dangling%22%3A%7B%22false%22%3Atrue%7D%7D",
            200,
            "prune-images {\"dangling\": [\"false\"]}",
        ),
    ] {
        let response = client.request(method, target).await;
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(server.fake.calls(), [call], "{target}");
    }
}

#[tokio::test]
async fn a_pull_hands_on_name_platform_and_login_and_streams_progress() {
    let server = Server::start().await;
    let mut client = server.client().await;
    *server.fake.progress.lock().unwrap() = vec![
        event(Some("1.36"), "Pulling from library/busybox"),
        Err(Error::new(ErrorKind::Unavailable, "the registry fell asleep")),
    ];
    let login = URL_SAFE.encode(r#"{"username":"u","password":"secret"}"#);
    let target =
        "/v1.50/images/create?fromImage=docker.io%2Flibrary%2Fbusybox&tag=1.36&platform=linux%2Famd64";
    client.send("POST", target, &[("X-Registry-Auth", &login)], None).await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        String::from_utf8(response.body).unwrap(),
        "{\"status\":\"Pulling from library/busybox\",\"id\":\"1.36\"}\r\n\
         {\"errorDetail\":{\"message\":\"the registry fell asleep\"},\"error\":\"the registry fell asleep\"}\r\n"
    );
    let call = server.fake.calls().remove(0);
    for part in [
        "reference: \"docker.io/library/busybox:1.36\"",
        "platform: Some(\"linux/amd64\")",
        "username: \"u\"",
    ] {
        assert!(call.contains(part), "{part} in {call}");
    }
    assert!(!call.contains("secret"));
}

#[tokio::test]
async fn an_error_before_the_first_byte_has_its_own_status() {
    let server = Server::start().await;
    let words = "pull access denied for nope, repository does not exist or may require 'docker login'";
    *server.fake.refusal.lock().unwrap() = Some(Error::new(ErrorKind::NotFound, words));
    let response = server.client().await.request("POST", "/images/create?fromImage=nope&tag=latest").await;
    assert_eq!((response.status(), response.message().as_str()), (404, words));
}

#[tokio::test]
async fn load_and_import_take_a_body_of_any_size_and_type() {
    let server = Server::start().await;
    let mut client = server.client().await;
    *server.fake.progress.lock().unwrap() = vec![event(None, "Loaded image: a:b")];
    let archive = vec![7; 9 << 20];
    client
        .send("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], Some(&archive))
        .await;
    let response = client.read_response().await;
    assert_eq!(response.body, b"{\"stream\":\"Loaded image: a:b\\n\"}\r\n");
    assert_eq!(server.fake.calls(), ["load 9437184"]);

    *server.fake.progress.lock().unwrap() = vec![event(None, "sha256:00")];
    let target = "/images/create?fromSrc=-&repo=a%2Fb&tag=c&message=m&changes=CMD%20x&changes=ENV%20y%3Dz";
    client.send("POST", target, &[("Content-Type", "text/plain")], Some(b"tar")).await;
    assert_eq!(client.read_response().await.body, b"{\"status\":\"sha256:00\"}\r\n");
    assert_eq!(
        server.fake.calls(),
        [
            "import 3 ImportRequest { name: Some(\"a/b:c\"), message: \"m\", changes: [\"CMD x\", \"ENV y=z\"], platform: None }"
        ]
    );
}

#[tokio::test]
async fn a_login_is_handed_on_and_answered_with_what_to_use_instead() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let body = br#"{"username":"u","password":"secret","email":null,"serveraddress":"r:5000"}"#;
    let response = client.post_json("/v1.47/auth", body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.body, b"{\"Status\":\"Login Succeeded\",\"IdentityToken\":\"\"}\n");
    assert_eq!(server.fake.calls(), ["login u secret r:5000"]);

    let words = "Get \"http://r:5000/v2/\": unauthorized: incorrect username or password";
    *server.fake.refusal.lock().unwrap() = Some(Error::new(ErrorKind::Unauthorized, words));
    let response = client.post_json("/auth", body).await;
    assert_eq!((response.status(), response.message().as_str()), (401, words));
    for broken in ["", "{", r#"{"username":7}"#] {
        assert_eq!(client.post_json("/auth", broken.as_bytes()).await.status(), 400, "{broken}");
    }
}
