//! What a guest may send, and what is attached to it.

use sockerless_ports::backend::{ErrorCode, HttpGrant, Storage as _};
use sockerless_wasm::{Limits, PluginOptions};

use crate::{
    fixture::{Fixture, TOKEN, command, options, probe},
    server::Server,
};

#[tokio::test]
async fn a_request_to_the_endpoint_of_a_setting_is_answered() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let text = command(&plugin, &format!("fetch {}", server.url("/a?b=c"))).await.unwrap();
    assert_eq!(text, "200\nhello from /a");
    let seen = server.only();
    assert_eq!(seen.line, "GET /a?b=c");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_credential_is_attached_outside_the_guest() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    command(&plugin, &format!("sign test {}", server.url("/"))).await.unwrap();
    let seen = server.only();
    assert_eq!(seen.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(!seen.headers.contains_key("x-sockerless-credential"));
    let info = command(&plugin, "whoami test").await.unwrap();
    assert_eq!(info, "the daemon's configuration None");
}

#[tokio::test]
async fn a_placeholder_in_a_body_becomes_the_secret_on_the_way_out() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    command(&plugin, &format!("key test {}", server.url("/"))).await.unwrap();
    let seen = server.only();
    assert_eq!(seen.body, format!("key={TOKEN};"));
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string());
}

#[tokio::test]
async fn a_kept_secret_that_is_refused_is_asked_for_anew_and_the_request_sent_once_more() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let sent = |server: &Server| {
        let seen = server.seen();
        seen.iter().map(|one| one.headers["authorization"].to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    command(&plugin, &format!("sign kept {}", server.url("/renewed"))).await.unwrap();
    assert_eq!(sent(&server), ["Bearer old", "Bearer new"]);
    command(&plugin, &format!("sign kept {}", server.url("/closed"))).await.unwrap();
    assert_eq!(sent(&server).len(), 3, "the same secret again would be refused again");
}

#[tokio::test]
async fn what_stands_in_a_body_is_the_secret_of_now() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    command(&plugin, &format!("key kept {}", server.url("/"))).await.unwrap();
    assert_eq!(server.only().body, "key=new;");
}

#[tokio::test]
async fn an_authorization_header_of_the_guests_own_is_refused() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let error = command(&plugin, &format!("forge {}", server.url("/"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    assert!(error.message.contains("\"authorization\" of the plugin's own"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_credential_that_the_grant_does_not_bind_to_the_host_is_refused() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let error = command(&plugin, &format!("sign other {}", server.url("/"))).await.unwrap_err();
    assert!(error.message.contains("\"other\" is not granted"), "{error}");
    assert!(command(&plugin, "whoami other").await.unwrap_err().message.contains("not granted"));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_host_outside_the_grant_is_refused() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let error = command(&plugin, &format!("fetch {}", server.url("/"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    assert!(error.message.contains("not granted to this plugin"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_operator_can_grant_less_than_the_manifest_asks() {
    let server = Server::start().await;
    let endpoint = HttpGrant { host: "setting:endpoint".to_owned(), credentials: Vec::new() };
    let given = PluginOptions { grant: Some(vec![endpoint]), ..options(&[("endpoint", &server.address)]) };
    let plugin = Fixture::new().host.load("probe", probe(), given).await.unwrap();
    command(&plugin, &format!("fetch {}", server.url("/"))).await.unwrap();
    let error = command(&plugin, &format!("sign test {}", server.url("/"))).await.unwrap_err();
    assert!(error.message.contains("\"test\" is not granted"), "{error}");
}

#[tokio::test]
async fn a_private_address_is_refused_by_name_and_by_number() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    for url in ["https://localhost/", "https://127.0.0.1/"] {
        let error = command(&plugin, &format!("fetch {url}")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::PermissionDenied, "{error}");
        assert!(error.message.contains("an address inside a private network"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let (server, elsewhere) = (Server::start().await, Server::start().await);
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let url = server.url(&format!("/redirect?{}", elsewhere.address));
    let text = command(&plugin, &format!("sign test {url}")).await.unwrap();
    assert_eq!(text, "302\nmoved");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off() {
    let server = Server::start().await;
    let limits = Limits { response_bytes: 100_000, ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[("endpoint", &server.address)]).await.unwrap();
    for path in ["/large", "/endless"] {
        let error = command(&plugin, &format!("fetch {}", server.url(path))).await.unwrap_err();
        assert!(error.message.contains("the answer is larger than 100000 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_body_goes_out_up_to_its_limit() {
    let server = Server::start().await;
    let limits = Limits { request_bytes: 3_000_000, ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[("endpoint", &server.address)]).await.unwrap();
    let upload = format!("upload {}", server.url("/"));
    plugin.get(&upload, 0, 1_500_000).await.unwrap();
    assert_eq!(server.only().body.len(), 1_500_000);
    let error = plugin.get(&upload, 0, 4_000_000).await.unwrap_err();
    assert!(error.message.contains("the request's body is larger than 3000000 bytes"), "{error}");
    server.only();
}

#[tokio::test]
async fn a_provider_that_is_down_is_named() {
    // A port that was just free: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}");
    let plugin = Fixture::new().load(&[("endpoint", &address)]).await.unwrap();
    let error = command(&plugin, &format!("fetch {address}/")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let server = Server::start().await;
    let limits = Limits { transfer: std::time::Duration::from_millis(300), ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[("endpoint", &server.address)]).await.unwrap();
    let error = command(&plugin, &format!("fetch {}", server.url("/silent"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
}
