//! Files over the wire.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sockerless_engine::{Error, ErrorKind};

use crate::server::Server;

#[tokio::test]
async fn a_path_is_told_in_a_header_and_sent_as_a_tar() {
    let server = Server::start().await;
    let mut client = server.client().await;
    *server.fake.pieces.lock().unwrap() = vec![Ok(Bytes::from_static(b"tar"))];
    for method in ["HEAD", "GET"] {
        client.send(method, "/v1.41/containers/c/archive?path=%2Fa%2Ff", &[], None).await;
        let head = client.read_head().await;
        let stat = STANDARD.decode(&head.headers["x-docker-container-path-stat"]).unwrap();
        assert_eq!(
            String::from_utf8(stat).unwrap(),
            r#"{"name":"f","size":5,"mode":420,"mtime":"1970-01-01T00:00:01.5Z","linkTarget":""}"#
        );
        assert_eq!(server.fake.calls(), ["stat c /a/f"]);
        if method == "GET" {
            assert_eq!(head.headers["content-type"], "application/x-tar");
            assert_eq!(client.read_body(&head).await, b"tar");
        }
    }
    for method in ["GET", "PUT"] {
        let response = client.request(method, "/containers/c/archive?path=").await;
        assert_eq!(
            (response.status(), response.message().as_str()),
            (400, "bad parameter: path cannot be empty")
        );
    }
}

#[tokio::test]
async fn what_fails_in_the_middle_breaks_the_answer_off() {
    let server = Server::start().await;
    for target in ["/containers/c/archive?path=/a", "/containers/c/export", "/images/a:b/get"] {
        let mut client = server.client().await;
        *server.fake.pieces.lock().unwrap() =
            vec![Ok(Bytes::from_static(b"half")), Err(io::Error::other("the agent is gone"))];
        client.send("GET", target, &[], None).await;
        assert_eq!(client.read_head().await.status(), 200);
        // A whole answer ends with an empty chunk.
        assert_eq!(client.read_to_end().await, b"4\r\nhalf\r\n", "{target}");
    }
}

#[tokio::test]
async fn an_archive_of_any_size_is_handed_on_with_what_the_query_says() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let archive = vec![7; 9 << 20];
    let target = "/containers/c/archive?path=/a&noOverwriteDirNonDir=true&copyUIDGID=1";
    client.send("PUT", target, &[("Content-Type", "application/x-tar")], Some(&archive)).await;
    assert_eq!(client.read_response().await.status(), 200);
    assert_eq!(
        server.fake.calls(),
        ["write c 9437184 PutArchive { path: \"/a\", keep_kind: true, copy_owner: true }"]
    );
    *server.fake.refusal.lock().unwrap() =
        Some(Error::new(ErrorKind::NotFound, "Could not find the file /a in container c"));
    let response = client.request("PUT", "/containers/c/archive?path=/a").await;
    assert_eq!(
        (response.status(), response.message().as_str()),
        (404, "Could not find the file /a in container c")
    );
}

#[tokio::test]
async fn changes_have_numbers_and_none_are_null() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let response = client.request("GET", "/containers/c/changes").await;
    assert_eq!(response.body, b"[{\"Path\":\"/a\",\"Kind\":1},{\"Path\":\"/b\",\"Kind\":2}]\n");
    assert_eq!(client.request("GET", "/containers/same/changes").await.body, b"null\n");
}

#[tokio::test]
async fn a_commit_takes_query_and_body() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let target = "/commit?container=c&repo=a%2Fb&tag=t&comment=x+y&author=me&changes=CMD+z&changes=USER+u";
    let response = client.post_json(target, b"null").await;
    assert_eq!((response.status(), response.body.as_slice()), (201, &b"{\"Id\":\"sha256:00\"}\n"[..]));
    let call = server.fake.calls().remove(0);
    for part in [
        "container: \"c\", repository: \"a/b\", tag: \"t\", comment: \"x y\", author: \"me\", pause: true",
        "changes: [\"CMD z\", \"USER u\"], config: None",
    ] {
        assert!(call.contains(part), "{part} in {call}");
    }
    client
        .post_json("/commit?container=c&pause=0", b"{\"Cmd\":\"run\",\"ExposedPorts\":{\"80/tcp\":{}}}")
        .await;
    let call = server.fake.calls().remove(0);
    for part in ["pause: false", "cmd: Some([\"run\"])", "exposed_ports: Some([\"80/tcp\"])"] {
        assert!(call.contains(part), "{part} in {call}");
    }
    assert_eq!(client.post_json("/commit?container=c", b"[]").await.status(), 400);
}

#[tokio::test]
async fn images_are_saved_by_name_and_by_list() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (target, call) in [
        ("/images/localhost:5000/a/b:c/get", "save [\"localhost:5000/a/b:c\"]"),
        ("/images/get?names=a&names=b%3Ac", "save [\"a\", \"b:c\"]"),
    ] {
        *server.fake.pieces.lock().unwrap() = vec![Ok(Bytes::from_static(b"tar"))];
        let response = client.request("GET", target).await;
        assert_eq!(
            (response.header("content-type"), response.body.as_slice()),
            (Some("application/x-tar"), &b"tar"[..])
        );
        assert_eq!(server.fake.calls(), [call]);
    }
}

#[tokio::test]
async fn who_is_refused_in_the_middle_of_sending_reads_the_answer() {
    let server = Server::start().await;
    let mut client = server.client().await;
    *server.fake.refusal.lock().unwrap() = Some(Error::new(ErrorKind::NotFound, "not here"));
    server.fake.refuse_early();
    let archive = vec![7; 9 << 20];
    client.send("PUT", "/containers/c/archive?path=/a", &[], Some(&archive)).await;
    assert_eq!(client.read_response().await.message(), "not here");
    // And the connection serves on.
    assert_eq!(client.request("GET", "/containers/same/changes").await.status(), 200);
}
