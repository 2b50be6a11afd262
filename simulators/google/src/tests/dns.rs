//! Managed zones, their records, and what the name server says of them.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Cloud, Refused as _};

const ZONES: &str = "/dns/v1/projects/sim-project/managedZones";
const NETWORK: &str = "https://www.googleapis.com/compute/v1/projects/sim-project/global/networks/default";

fn zone(name: &str, dns_name: &str) -> Value {
    json!({
        "name": name,
        "dnsName": dns_name,
        "description": "a network",
        "visibility": "private",
        "privateVisibilityConfig": {"networks": [{"networkUrl": NETWORK}]},
        "labels": {"managed-by": "sockerless"},
    })
}

fn set(name: &str, addresses: &[&str]) -> Value {
    json!({"name": name, "type": "A", "ttl": 10, "rrdatas": addresses})
}

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud.ok("POST", ZONES, zone("net", "ab.sockerless.internal.")).await;
    cloud
}

/// Makes a change and waits until the name server knows of it.
async fn change(cloud: &Cloud, body: Value) -> Value {
    let made = cloud.ok("POST", &format!("{ZONES}/net/changes"), body).await;
    assert_eq!(made["status"], "pending");
    loop {
        let path = format!("{ZONES}/net/changes/{}", made["id"].as_str().unwrap());
        let now = cloud.get(&path).await;
        if now["status"] == "done" {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = b"\x07\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, kind, 0, 1]);
    bytes
}

fn server(cloud: &Cloud) -> SocketAddr {
    cloud.server.info().dns.parse().unwrap()
}

async fn by_udp(cloud: &Cloud, name: &str) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&question(name, 1), server(cloud)).await.unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    buffer[..length].to_vec()
}

/// Code, authoritative, and the addresses of an answer with A records alone.
fn read(bytes: &[u8], name: &str) -> (u8, bool, Vec<Ipv4Addr>) {
    let count = usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
    // Each: the name as asked, ten bytes, the address.
    let each = question(name, 1).len() - 12 - 4 + 10 + 4;
    let begin = question(name, 1).len();
    let address = |index: usize| -> [u8; 4] {
        let end = begin + (index + 1) * each;
        bytes[end - 4..end].try_into().unwrap()
    };
    (bytes[3] & 0xf, bytes[2] & 4 != 0, (0..count).map(|index| address(index).into()).collect())
}

async fn resolve(cloud: &Cloud, name: &str) -> (u8, bool, Vec<Ipv4Addr>) {
    read(&by_udp(cloud, name).await, name)
}

#[tokio::test]
async fn a_zone_is_made_listed_and_deleted() {
    let cloud = cloud().await;
    cloud.ok("POST", ZONES, zone("other", "cd.sockerless.internal.")).await;
    let made = cloud.get(&format!("{ZONES}/net")).await;
    assert_eq!(made["nameServers"], json!(["ns-gcp-private.googledomains.com."]));
    assert_eq!(made["privateVisibilityConfig"]["networks"][0]["networkUrl"], NETWORK);
    let first = cloud.get(&format!("{ZONES}?maxResults=1")).await;
    assert_eq!(first["managedZones"][0]["name"], "net");
    let next = first["nextPageToken"].as_str().unwrap();
    let second = cloud.get(&format!("{ZONES}?maxResults=1&pageToken={next}")).await;
    assert_eq!(
        (&second["managedZones"][0]["name"], &second["nextPageToken"]),
        (&json!("other"), &Value::Null)
    );
    let named = cloud.get(&format!("{ZONES}?dnsName=cd.sockerless.internal.")).await;
    assert_eq!(named["managedZones"].as_array().unwrap().len(), 1);
    assert_eq!(cloud.ok("DELETE", &format!("{ZONES}/other"), Value::Null).await, Value::Null);
    let gone = cloud.call("GET", &format!("{ZONES}/other"), Value::Null).await.error();
    assert_eq!(
        gone,
        (
            404,
            "notFound".into(),
            "The 'parameters.managedZone' resource named 'other' does not exist.".into()
        )
    );
}

