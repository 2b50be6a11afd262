//! Connections that become streams: attach, logs, wait and events.

use bollard_stubs::models::{EventActor, EventMessage, EventMessageTypeEnum};
use sockerless_engine::{Error, ErrorKind};
use sockerless_ports::link::Output;
use tokio::sync::mpsc;

use crate::{fake::Stdin, server::Server};

const ATTACH: &str = "/v1.50/containers/a/attach?stderr=1&stdin=1&stdout=1&stream=1";

#[tokio::test]
async fn after_the_clients_half_close_input_ends_and_output_goes_on() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    let head = client.attach(ATTACH).await;
    assert_eq!(head.line, "HTTP/1.1 101 UPGRADED");
    assert_eq!(head.headers["connection"], "Upgrade");
    assert_eq!(head.headers["upgrade"], "tcp");
    assert_eq!(head.headers["content-type"], "application/vnd.docker.multiplexed-stream");
    assert_eq!(head.headers["api-version"], "1.51");

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
async fn when_output_ends_the_connection_ends_though_the_client_still_could_write() {
    let server = Server::start().await;
    server.fake.add("a", true);
    let mut client = server.client().await;
    let head = client.attach(ATTACH).await;
    assert_eq!(head.headers["content-type"], "application/vnd.docker.raw-stream");
    server.fake.write("a", Output::Stdout, b"hi\r\n");
    server.fake.close_output("a");
    assert_eq!(client.read_to_end().await, b"hi\r\n");
    // What a client sends after that disturbs nobody.
    client.write(b"too late").await;
}

#[tokio::test]
async fn without_an_upgrade_header_the_stream_follows_a_plain_200() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    // The input comes in the same packet as the request: none of it may be lost.
    let request = format!("POST {ATTACH} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\nearly ");
    client.write(request.as_bytes()).await;
    let head = client.read_head().await;
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    assert_eq!(head.headers["content-type"], "application/vnd.docker.raw-stream");
    assert!(!head.headers.contains_key("transfer-encoding") && !head.headers.contains_key("content-length"));
    client.write(b"bird").await;
    client.half_close().await;
    let mut read = Vec::new();
    while let Stdin::Bytes(bytes) = server.fake.stdin("a").await {
        read.extend_from_slice(&bytes);
    }
    assert_eq!(read, b"early bird");
    server.fake.write("a", Output::Stdout, b"x");
    server.fake.close_output("a");
    assert_eq!(client.read_to_end().await, b"\x01\0\0\0\0\0\0\x01x");
}

#[tokio::test]
async fn a_refused_attach_is_an_ordinary_answer_on_a_connection_that_goes_on() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .send(
            "POST",
            "/containers/ghost/attach?stream=1",
            &[("Connection", "Upgrade"), ("Upgrade", "tcp")],
            None,
        )
        .await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.message().as_str()), (404, "No such container: ghost"));
    *server.fake.refusal.lock().unwrap() = Some(Error::new(ErrorKind::Conflict, "paused"));
    assert_eq!(client.request("POST", ATTACH).await.status(), 409);
    assert_eq!(client.request("GET", "/_ping").await.status(), 200);
}

#[tokio::test]
async fn waits_headers_arrive_before_the_container_is_started() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let (mut waiter, mut starter) = (server.client().await, server.client().await);
    waiter.send("POST", "/containers/a/wait?condition=next-exit", &[], None).await;
    let head = waiter.read_head().await;
    assert_eq!((head.status(), head.headers["content-type"].as_str()), (200, "application/json"));
    assert_eq!(starter.request("POST", "/containers/a/start").await.status(), 204);
    assert_eq!(server.fake.calls(), ["wait a NextExit", "start a"]);
    server.fake.exit("a", 3);
    assert_eq!(waiter.read_body(&head).await, b"{\"StatusCode\":3}\n");
}

