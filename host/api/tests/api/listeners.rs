//! Sockets: who may connect, what is in the way, and an orderly end.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use sockerless_api::{Address, ListenError, bind, router, serve};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream, sync::oneshot};

use crate::{fake::Fake, plugins::FakePlugins, server::Server};

fn unix(path: &std::path::Path) -> Address {
    Address::Unix { path: path.to_owned(), group: None }
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_with_the_daemon() {
    let server = Server::start().await;
    let path = server.path.clone();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let (task, _folder) = server.stop();
    task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_nobody_serves_any_more_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    bind(&unix(&path)).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_is_served_is_left_alone() {
    let server = Server::start().await;
    let error = bind(&unix(&server.path)).await.unwrap_err();
    assert!(matches!(error, ListenError::InUse(_)), "{error}");
    assert!(error.to_string().contains("another daemon is listening there"));
    assert_eq!(server.client().await.request("GET", "/_ping").await.status(), 200);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&unix(&path)).await.unwrap_err(), ListenError::NotASocket(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn an_unknown_group_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let error =
        bind(&Address::Unix { path: path.clone(), group: Some("no-such-group".into()) }).await.unwrap_err();
    assert!(error.to_string().contains("groupadd no-such-group"), "{error}");
    assert!(!path.exists());
    let own = nix::unistd::getgid().to_string();
    bind(&Address::Unix { path, group: Some(own) }).await.unwrap();
}

#[tokio::test]
async fn tcp_is_served_on_loopback_alone() {
    for address in ["tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:0"] {
        let error = bind(&address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ListenError::Exposed(_)), "{error}");
        assert!(error.to_string().contains("without TLS"));
    }
    let listener = bind(&"tcp://localhost:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = *listener.address() else { panic!("{:?}", listener.address()) };
    assert!(bind(&Address::Tcp(address)).await.unwrap_err().to_string().contains("another daemon"));

    let (shutdown, ended) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(
        vec![listener],
        router(Arc::new(Fake::default()), Arc::new(FakePlugins)),
        async {
            let _ = ended.await;
        },
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("OK"), "{text}");
    shutdown.send(()).unwrap();
    task.await.unwrap();
}

#[test]
fn addresses_are_read_in_dockers_form() {
    for (text, expected) in [
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("tcp://localhost:2375/", "tcp://127.0.0.1:2375"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), expected);
    }
    for text in [
        "",
        "unix://",
        "tcp://",
        "tcp://example.org:1",
        "npipe:////./pipe/x",
        "/run/docker.sock",
        "tcp://127.0.0.1",
    ] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn at_the_end_requests_finish_streams_close_and_nobody_new_gets_in() {
    let server = Server::start().await;
    server.fake.add("a", false);
    let fake = server.fake.clone();
    let (mut waiting, mut attached, mut idle) =
        (server.client().await, server.client().await, server.client().await);
    assert_eq!(idle.request("GET", "/_ping").await.status(), 200);
    waiting.send("POST", "/containers/a/wait", &[], None).await;
    let head = waiting.read_head().await;
    assert_eq!(attached.attach("/containers/a/attach?stream=1&stdout=1").await.status(), 101);

    let path = server.path.clone();
    let (task, _folder) = server.stop();
    assert_eq!(idle.read_to_end().await, b"");
    fake.exit("a", 0);
    assert_eq!(waiting.read_body(&head).await, b"{\"StatusCode\":0}\n");
    // The container goes on writing nothing: the stream is closed nevertheless.
    assert_eq!(attached.read_to_end().await, b"");
    task.await.unwrap();
    assert!(!path.exists());
}