#[tokio::test]
async fn a_zone_that_cannot_be_is_refused_by_its_field() {
    let cloud = cloud().await;
    let again = cloud.call("POST", ZONES, zone("net", "ef.internal.")).await.error();
    assert_eq!(
        again,
        (409, "alreadyExists".into(), "The resource 'entity.managedZone' named 'net' already exists".into())
    );
    for (field, value, message) in [
        ("name", json!("Net"), "Invalid value for 'entity.managedZone.name': 'Net'"),
        ("dnsName", json!("no.dot"), "Invalid value for 'entity.managedZone.dnsName': 'no.dot'"),
        ("dnsName", json!(""), "The 'entity.managedZone.dnsName' parameter is required but was missing."),
        ("labels", json!({"k": "Ü"}), "Invalid value for 'entity.managedZone.labels[k]': 'Ü'"),
        (
            "privateVisibilityConfig",
            json!({"networks": [{"networkUrl": "default"}]}),
            "Invalid value for 'entity.managedZone.privateVisibilityConfig.networks[0].networkUrl': 'default'",
        ),
        (
            "colour",
            json!("red"),
            "Invalid JSON payload received. Unknown name \"colour\" at 'managed_zone': Cannot find field.",
        ),
    ] {
        let mut body = zone("new", "new.internal.");
        body[field] = value;
        let reason = if message.contains("required") { "required" } else { "invalid" };
        assert_eq!(cloud.call("POST", ZONES, body).await.error(), (400, reason.into(), message.into()));
    }
    let nowhere = NETWORK.replace("default", "nowhere");
    let mut body = zone("new", "new.internal.");
    body["privateVisibilityConfig"]["networks"][0]["networkUrl"] = json!(nowhere);
    assert_eq!(cloud.call("POST", ZONES, body).await.error().0, 404);
    let twice = cloud.call("POST", ZONES, zone("twin", "ab.sockerless.internal.")).await.error();
    assert_eq!(twice.0, 400, "a network sees one zone of a name");
    let foreign = cloud.call("GET", "/dns/v1/projects/other/managedZones", Value::Null).await.error();
    assert_eq!((foreign.0, foreign.1.as_str()), (403, "forbidden"));
}

#[tokio::test]
async fn a_project_has_so_many_zones() {
    let cloud = Cloud::with(super::Fake::default(), |config| config.quotas.managed_zones = 1).await;
    cloud.ok("POST", ZONES, zone("one", "a.internal.")).await;
    let second = cloud.call("POST", ZONES, zone("two", "b.internal.")).await.error();
    assert_eq!((second.0, second.1.as_str()), (403, "quotaExceeded"));
    let project = cloud.get("/dns/v1/projects/sim-project").await;
    assert_eq!(project["quota"]["managedZones"], 1);
}

