//! `/networks`: what reaches the engine, and what comes back.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_network_is_created_with_all_that_a_client_sends() {
    let server = Server::start().await;
    let mut client = server.client().await;
    // As the docker CLI sends it, with a field that is no more, and null where Go has nothing.
    let body = json!({"Name": "n", "CheckDuplicate": true, "Driver": "bridge", "Internal": true, "Ingress": false,
        "Options": {"a": null}, "Labels": null, "ConfigFrom": null,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.1.0.0/24", "AuxiliaryAddresses": {"h": "10.1.0.9"}}]}});
    let response = client.post_json("/v1.41/networks/create", body.to_string().as_bytes()).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.json(), json!({"Id": "feed", "Warning": ""}));
    let call = server.fake.calls().remove(0);
    for part in [
        r#""Name":"n""#,
        r#""Internal":true"#,
        r#""Options":{"a":""}"#,
        r#""Subnet":"10.1.0.0/24""#,
        r#""AuxiliaryAddresses":{"h":"10.1.0.9"}"#,
    ] {
        assert!(call.contains(part), "{part} in {call}");
    }
    // The engine has dockerd's words for a name that is missing.
    client.post_json("/networks/create", b"{}").await;
    assert_eq!(server.fake.calls(), [r#"create-network {"Name":""}"#]);
}

#[tokio::test]
async fn what_is_asked_of_networks_reaches_the_engine() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (method, target, body, status, call) in [
        ("GET", "/networks", "", 200, "networks {}"),
        (
            "GET",
            "/networks?filters=%7B%22name%22%3A%7B%22x%22%3Atrue%7D%7D",
            "",
            200,
            "networks {\"name\": [\"x\"]}",
        ),
        ("GET", "/networks/a%20b?verbose=true&scope=local", "", 200, "inspect-network a b Some(\"local\")"),
        ("DELETE", "/networks/n", "", 204, "remove-network n"),
        ("POST", "/networks/n/connect", r#"{"Container":"c"}"#, 200, "connect n c {}"),
        (
            "POST",
            "/networks/n/connect",
            r#"{"Container":"c","EndpointConfig":{"Aliases":["x"],"IPAMConfig":null}}"#,
            200,
            r#"connect n c {"Aliases":["x"]}"#,
        ),
        ("POST", "/networks/n/disconnect", r#"{"Container":"c","Force":true}"#, 200, "disconnect n c true"),
        ("POST", "/networks/n/disconnect", "{}", 200, "disconnect n  false"),
        (
            "POST",
            "/networks/prune?filters=%7B%22label%21%22%3A%5B%22x%22%5D%7D",
            "",
            200,
            "prune-networks {\"label!\": [\"x\"]}",
        ),
    ] {
        let response = if body.is_empty() {
            client.request(method, target).await
        } else {
            client.post_json(target, body.as_bytes()).await
        };
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(server.fake.calls(), [call], "{target}");
    }
    let nothing = client.post_json("/networks/n/connect", b"").await;
    assert_eq!(
        (nothing.status(), nothing.message().as_str()),
        (400, "invalid JSON: got EOF while reading request body")
    );
}

#[tokio::test]
async fn answers_have_the_nulls_that_dockerd_writes() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let network = client.request("GET", "/networks/n").await.json();
    assert_eq!(network["IPAM"], json!({"Options": null}));
    assert_eq!(client.request("GET", "/networks").await.json()[0]["IPAM"], json!({"Options": null}));
    let pruned = client.request("POST", "/networks/prune").await;
    assert_eq!(pruned.json(), json!({"NetworksDeleted": null}));
}

#[tokio::test]
async fn several_networks_at_once_came_with_api_1_44() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let body =
        json!({"Image": "a", "NetworkingConfig": {"EndpointsConfig": {"x": {}, "y": null}}}).to_string();
    let old = client.post_json("/v1.43/containers/create", body.as_bytes()).await;
    let words = "Container cannot be connected to network endpoints: x, y";
    assert_eq!((old.status(), old.message().as_str()), (400, words));
    assert_eq!(client.post_json("/v1.44/containers/create", body.as_bytes()).await.status(), 201);
}
