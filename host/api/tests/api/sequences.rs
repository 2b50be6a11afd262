//! Whole commands of the docker CLI 28, request by request as they were recorded against dockerd.

use sockerless_ports::link::Output;

use crate::{fake::Stdin, server::Server};

#[tokio::test]
async fn docker_run_detached() {
    let server = Server::start().await;
    let (mut c1, mut c2) = (server.client().await, server.client().await);
    assert_eq!(c1.request("HEAD", "/_ping").await.head.status(), 200);
    let created =
        c1.post_json("/v1.50/containers/create?name=cap1", include_bytes!("bodies/run-d.json")).await;
    assert_eq!((created.status(), created.json()["Id"].as_str()), (201, Some("cap1")));
    let call = server.fake.calls().remove(0);
    for part in ["exposed_ports: Some([\"80/tcp\"])", "vol1:/data", "host_port: Some(\"18080\")", "CMD-SHELL"]
    {
        assert!(call.contains(part), "{part} in {call}");
    }
    c1.send("POST", "/v1.50/containers/cap1/wait?condition=next-exit", &[], None).await;
    assert_eq!(c1.read_head().await.headers["transfer-encoding"], "chunked");
    assert_eq!(c2.request("POST", "/v1.50/containers/cap1/start").await.status(), 204);
    // The CLI is done: it leaves the wait as it stands.
    drop((c1, c2));
    assert_eq!(server.client().await.request("GET", "/_ping").await.status(), 200);
}

#[tokio::test]
async fn docker_run_with_piped_input() {
    let server = Server::start().await;
    let (mut c1, mut c2, mut c3) = (server.client().await, server.client().await, server.client().await);
    assert_eq!(c1.request("HEAD", "/_ping").await.head.status(), 200);
    assert_eq!(
        c1.post_json("/v1.50/containers/create", include_bytes!("bodies/run-i.json")).await.status(),
        201
    );
    let attached = c2.attach("/v1.50/containers/c0ffee/attach?stderr=1&stdin=1&stdout=1&stream=1").await;
    assert_eq!(attached.headers["content-type"], "application/vnd.docker.multiplexed-stream");
    c1.send("POST", "/v1.50/containers/c0ffee/wait?condition=removed", &[], None).await;
    c2.write(b"echo from-stdin; exit 4\n").await;
    c2.half_close().await;
    let waiting = c1.read_head().await;
    assert_eq!(c3.request("POST", "/v1.50/containers/c0ffee/start").await.status(), 204);
    assert_eq!(server.fake.stdin("c0ffee").await, Stdin::Bytes("echo from-stdin; exit 4\n".into()));
    assert_eq!(server.fake.stdin("c0ffee").await, Stdin::Closed);
    server.fake.write("c0ffee", Output::Stdout, b"from-stdin\n");
    server.fake.close_output("c0ffee");
    assert_eq!(c2.read_to_end().await, b"\x01\0\0\0\0\0\0\x0bfrom-stdin\n");
    server.fake.exit("c0ffee", 4);
    assert_eq!(c1.read_body(&waiting).await, b"{\"StatusCode\":4}\n");
}

#[tokio::test]
async fn docker_run_on_a_terminal() {
    let server = Server::start().await;
    let (mut c1, mut c2, mut c3) = (server.client().await, server.client().await, server.client().await);
    assert_eq!(c1.request("HEAD", "/_ping").await.head.status(), 200);
    assert_eq!(
        c1.post_json("/v1.50/containers/create", include_bytes!("bodies/run-rm-it.json")).await.status(),
        201
    );
    let attached = c2.attach("/v1.50/containers/c0ffee/attach?stderr=1&stdin=1&stdout=1&stream=1").await;
    assert_eq!(attached.headers["content-type"], "application/vnd.docker.raw-stream");
    c1.send("POST", "/v1.50/containers/c0ffee/wait?condition=removed", &[], None).await;
    assert_eq!(c1.read_head().await.status(), 200);
    c2.write(b"\0").await;
    assert_eq!(c3.request("POST", "/v1.50/containers/c0ffee/start").await.status(), 204);
    assert_eq!(c3.request("POST", "/v1.50/containers/c0ffee/resize?h=24&w=80").await.status(), 200);
    assert_eq!(server.fake.stdin("c0ffee").await, Stdin::Bytes("\0".into()));
    server.fake.write("c0ffee", Output::Stdout, b"^@");
    server.fake.write("c0ffee", Output::Stdout, b"hi\r\n");
    assert_eq!(c2.read_exact(6).await, b"^@hi\r\n");
    server.fake.close_output("c0ffee");
    assert_eq!(c2.read_to_end().await, b"");
    server.fake.exit("c0ffee", 3);
    // 17 bytes, as recorded.
    assert_eq!(c1.read_chunk().await.unwrap(), b"{\"StatusCode\":3}\n");
    assert_eq!(c1.read_chunk().await, None);
}