#[tokio::test]
async fn the_name_server_answers_what_the_zone_holds() {
    let cloud = cloud().await;
    let name = "db.ab.sockerless.internal.";
    assert_eq!(resolve(&cloud, name).await, (3, true, vec![]));
    change(&cloud, json!({"additions": [set(name, &["172.18.0.2", "172.18.0.3"])]})).await;
    let both = vec![Ipv4Addr::new(172, 18, 0, 2), Ipv4Addr::new(172, 18, 0, 3)];
    assert_eq!(resolve(&cloud, name).await, (0, true, both));
    let moved = json!({"deletions": [set(name, &["172.18.0.3", "172.18.0.2"])], "additions": [set(name, &["172.18.0.9"])]});
    change(&cloud, moved).await;
    assert_eq!(resolve(&cloud, name).await, (0, true, vec![Ipv4Addr::new(172, 18, 0, 9)]));
    change(&cloud, json!({"deletions": [set(name, &["172.18.0.9"])]})).await;
    assert_eq!(resolve(&cloud, name).await, (3, true, vec![]));
    assert_eq!(resolve(&cloud, "example.com.").await, (5, false, vec![]));
    cloud.ok("DELETE", &format!("{ZONES}/net"), Value::Null).await;
    assert_eq!(resolve(&cloud, name).await, (5, false, vec![]));
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_a_datagram_comes_by_tcp() {
    let cloud = cloud().await;
    let name = "many.ab.sockerless.internal.";
    let addresses: Vec<String> = (1..=60).map(|last| format!("172.18.0.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    change(&cloud, json!({"additions": [set(name, &addresses)]})).await;
    let cut = by_udp(&cloud, name).await;
    assert!(cut.len() <= 512 && cut[2] & 2 != 0);
    let mut stream = TcpStream::connect(server(&cloud)).await.unwrap();
    for _ in 0..2 {
        let question = question(name, 1);
        stream.write_u16(question.len() as u16).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut whole = vec![0; usize::from(length)];
        stream.read_exact(&mut whole).await.unwrap();
        assert_eq!(read(&whole, name).2.len(), 60);
    }
}

#[tokio::test]
async fn a_change_is_made_as_a_whole_or_not_at_all() {
    let cloud = cloud().await;
    let (one, two) = ("one.ab.sockerless.internal.", "two.ab.sockerless.internal.");
    change(&cloud, json!({"additions": [set(one, &["10.0.0.1"])]})).await;
    let half = json!({"additions": [set(two, &["10.0.0.2"]), set(one, &["10.0.0.2"])]});
    let refused = cloud.call("POST", &format!("{ZONES}/net/changes"), half).await.error();
    assert_eq!((refused.0, refused.1.as_str()), (409, "alreadyExists"));
    let other = json!({"additions": [set(two, &["10.0.0.2"])], "deletions": [set(one, &["10.0.0.7"])]});
    let refused = cloud.call("POST", &format!("{ZONES}/net/changes"), other).await.error();
    assert_eq!((refused.0, refused.1.as_str()), (412, "conditionNotMet"));
    let nothing = cloud.call("POST", &format!("{ZONES}/net/changes"), json!({})).await.error();
    assert_eq!((nothing.0, nothing.1.as_str()), (400, "required"));
    let held = cloud.get(&format!("{ZONES}/net/rrsets")).await;
    let kinds: Vec<&str> =
        held["rrsets"].as_array().unwrap().iter().map(|set| set["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["NS", "SOA", "A"]);
    let full = cloud.call("DELETE", &format!("{ZONES}/net"), Value::Null).await.error();
    assert_eq!((full.0, full.1.as_str()), (400, "containerNotEmpty"));
    let made = cloud.get(&format!("{ZONES}/net/changes")).await;
    let ids: Vec<&str> =
        made["changes"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "0"]);
}

#[tokio::test]
async fn a_record_set_by_itself_is_made_changed_and_deleted() {
    let cloud = cloud().await;
    let name = "db.ab.sockerless.internal.";
    let path = format!("{ZONES}/net/rrsets/{name}/A");
    cloud.ok("POST", &format!("{ZONES}/net/rrsets"), set(name, &["10.0.0.1"])).await;
    let patched = cloud.ok("PATCH", &path, json!({"rrdatas": ["10.0.0.2"]})).await;
    assert_eq!((&patched["ttl"], &patched["rrdatas"]), (&json!(10), &json!(["10.0.0.2"])));
    assert_eq!(cloud.get(&path).await, patched);
    let listed = cloud.get(&format!("{ZONES}/net/rrsets?name={name}&type=A")).await;
    assert_eq!(listed["rrsets"], json!([patched]));
    cloud.ok("DELETE", &path, Value::Null).await;
    assert_eq!(cloud.call("DELETE", &path, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_restart_loses_no_zone_and_nothing_stays_pending() {
    let cloud = cloud().await;
    let name = "db.ab.sockerless.internal.";
    cloud.ok("POST", &format!("{ZONES}/net/changes"), json!({"additions": [set(name, &["10.0.0.1"])]})).await;
    let folder = cloud.folder.clone();
    cloud.server.shutdown().await;
    let cloud = Cloud::again(folder, super::Fake::default(), |_| {}).await;
    assert_eq!(resolve(&cloud, name).await.2, [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!(cloud.get(&format!("{ZONES}/net/changes/1")).await["status"], "done");
}

#[tokio::test]
async fn a_minute_holds_so_many_calls() {
    let cloud = Cloud::with(super::Fake::default(), |config| config.quotas.dns_calls_per_minute = 2).await;
    cloud.get(ZONES).await;
    cloud.get(ZONES).await;
    let third = cloud.call("GET", ZONES, Value::Null).await;
    assert_eq!((third.error().0, third.error().1.as_str()), (429, "rateLimitExceeded"));
    let after: u64 = third.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&after));
}
