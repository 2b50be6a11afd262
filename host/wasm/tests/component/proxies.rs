//! Requests that go through a proxy, and those that do not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sockerless_ports::backend::ErrorCode;
use sockerless_wasm::Proxies;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    fixture::{Fixture, TOKEN, command},
    server::Server,
};

fn proxies(http: &str, https: &str, no: &str) -> Fixture {
    Fixture::with_proxies(Proxies::new(http, https, no).unwrap())
}

/// A proxy on loopback that notes what one client wants tunnelled, and refuses.
async fn refusing() -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let head = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        head
    });
    (address, head)
}

#[tokio::test]
async fn a_proxy_is_asked_by_name_and_nothing_is_resolved_here() {
    let proxy = Server::start().await;
    let fixture = proxies(&proxy.address, "", "");
    let plugin = fixture.load(&[("endpoint", "http://endpoint.invalid")]).await.unwrap();
    let text = command(&plugin, "sign test http://endpoint.invalid/a?b=c").await.unwrap();
    assert_eq!(text, "200\nhello from /a");
    let seen = proxy.only();
    assert_eq!(seen.line, "GET http://endpoint.invalid/a?b=c");
    assert_eq!(seen.headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn https_is_tunnelled_and_a_proxy_that_refuses_is_named_without_its_password() {
    let (address, head) = refusing().await;
    let plugin = proxies("", &format!("http://user:secret@{address}"), "").load(&[]).await.unwrap();
    let error = command(&plugin, "sign test https://cloud.invalid/").await.unwrap_err();
    let head = head.await.unwrap();
    assert_eq!(head[0], "CONNECT cloud.invalid:443 HTTP/1.1");
    let login = format!("proxy-authorization: Basic {}", BASE64_STANDARD.encode("user:secret"));
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case(&login)), "{head:?}");
    // The credential travels inside the tunnel only.
    assert!(!head.concat().contains(TOKEN), "{head:?}");
    assert!(error.message.contains(&format!("through the proxy http://{address}")), "{error}");
    assert!(!error.message.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_proxy_opens_no_way_to_an_address_that_the_host_can_see() {
    let proxy = Server::start().await;
    let plugin = proxies(&proxy.address, &proxy.address, "").load(&[]).await.unwrap();
    for url in ["https://10.1.2.3/", "https://127.0.0.1/", "https://localhost/"] {
        let error = command(&plugin, &format!("fetch {url}")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::PermissionDenied, "{error}");
        assert!(error.message.contains("an address inside a private network"), "{error}");
    }
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
async fn what_is_excepted_is_reached_directly() {
    let (proxy, server) = (Server::start().await, Server::start().await);
    // Loopback is excepted without being named.
    let plugin = proxies(&proxy.address, "", "").load(&[("endpoint", &server.address)]).await.unwrap();
    command(&plugin, &format!("fetch {}", server.url("/"))).await.unwrap();
    assert_eq!(server.only().line, "GET /");
    let plugin = proxies(&proxy.address, &proxy.address, "cloud.invalid").load(&[]).await.unwrap();
    // Resolved here, where the name means nothing.
    let error = command(&plugin, "fetch https://cloud.invalid/").await.unwrap_err();
    assert!(!error.message.contains("proxy"), "{error}");
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
async fn a_host_outside_the_grant_is_refused_before_any_proxy_is_asked() {
    let proxy = Server::start().await;
    let plugin = proxies(&proxy.address, &proxy.address, "").load(&[]).await.unwrap();
    let error = command(&plugin, "fetch https://elsewhere.invalid/").await.unwrap_err();
    assert!(error.message.contains("not granted to this plugin"), "{error}");
    assert!(proxy.seen().is_empty());
}
