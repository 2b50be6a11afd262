//! What is in the account beside jobs: blobs, volumes, names, and whether all is as it has to be.

use sockerless_ports::backend::{
    AddressRecord, Backend, Dns, ErrorCode, MountRequest, MountSource, Storage, Verdict, Volume, Zone,
};

use crate::cloud::{OWNER, cloud, patiently};

#[tokio::test]
async fn the_account_is_as_the_doctor_wants_it() {
    let cloud = cloud().await;
    let checks = cloud.plugin.doctor().await.unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|check| check.verdict != Verdict::Fail), "{checks:?}");
    cloud.close().await;
}

#[tokio::test]
async fn blobs_are_written_read_listed_and_removed() {
    let cloud = cloud().await;
    let content: Vec<u8> = (0..9_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    cloud.plugin.put("agent/12ab/program", &content).await.unwrap();
    cloud.plugin.put("agent/12ab/program", &content).await.unwrap();
    let info = cloud.plugin.stat("agent/12ab/program").await.unwrap().unwrap();
    assert_eq!(info.size, 9_000_000);
    let part = cloud.plugin.get("agent/12ab/program", 8_999_990, 100).await.unwrap();
    assert_eq!(part, content[8_999_990..]);
    assert_eq!(cloud.plugin.get("agent/none", 0, 1).await.unwrap_err().code, ErrorCode::NotFound);
    let listed = cloud.plugin.blobs("agent", None).await.unwrap().items;
    let listed: Vec<_> = listed.iter().map(|blob| (blob.path.as_str(), blob.size)).collect();
    assert_eq!(listed, [("agent/12ab/program", 9_000_000)]);
    cloud.plugin.delete_blob("agent/12ab/program").await.unwrap();
    cloud.plugin.delete_blob("agent/12ab/program").await.unwrap();
    assert_eq!(cloud.plugin.stat("agent/12ab/program").await.unwrap(), None);
    cloud.close().await;
}

#[tokio::test]
async fn a_volume_is_made_mounted_measured_and_removed() {
    let cloud = cloud().await;
    let labels = vec![("com.example.Key".into(), "Ü b".into())];
    let volume = Volume { name: "Trial_1".into(), owner: OWNER.into(), labels, options: vec![] };
    cloud.plugin.create_volume(&volume).await.unwrap();
    cloud.plugin.create_volume(&volume).await.unwrap();
    assert_eq!(cloud.plugin.volumes(OWNER, None).await.unwrap().items, [volume]);
    assert_eq!(cloud.plugin.volumes("d1", None).await.unwrap().items, []);
    let wish = MountRequest {
        source: MountSource::Volume("Trial_1".into()),
        owner: OWNER.into(),
        read_only: false,
        executable: true,
        renew: false,
    };
    let first = cloud.plugin.mount(&wish).await.unwrap();
    assert_eq!(cloud.plugin.mount(&wish).await.unwrap(), first);
    let usage = cloud.plugin.usage(OWNER, "Trial_1").await.unwrap();
    assert_eq!((usage.bytes, usage.files), (0, 0));
    patiently(async || cloud.plugin.remove_volume(OWNER, "Trial_1").await).await;
    patiently(async || cloud.plugin.remove_volume(OWNER, "Trial_1").await).await;
    assert_eq!(cloud.plugin.volumes(OWNER, None).await.unwrap().items, []);
    cloud.close().await;
}

#[tokio::test]
async fn a_network_has_its_records() {
    let cloud = cloud().await;
    let zone = Zone {
        name: "sockerless-net-0123456789ab".into(),
        domain: "0123456789ab.sockerless.internal.".into(),
        owner: OWNER.into(),
        labels: vec![("name".into(), "n".into())],
    };
    let record =
        |address: &str| AddressRecord { name: "db".into(), addresses: vec![address.into()], ttl_seconds: 10 };
    cloud.plugin.ensure_zone(&zone).await.unwrap();
    cloud.plugin.ensure_zone(&zone).await.unwrap();
    cloud.plugin.upsert(&zone.name, &record("172.18.0.2")).await.unwrap();
    cloud.plugin.upsert(&zone.name, &record("172.18.0.3")).await.unwrap();
    assert_eq!(cloud.plugin.records(&zone.name).await.unwrap(), [record("172.18.0.3")]);
    assert_eq!(cloud.plugin.zones(OWNER, None).await.unwrap().items, std::slice::from_ref(&zone));
    cloud.plugin.remove_record(&zone.name, "db").await.unwrap();
    assert_eq!(cloud.plugin.records(&zone.name).await.unwrap(), []);
    cloud.plugin.upsert(&zone.name, &record("172.18.0.4")).await.unwrap();
    patiently(async || cloud.plugin.delete_zone(&zone.name).await).await;
    patiently(async || cloud.plugin.delete_zone(&zone.name).await).await;
    assert_eq!(cloud.plugin.zones(OWNER, None).await.unwrap().items, []);
    cloud.close().await;
}