#[tokio::test]
async fn every_condition_of_wait_is_known() {
    let server = Server::start().await;
    server.fake.add("a", false);
    for (query, call) in [
        ("", "wait a NotRunning"),
        ("?condition=", "wait a NotRunning"),
        ("?condition=not-running", "wait a NotRunning"),
        ("?condition=next-exit", "wait a NextExit"),
        ("?condition=removed", "wait a Removed"),
    ] {
        let mut client = server.client().await;
        client.send("POST", &format!("/containers/a/wait{query}"), &[], None).await;
        assert_eq!(client.read_head().await.status(), 200);
        assert_eq!(server.fake.calls(), [call]);
    }
    let mut client = server.client().await;
    assert_eq!(client.request("POST", "/containers/ghost/wait").await.status(), 404);
}

#[tokio::test]
async fn followed_logs_come_as_they_are_written_and_end_with_the_container() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    client.send("GET", "/v1.50/containers/a/logs?follow=1&stderr=1&stdout=1&tail=2", &[], None).await;
    let head = client.read_head().await;
    assert_eq!(head.headers["content-type"], "application/vnd.docker.multiplexed-stream");
    assert_eq!(head.headers["transfer-encoding"], "chunked");
    server.fake.write("a", Output::Stdout, b"line 1\n");
    assert_eq!(client.read_chunk().await.unwrap(), b"\x01\0\0\0\0\0\0\x07line 1\n");
    server.fake.write("a", Output::Stderr, b"oh\n");
    assert_eq!(client.read_chunk().await.unwrap(), b"\x02\0\0\0\0\0\0\x03oh\n");
    server.fake.close_output("a");
    assert_eq!(client.read_chunk().await, None);
    assert!(server.fake.calls()[0].contains(
        "follow: true, timestamps: false, details: false, since: None, until: None, tail: Some(2)"
    ));
}

#[tokio::test]
async fn logs_of_a_terminal_and_for_old_clients_are_typed_as_raw() {
    let server = Server::start().await;
    server.fake.add("terminal", true);
    server.fake.add("plain", false);
    for target in ["/containers/terminal/logs?stdout=1", "/v1.41/containers/plain/logs?stdout=1"] {
        let mut client = server.client().await;
        client.send("GET", target, &[], None).await;
        assert_eq!(client.read_head().await.headers["content-type"], "application/vnd.docker.raw-stream");
    }
}

#[tokio::test]
async fn events_headers_come_first_then_each_event_as_it_happens() {
    let server = Server::start().await;
    let (events, receiver) = mpsc::unbounded_channel();
    *server.fake.events.lock().unwrap() = Some(receiver);
    let mut client = server.client().await;
    client.send("GET", "/events?filters=%7B%22event%22%3A%7B%22start%22%3Atrue%7D%7D", &[], None).await;
    assert_eq!(client.read_head().await.status(), 200);
    events
        .send(EventMessage {
            typ: Some(EventMessageTypeEnum::CONTAINER),
            action: Some("start".into()),
            actor: Some(EventActor {
                id: Some("c0ffee".into()),
                attributes: Some([("image".into(), "busybox".into())].into()),
            }),
            time: Some(7),
            ..Default::default()
        })
        .unwrap();
    let line = client.read_chunk().await.unwrap();
    assert_eq!(line.last(), Some(&b'\n'));
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&line).unwrap(),
        serde_json::json!({"status": "start", "id": "c0ffee", "from": "busybox", "Type": "container", "Action": "start",
            "Actor": {"ID": "c0ffee", "Attributes": {"image": "busybox"}}, "time": 7})
    );
    drop(events);
    assert_eq!(client.read_chunk().await, None);
}

#[tokio::test]
async fn output_goes_on_when_the_container_takes_no_more_input() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let mut client = server.client().await;
    client.attach(ATTACH).await;
    server.fake.close_stdin("a");
    // More than any socket holds: it has to be read and thrown away.
    client.write(&vec![b'x'; 4 << 20]).await;
    server.fake.write("a", Output::Stdout, b"still here");
    server.fake.close_output("a");
    assert_eq!(client.read_to_end().await, b"\x01\0\0\0\0\0\0\x0astill here");
}

#[tokio::test]
async fn a_fault_of_the_daemon_is_an_answer_too() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let response = client.request("POST", "/containers/panic/kill").await;
    assert_eq!((response.status(), response.message().as_str()), (500, "the daemon failed; see its log"));
    assert_eq!(client.request("GET", "/_ping").await.status(), 200);
}
