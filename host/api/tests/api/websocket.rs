//! Attach by websocket, with a client of another make.

use futures_util::{SinkExt, StreamExt};
use sockerless_ports::link::Output;
use tokio::net::UnixStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{fake::Stdin, server::Server};

#[tokio::test]
async fn a_websocket_carries_both_ways_in_binary_messages() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let stream = UnixStream::connect(&server.path).await.unwrap();
    let url = "ws://docker/v1.50/containers/a/attach/ws?stream=1&stdin=1&stdout=1";
    let (mut socket, response) = client_async(url, stream).await.unwrap();
    assert_eq!(response.headers()["api-version"], "1.51");
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(server.fake.stdin("a").await, Stdin::Bytes("hello".into()));
    server.fake.write("a", Output::Stdout, b"raw");
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Binary("raw".into()));
    server.fake.close_output("a");
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Close(_)));
    assert!(server.fake.calls()[0].contains("stdin: true, stdout: true, stderr: false"));
}

#[tokio::test]
async fn a_client_that_closes_its_websocket_closes_the_input() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let stream = UnixStream::connect(&server.path).await.unwrap();
    let url = "ws://docker/v1.41/containers/a/attach/ws?stream=1";
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    socket.close(None).await.unwrap();
    assert_eq!(server.fake.stdin("a").await, Stdin::Closed);
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_refused() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let response = server.client().await.request("GET", "/containers/a/attach/ws?stream=1").await;
    assert_eq!(response.status(), 400);
    assert!(server.fake.calls().is_empty());
}
