//! Every operation that Docker documents is there, if only to say that it is not supported.

use crate::server::Server;

/// Method and path of each operation of API 1.50.
const OPERATIONS: &str = include_str!("operations.txt");

#[tokio::test]
async fn every_documented_operation_has_an_answer_of_its_own() {
    let server = Server::start().await;
    let mut unsupported = 0;
    for operation in OPERATIONS.lines() {
        let (method, path) = operation.split_once(' ').unwrap();
        let image =
            path.starts_with("/images") || path.starts_with("/plugins") || path.starts_with("/distribution");
        let target = path
            .replace("{id}", "c0ffee")
            .replace("{name}", if image { "a.example:5000/b/c:d" } else { "name" });
        let mut client = server.client().await;
        client.send(method, &target, &[], None).await;
        let head = client.read_head().await;
        if method == "HEAD" {
            assert!(matches!(head.status(), 200 | 400 | 501), "{operation}: {}", head.line);
            continue;
        }
        if head.status() == 200 && !head.headers.contains_key("content-length") {
            continue; // a stream that goes on
        }
        let body = client.read_body(&head).await;
        assert!(!String::from_utf8_lossy(&body).contains("page not found"), "{operation}");
        if head.status() == 501 {
            unsupported += 1;
            let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let message = message["message"].as_str().unwrap();
            assert!(message.len() > 30, "{operation}: {message}");
            // By these words `docker inspect NAME` knows to go on to the next kind of object.
            let kinds = [
                "/networks",
                "/volumes",
                "/plugins",
                "/services",
                "/nodes",
                "/tasks",
                "/secrets",
                "/configs",
            ];
            let inspected = kinds.iter().any(|kind| path.starts_with(kind));
            assert!(!inspected || message.contains("not supported"), "{operation}: {message}");
        }
    }
    assert_eq!(OPERATIONS.lines().count(), 107);
    assert!(unsupported > 37, "{unsupported}");
}
