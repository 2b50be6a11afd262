//! Zones and records, and what a name server says of them.

use sockerless_ports::backend::{AddressRecord, Dns, ErrorCode, Zone};
use tokio::net::UdpSocket;

use crate::cloud::{Cloud, Faults, OWNER, cloud, cloud_with};

const ZONE: &str = "sockerless-net-0123456789ab";
const DOMAIN: &str = "0123456789ab.sockerless.internal.";

fn zone() -> Zone {
    Zone {
        name: ZONE.into(),
        domain: DOMAIN.into(),
        owner: OWNER.into(),
        labels: vec![("network".into(), "0123456789ab".into()), ("name".into(), "My Net".into())],
    }
}

fn record(name: &str, addresses: &[&str]) -> AddressRecord {
    AddressRecord {
        name: name.into(),
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
        ttl_seconds: 10,
    }
}

/// The code and the number of answers for a name's addresses.
async fn ask(cloud: &Cloud, name: &str) -> (u8, u8) {
    let mut question = b"\x07\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in format!("{name}.{DOMAIN}").trim_end_matches('.').split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question, &cloud.server.info().dns).await.unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).await.unwrap();
    (answer[3] & 0xf, answer[7])
}

/// A change takes its time, as in the cloud.
async fn until(cloud: &Cloud, name: &str, wanted: (u8, u8)) {
    let asking = async {
        while ask(cloud, name).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::cloud::PATIENCE, asking).await.expect("the name server learns of it");
}

#[tokio::test]
async fn a_networks_names_are_answered_by_the_clouds_name_server() {
    let cloud = cloud().await;
    let plugin = &cloud.plugin;
    plugin.ensure_zone(&zone()).await.unwrap();
    plugin.ensure_zone(&zone()).await.unwrap();
    plugin.upsert(ZONE, &record("db", &["172.18.0.2"])).await.unwrap();
    until(&cloud, "db", (0, 1)).await;
    plugin.upsert(ZONE, &record("db", &["172.18.0.2", "172.18.0.3"])).await.unwrap();
    plugin.upsert(ZONE, &record("Web_1", &["172.18.0.4"])).await.unwrap();
    until(&cloud, "db", (0, 2)).await;
    until(&cloud, "web_1", (0, 1)).await;

    let mut records = plugin.records(ZONE).await.unwrap();
    records.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(records, [record("db", &["172.18.0.2", "172.18.0.3"]), record("web_1", &["172.18.0.4"])]);

    plugin.remove_record(ZONE, "db").await.unwrap();
    plugin.remove_record(ZONE, "db").await.unwrap();
    until(&cloud, "db", (3, 0)).await;
    plugin.delete_zone(ZONE).await.unwrap();
    plugin.delete_zone(ZONE).await.unwrap();
    plugin.remove_record(ZONE, "web_1").await.unwrap();
    until(&cloud, "web_1", (5, 0)).await;
    let gone = plugin.upsert(ZONE, &record("db", &["172.18.0.2"])).await.unwrap_err();
    assert_eq!((gone.code, gone.provider_status), (ErrorCode::NotFound, Some(404)));
    cloud.close().await;
}

#[tokio::test]
async fn a_zone_belongs_to_one_daemon() {
    let cloud = cloud().await;
    cloud.plugin.ensure_zone(&zone()).await.unwrap();
    let theirs = Zone { owner: "d1".into(), ..zone() };
    let refused = cloud.plugin.ensure_zone(&theirs).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert!(refused.message.contains("already exists"), "{refused:?}");
    assert_eq!(cloud.plugin.zones(OWNER, None).await.unwrap().items, [zone()]);
    assert_eq!(cloud.plugin.zones("d1", None).await.unwrap().items, []);
    cloud.close().await;
}

#[tokio::test]
async fn many_zones_are_listed_page_by_page() {
    let cloud = cloud().await;
    for index in 0..105 {
        let zone = Zone { name: format!("z{index}"), domain: format!("z{index}.internal."), ..zone() };
        cloud.plugin.ensure_zone(&zone).await.unwrap();
    }
    let (mut found, mut cursor) = (0, None);
    loop {
        let page = cloud.plugin.zones(OWNER, cursor.as_deref()).await.unwrap();
        found += page.items.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, 105);
    cloud.close().await;
}

#[tokio::test]
async fn an_operator_without_zones_is_told_so() {
    let cloud = cloud_with(Faults { settings: vec![("dns", "off".into())], ..Faults::default() }).await;
    let error = cloud.plugin.ensure_zone(&zone()).await.unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::Unsupported, None));
    cloud.close().await;
}

#[tokio::test]
async fn a_network_that_does_not_exist_is_refused_in_googles_words() {
    let cloud =
        cloud_with(Faults { settings: vec![("dns_network", "nowhere".into())], ..Faults::default() }).await;
    let error = cloud.plugin.ensure_zone(&zone()).await.unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::NotFound, Some(404)));
    assert!(error.message.contains("networks/nowhere"), "{error:?}");
    cloud.close().await;
}
