//! Private zones.

use super::*;

fn zone(cloud: &Cloud) -> String {
    format!("{}/Microsoft.Network/privateDnsZones/net.internal", cloud.group())
}

#[tokio::test]
async fn a_zone_has_records_and_links_and_goes_without_links() {
    let cloud = Cloud::start().await;
    let zone = zone(&cloud);
    cloud.done("PUT", &zone, json!({"location": "global", "tags": {"owner": "d0"}})).await;
    let network = json!({"id": cloud.server.info().network});
    let link = json!({"location": "global", "properties": {"virtualNetwork": network, "registrationEnabled": false}});
    cloud.done("PUT", &format!("{zone}/virtualNetworkLinks/l"), link).await;
    let set = json!({"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "172.18.0.2"}, {"ipv4Address": "172.18.0.3"}]}});
    let made = cloud.call("PUT", &format!("{zone}/A/db"), set.clone()).await;
    assert_eq!((made.status.as_u16(), &made.json()["properties"]["fqdn"]), (201, &json!("db.net.internal.")));
    assert_eq!(cloud.call("PUT", &format!("{zone}/A/db"), set).await.status, 200);
    assert_eq!(cloud.get(&format!("{zone}/ALL")).await["value"].as_array().unwrap().len(), 2, "with the SOA");
    let found = cloud.get(&zone).await;
    assert_eq!(found["properties"]["numberOfVirtualNetworkLinks"], 1);
    assert_eq!(
        cloud.call("DELETE", &zone, Value::Null).await.error(),
        (409, "CannotDeleteResource".to_owned())
    );
    cloud.done("DELETE", &format!("{zone}/virtualNetworkLinks/l"), Value::Null).await;
    cloud.done("DELETE", &zone, Value::Null).await;
    assert_eq!(cloud.call("GET", &format!("{zone}/A/db"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_zone_is_there_from_the_start_and_linked_to_the_network() {
    let cloud = Cloud::start().await;
    let info = cloud.server.info();
    let zone = format!("{}/Microsoft.Network/privateDnsZones/{}", cloud.group(), info.dns_zone);
    let found = cloud.get(&zone).await;
    assert_eq!(found["properties"]["numberOfRecordSets"], 1, "its SOA: {found}");
    let links = cloud.get(&format!("{zone}/virtualNetworkLinks")).await;
    assert_eq!(links["value"][0]["properties"]["virtualNetwork"]["id"], info.network);
    let set = json!({"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "172.18.0.2"}]}});
    assert_eq!(cloud.call("PUT", &format!("{zone}/A/db"), set).await.status, 201);
    // Not made anew over what is there.
    let Cloud { server, folder, .. } = cloud;
    server.shutdown().await;
    let again = Cloud::again(folder, Fake::default(), |_| {}).await;
    assert_eq!(again.get(&zone).await["properties"]["numberOfRecordSets"], 2);
}

#[tokio::test]
async fn broken_records_are_refused() {
    let cloud = Cloud::start().await;
    let zone = zone(&cloud);
    cloud.done("PUT", &zone, json!({"location": "global"})).await;
    for (path, properties) in [
        ("A/db", json!({"ttl": 10, "aRecords": [{"ipv4Address": "nowhere"}]})),
        ("A/db", json!({"ttl": 10, "aRecords": []})),
        ("A/db", json!({"aRecords": [{"ipv4Address": "10.0.0.1"}]})),
        ("A/db", json!({"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.1"}, {"ipv4Address": "10.0.0.1"}]})),
        ("A/db", json!({"ttl": 10, "cnameRecord": {"cname": "x"}})),
        ("Z/db", json!({"ttl": 10})),
        ("A/a%20b", json!({"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.1"}]})),
    ] {
        let answer = cloud.call("PUT", &format!("{zone}/{path}"), json!({"properties": properties})).await;
        assert_eq!(answer.error(), (400, "BadRequest".to_owned()), "{path} {properties}");
    }
    let good = json!({"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.1"}]}});
    cloud.ok("PUT", &format!("{zone}/A/db"), good.clone()).await;
    let alias = json!({"properties": {"ttl": 10, "cnameRecord": {"cname": "x"}}});
    assert_eq!(cloud.call("PUT", &format!("{zone}/CNAME/db"), alias).await.status, 409);
    let version = &schema::privatedns().version;
    let path = format!("{zone}/A/db?api-version={version}");
    let again = cloud.raw("PUT", &path, &[("if-none-match", "*")], good.to_string()).await;
    assert_eq!(again.error(), (412, "PreconditionFailed".to_owned()));
}
