//! `GET /system/df`, by version.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn disk_usage_is_counted_by_kind_and_what_was_not_asked_for_is_null() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let whole = json!({"LayersSize": 7, "Images": [], "Containers": [{"Id": "abc", "SizeRootFs": 5}],
        "Volumes": [], "BuildCache": []});
    let mut old = whole.clone();
    old["BuilderSize"] = json!(0);
    let volumes =
        json!({"LayersSize": 7, "Images": null, "Containers": null, "Volumes": [], "BuildCache": null});
    for (target, answer, call) in [
        ("/system/df", &whole, "disk images=true containers=true volumes=true"),
        ("/v1.41/system/df?type=volume", &old, "disk images=true containers=true volumes=true"),
        ("/system/df?type=volume", &volumes, "disk images=false containers=false volumes=true"),
    ] {
        let response = client.request("GET", target).await;
        assert_eq!((response.status(), &response.json()), (200, answer), "{target}");
        assert_eq!(server.fake.calls(), [call]);
    }
    let response = client.request("GET", "/system/df?type=image&type=plugin").await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.json(), json!({"message": "unknown object type: plugin"}));
}
