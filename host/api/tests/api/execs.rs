//! `docker exec`, byte for byte.

use serde_json::json;
use sockerless_engine::{Error, ErrorKind};
use sockerless_ports::link::Output;

use crate::{client::Client, fake::Stdin, server::Server};

const START: &str = "/v1.50/exec/exec-of-a/start";

/// As the docker CLI asks for it.
async fn start(client: &mut Client, target: &str, body: &str) -> crate::client::Head {
    let headers = [("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Content-Type", "application/json")];
    client.send("POST", target, &headers, Some(body.as_bytes())).await;
    client.read_head().await
}

#[tokio::test]
async fn an_exec_is_made_with_what_the_cli_says() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    // Recorded from the docker CLI 28.
    let body = r#"{"User":"","Privileged":false,"Tty":true,"ConsoleSize":[24,80],"AttachStdin":true,"AttachStderr":true,"AttachStdout":true,"Detach":false,"DetachKeys":"","Env":null,"WorkingDir":"","Cmd":["sh","-c","tty; exit 6"]}"#;
    let response = client.post_json("/v1.50/containers/a/exec", body.as_bytes()).await;
    assert_eq!((response.status(), response.json()), (201, json!({"Id": "exec-of-a"})));
    let call = server.fake.calls().remove(0);
    assert!(
        call.contains(r#"cmd: Some(["sh", "-c", "tty; exit 6"])"#) && call.contains("[24, 80]"),
        "{call}"
    );
    client.post_json("/v1.41/containers/a/exec", body.as_bytes()).await;
    assert!(!server.fake.calls().remove(0).contains("[24, 80]"), "sizes came with 1.42");
    for (body, status, words) in
        [("", 400, "EOF"), ("{", 400, "invalid JSON"), (r#"{"Cmd":"true"}"#, 400, "invalid JSON")]
    {
        let response = client.post_json("/containers/a/exec", body.as_bytes()).await;
        assert_eq!(response.status(), status, "{body}");
        assert!(response.message().contains(words), "{}", response.message());
    }
    assert_eq!(client.post_json("/containers/ghost/exec", b"{}").await.message(), "No such container: ghost");
}

#[tokio::test]
async fn the_connection_becomes_the_processs_streams() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    let head = start(&mut client, START, r#"{"Detach":false,"Tty":false}"#).await;
    assert_eq!(head.line, "HTTP/1.1 101 UPGRADED");
    assert_eq!(head.headers["content-type"], "application/vnd.docker.multiplexed-stream");
    client.write(b"question").await;
    client.half_close().await;
    assert_eq!(server.fake.stdin("a").await, Stdin::Bytes("question".into()));
    assert_eq!(server.fake.stdin("a").await, Stdin::Closed);
    server.fake.write("a", Output::Stdout, b"answer");
    assert_eq!(client.read_exact(14).await, b"\x01\0\0\0\0\0\0\x06answer");
    server.fake.write("a", Output::Stderr, b"!");
    server.fake.close_output("a");
    assert_eq!(client.read_to_end().await, b"\x02\0\0\0\0\0\0\x01!");
}

#[tokio::test]
async fn the_clients_word_decides_whether_output_comes_in_frames() {
    let server = Server::start().await;
    server.fake.add("a", false);
    for (target, tty, kind) in [
        (START, true, "application/vnd.docker.raw-stream"),
        ("/v1.41/exec/exec-of-a/start", false, "application/vnd.docker.raw-stream"),
    ] {
        let mut client = server.client().await;
        let head =
            start(&mut client, target, &json!({"Tty": tty, "ConsoleSize": [30, 90]}).to_string()).await;
        assert_eq!(head.headers["content-type"], kind);
        server.fake.write("a", Output::Stdout, b"hi");
        server.fake.close_output("a");
        let expected: &[u8] = if tty { b"hi" } else { b"\x01\0\0\0\0\0\0\x02hi" };
        assert_eq!(client.read_to_end().await, expected);
    }
    let calls = server.fake.calls();
    assert!(calls[0].contains("columns: 90, rows: 30") && !calls[1].contains("columns"), "{calls:?}");
}

#[tokio::test]
async fn without_an_upgrade_header_the_stream_follows_a_plain_200() {
    // As testcontainers for Node does it.
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    let body = r#"{"Detach":false,"Tty":false}"#;
    client
        .send("POST", "/exec/exec-of-a/start", &[("Content-Type", "application/json")], Some(body.as_bytes()))
        .await;
    let head = client.read_head().await;
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    assert_eq!(head.headers["content-type"], "application/vnd.docker.raw-stream");
    assert!(!head.headers.contains_key("transfer-encoding") && !head.headers.contains_key("content-length"));
    server.fake.write("a", Output::Stdout, b"x");
    server.fake.close_output("a");
    assert_eq!(client.read_to_end().await, b"\x01\0\0\0\0\0\0\x01x");
}

#[tokio::test]
async fn a_detached_exec_is_an_ordinary_answer() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let response = client.post_json(START, br#"{"Detach":true}"#).await;
    assert_eq!((response.status(), response.body.len()), (200, 0));
    assert_eq!(client.post_json(START, b"").await.status(), 400);
    // Refused before the connection changes hands.
    let conflict = Error::new(ErrorKind::Conflict, "Error: Exec command x has already run");
    *server.fake.refusal.lock().unwrap() = Some(conflict);
    let head = start(&mut client, START, "{}").await;
    assert_eq!(head.status(), 409);
    let body = client.read_body(&head).await;
    assert_eq!(body, b"{\"message\":\"Error: Exec command x has already run\"}\n");
    assert_eq!(client.request("GET", "/_ping").await.status(), 200);
}

#[tokio::test]
async fn top_and_stats_are_asked_as_the_cli_asks() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    let top = client.request("GET", "/v1.50/containers/a/top?ps_args=-o+pid").await;
    assert_eq!(top.json(), json!({"Titles": ["PID"], "Processes": null}));
    client.request("GET", "/containers/a/top").await;
    for query in ["", "?stream=1", "?stream=0", "?stream=false&one-shot=1"] {
        assert_eq!(client.request("GET", &format!("/containers/a/stats{query}")).await.status(), 200);
    }
    let both = client.request("GET", "/containers/a/stats?stream=1&one-shot=1").await;
    assert_eq!((both.status(), both.message().as_str()), (400, "cannot have stream=true and one-shot=true"));
    let stats =
        |stream, one_shot| format!("stats a StatsRequest {{ stream: {stream}, one_shot: {one_shot} }}");
    let expected = [
        "top a Some(\"-o pid\")".to_owned(),
        "top a None".to_owned(),
        stats(true, false),
        stats(true, false),
        stats(false, false),
        stats(false, true),
    ];
    assert_eq!(server.fake.calls(), expected);
}

#[tokio::test]
async fn inspect_has_no_exit_code_before_the_end() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let response = client.request("GET", "/exec/e/json").await;
    assert_eq!(response.json(), json!({"ID": "e", "Running": true, "ExitCode": null}));
}

#[tokio::test]
async fn a_size_has_two_sides() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(client.request("POST", "/exec/e/resize?h=30&w=90").await.status(), 200);
    assert_eq!(server.fake.calls(), ["resize-exec e 90x30"]);
    for query in ["h=30", "w=90", "h=x&w=90", "h=70000&w=90"] {
        assert_eq!(client.request("POST", &format!("/exec/e/resize?{query}")).await.status(), 400, "{query}");
    }
}
