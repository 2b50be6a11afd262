use std::{cell::RefCell, collections::BTreeMap};

use proptest::prelude::*;
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Method, Response,
    testing::{FakeHost, response},
};

use super::*;
use crate::testing::{asked, host, on, refused};

/// A private DNS zone that keeps its record sets.
fn dns() -> FakeHost {
    let sets: RefCell<BTreeMap<String, Value>> = RefCell::default();
    host().setting("dns_zone", "sockerless.internal").answering(move |request| answer(&sets, request))
}

fn answer(sets: &RefCell<BTreeMap<String, Value>>, request: &Request) -> Response {
    let path =
        request.url.split('?').next().unwrap().split("/sockerless.internal/").nth(1).unwrap().to_owned();
    let mut sets = sets.borrow_mut();
    let (kind, name) = path.split_once('/').unwrap_or((&path, ""));
    match request.method {
        Method::Get if name.is_empty() => {
            let of = |(key, _): &(&String, &Value)| key.starts_with(&format!("{kind}/"));
            response(200, json!({"value": sets.iter().filter(of).map(|(_, set)| set).collect::<Vec<_>>()}))
        }
        Method::Get => sets.get(&path).map_or_else(|| refused(404, "NotFound"), |set| response(200, set)),
        Method::Put => {
            let mut set = crate::testing::body(request);
            set["name"] = json!(name);
            sets.insert(path.clone(), set.clone());
            response(201, set)
        }
        _ => response(if sets.remove(&path).is_some() { 200 } else { 204 }, ""),
    }
}

fn zone(owner: &str) -> Zone {
    Zone {
        name: "sockerless-net-0123456789ab".into(),
        domain: "0123456789ab.sockerless.internal.".into(),
        owner: owner.into(),
        labels: vec![("name".into(), "größe".into())],
    }
}

fn address(name: &str, address: &str) -> AddressRecord {
    AddressRecord { name: name.into(), addresses: vec![address.into()], ttl_seconds: 10 }
}

#[test]
fn a_network_lives_in_the_operators_zone_with_its_records() {
    let (plugin, host) = on(dns());
    let name = zone("d0").name;
    plugin.ensure_zone(zone("d0")).unwrap();
    plugin.ensure_zone(zone("d0")).unwrap();
    plugin.upsert(name.clone(), address("DB", "172.18.0.2")).unwrap();
    plugin.upsert(name.clone(), address("db", "172.18.0.3")).unwrap();
    assert!(asked(&host).contains(
        &"PUT RG/providers/Microsoft.Network/privateDnsZones/sockerless.internal/A/db.0123456789ab".into()
    ));
    assert_eq!(plugin.records(name.clone()).unwrap(), [address("db", "172.18.0.3")]);
    assert_eq!(plugin.zones("d0".into(), None).unwrap().items, [zone("d0")]);
    assert!(plugin.zones("d1".into(), None).unwrap().items.is_empty());
    plugin.remove_record(name.clone(), "db".into()).unwrap();
    plugin.remove_record(name.clone(), "db".into()).unwrap();
    assert!(plugin.records(name.clone()).unwrap().is_empty());
    plugin.upsert(name.clone(), address("web", "172.18.0.4")).unwrap();
    plugin.delete_zone(name.clone()).unwrap();
    plugin.delete_zone(name.clone()).unwrap();
    assert_eq!(plugin.records(name).unwrap_err().code, ErrorCode::NotFound);
    assert!(plugin.zones("d0".into(), None).unwrap().items.is_empty());
}

#[test]
fn a_zone_of_another_daemon_is_not_taken() {
    let (plugin, _) = on(dns());
    plugin.ensure_zone(zone("d0")).unwrap();
    assert_eq!(plugin.ensure_zone(zone("d1")).unwrap_err().code, ErrorCode::AlreadyExists);
}

#[test]
fn a_domain_outside_the_operators_zone_becomes_a_subtree_of_the_zones_name() {
    let inside =
        |domain: &str| Subtree::new(Zone { domain: domain.into(), ..zone("d0") }, "corp.example").below;
    assert_eq!(inside("ab.corp.example."), "ab");
    assert_eq!(inside("a.b.corp.example."), "a.b");
    assert_eq!(inside("ab.sockerless.internal."), "sockerless-net-0123456789ab");
    assert_eq!(inside("xcorp.example."), "sockerless-net-0123456789ab");
}

#[test]
fn without_a_configured_zone_there_are_none() {
    let (plugin, host) = on(host());
    assert_eq!(plugin.ensure_zone(zone("d0")).unwrap_err().code, ErrorCode::Unsupported);
    assert_eq!(plugin.upsert("z".into(), address("a", "1.2.3.4")).unwrap_err().code, ErrorCode::Unsupported);
    assert!(host.requests().is_empty());
}

#[test]
fn what_dns_cannot_hold_is_refused() {
    let (plugin, _) = on(dns());
    plugin.ensure_zone(zone("d0")).unwrap();
    for bad in ["", "a..b", "-a", "ü", "a b", "../x"] {
        let error = plugin.upsert(zone("d0").name, address(bad, "1.2.3.4")).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{bad}");
    }
    assert_eq!(
        plugin.ensure_zone(Zone { name: "a.b".into(), ..zone("d0") }).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
}

#[test]
fn a_foreign_text_record_is_left_alone() {
    let host = host().setting("dns_zone", "sockerless.internal").answering(|_| {
        response(200, json!({"name": "x", "properties": {"txtRecords": [{"value": ["v=spf1 -all"]}]}}))
    });
    let (plugin, host) = on(host);
    assert_eq!(plugin.delete_zone("x".into()).unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(host.requests().len(), 1);
}

proptest! {
    #[test]
    fn a_network_reads_what_it_wrote_of_itself(labels in prop::collection::vec((".{0,40}", ".{0,40}"), 0..6)) {
        let zone = Zone { labels, ..zone("d0") };
        let subtree = Subtree::new(zone.clone(), "sockerless.internal");
        let mut set = subtree.body().unwrap();
        set["name"] = json!(zone.name);
        let pieces = set["properties"]["txtRecords"][0]["value"].as_array().unwrap().clone();
        prop_assert!(pieces.iter().all(|piece| piece.as_str().unwrap().is_ascii() && piece.as_str().unwrap().len() <= 255));
        let set: RecordSet = serde_json::from_value(set).unwrap();
        prop_assert_eq!(set.subtree().unwrap().into_zone(), zone);
    }
}
