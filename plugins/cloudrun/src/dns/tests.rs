use serde_json::Value;
use sockerless_plugin_sdk::{Method, testing::response};

use super::*;
use crate::testing::{host, on, plugin};

const ZONES: &str = "https://dns.googleapis.com/dns/v1/projects/proj/managedZones";

fn zone() -> Zone {
    Zone {
        name: "sockerless-net-ab".into(),
        domain: "ab.sockerless.internal.".into(),
        owner: "d0".into(),
        labels: vec![("network".into(), "ab".into()), ("name".into(), "My Net".into())],
    }
}

fn managed(owner: &str) -> Value {
    json!({
        "name": "sockerless-net-ab",
        "dnsName": "ab.sockerless.internal.",
        "description": "A network of Sockerless. [[\"name\",\"My Net\"]]",
        "labels": {"managed-by": "sockerless", "sockerless-owner": owner},
    })
}

fn refusal(code: u16, reason: &str) -> Response {
    response(code, json!({"error": {"code": code, "message": "no", "errors": [{"reason": reason}]}}))
}

fn set(addresses: &[&str]) -> Value {
    json!({"name": "db.ab.sockerless.internal.", "type": "A", "ttl": 10, "rrdatas": addresses})
}

fn record(addresses: &[&str]) -> AddressRecord {
    AddressRecord {
        name: "db".into(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        ttl_seconds: 10,
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body.as_deref().unwrap_or(b"null")).unwrap()
}

#[test]
fn a_zone_is_private_to_the_network_and_carries_its_labels() {
    let (plugin, host) = plugin(|_| response(200, "{}"));
    plugin.ensure_zone(zone()).unwrap();
    let request = &host.requests()[0];
    assert_eq!((request.method, request.url.as_str()), (Method::Post, ZONES));
    let network = "https://www.googleapis.com/compute/v1/projects/proj/global/networks/default";
    assert_eq!(
        body(request),
        json!({
            "name": "sockerless-net-ab",
            "dnsName": "ab.sockerless.internal.",
            "description": "A network of Sockerless. [[\"network\",\"ab\"],[\"name\",\"My Net\"]]",
            "visibility": "private",
            "privateVisibilityConfig": {"networks": [{"networkUrl": network}]},
            "labels": {"managed-by": "sockerless", "sockerless-owner": "d0", "sockerless-network": "ab"},
        })
    );
}

#[test]
fn a_zone_that_is_there_is_the_owners_or_somebody_elses() {
    for (owner, outcome) in [("d0", None), ("d1", Some(ErrorCode::AlreadyExists))] {
        let (plugin, _) = plugin(move |request| match request.method {
            Method::Post => refusal(409, "alreadyExists"),
            _ => response(200, managed(owner)),
        });
        assert_eq!(plugin.ensure_zone(zone()).err().map(|error| error.code), outcome);
    }
}

#[test]
fn switched_off_there_are_no_zones_and_no_calls() {
    let (plugin, host) = on(host().setting("dns", "off"));
    for outcome in [
        plugin.ensure_zone(zone()),
        plugin.delete_zone("z".into()),
        plugin.upsert("z".into(), record(&["10.0.0.1"])),
        plugin.remove_record("z".into(), "db".into()),
        plugin.records("z".into()).map(drop),
        plugin.zones("d0".into(), None).map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().code, ErrorCode::Unsupported);
    }
    assert!(host.requests().is_empty());
}

#[test]
fn a_new_record_is_an_addition_and_an_old_one_is_replaced() {
    let (plugin, host) = plugin(|request| match request.method {
        Method::Get if request.url.contains("/rrsets/") => response(200, set(&["10.0.0.1"])),
        Method::Get => response(200, managed("d0")),
        _ if body(request)["deletions"].is_null() => refusal(409, "alreadyExists"),
        _ => response(200, "{}"),
    });
    plugin.upsert("sockerless-net-ab".into(), record(&["10.0.0.2"])).unwrap();
    let requests = host.requests();
    assert_eq!(body(&requests[1]), json!({"additions": [set(&["10.0.0.2"])]}));
    assert_eq!(requests[2].url, format!("{ZONES}/sockerless-net-ab/rrsets/db.ab.sockerless.internal./A"));
    let replaced = json!({"deletions": [set(&["10.0.0.1"])], "additions": [set(&["10.0.0.2"])]});
    assert_eq!(body(&requests[3]), replaced);
    // The same again changes nothing.
    plugin.upsert("sockerless-net-ab".into(), record(&["10.0.0.1"])).unwrap();
    assert_eq!(host.requests().len(), 7);
}

#[test]
fn whoever_comes_between_makes_the_host_come_again() {
    let (plugin, _) = plugin(|request| match request.method {
        Method::Get if request.url.contains("/rrsets/") => response(200, set(&["10.0.0.1"])),
        Method::Get => response(200, managed("d0")),
        _ if body(request)["deletions"].is_null() => refusal(409, "alreadyExists"),
        _ => refusal(412, "conditionNotMet"),
    });
    let error = plugin.upsert("z".into(), record(&["10.0.0.2"])).unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::NotReady, Some(412)));
    assert_eq!(plugin.remove_record("z".into(), "db".into()).unwrap_err().code, ErrorCode::NotReady);
}

#[test]
fn a_record_that_nobody_could_ask_for_is_refused() {
    let (plugin, _) = plugin(|_| response(200, managed("d0")));
    let odd = AddressRecord { name: "a..b".into(), ..record(&["10.0.0.1"]) };
    assert_eq!(plugin.upsert("z".into(), odd).unwrap_err().code, ErrorCode::InvalidArgument);
}

#[test]
fn what_is_gone_is_deleted_without_an_error() {
    let (plugin, _) = plugin(|_| refusal(404, "notFound"));
    plugin.delete_zone("z".into()).unwrap();
    plugin.remove_record("z".into(), "db".into()).unwrap();
    plugin.upsert("z".into(), record(&[])).unwrap();
    assert_eq!(plugin.upsert("z".into(), record(&["10.0.0.1"])).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(plugin.records("z".into()).unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn a_zone_goes_with_its_records_but_not_with_the_two_it_needs() {
    let (plugin, host) = plugin(|request| match request.method {
        Method::Get if request.url.contains("/rrsets") => {
            let apex = |kind: &str| json!({"name": "ab.sockerless.internal.", "type": kind, "ttl": 1, "rrdatas": ["x."]});
            response(200, json!({"rrsets": [apex("NS"), apex("SOA"), set(&["10.0.0.1"])]}))
        }
        Method::Get => response(200, managed("d1")),
        _ => response(204, ""),
    });
    plugin.delete_zone("sockerless-net-ab".into()).unwrap();
    let requests = host.requests();
    assert_eq!(body(&requests[2]), json!({"deletions": [set(&["10.0.0.1"])]}));
    assert_eq!(requests[3].method, Method::Delete);
}

#[test]
fn a_zone_of_somebody_else_is_left_alone() {
    let (plugin, host) = plugin(|_| response(200, json!({"name": "prod", "dnsName": "example.com."})));
    assert_eq!(plugin.delete_zone("prod".into()).unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn only_the_owners_zones_are_listed_with_their_exact_labels() {
    let (plugin, _) = plugin(|_| {
        let foreign = json!({"name": "prod", "dnsName": "example.com."});
        response(200, json!({"managedZones": [managed("d1"), managed("d0"), foreign], "nextPageToken": "n"}))
    });
    let page = plugin.zones("d0".into(), None).unwrap();
    assert_eq!(page.next.as_deref(), Some("n"));
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].labels, [("name".to_owned(), "My Net".to_owned())]);
    assert_eq!(page.items[0].domain, "ab.sockerless.internal.");
}

#[test]
fn the_records_of_a_zone_are_those_with_addresses() {
    let (plugin, _) = plugin(|request| match request.url.contains("/rrsets") {
        true => {
            let text =
                json!({"name": "t.ab.sockerless.internal.", "type": "TXT", "ttl": 1, "rrdatas": ["x"]});
            response(200, json!({"rrsets": [text, set(&["10.0.0.1", "10.0.0.2"])]}))
        }
        false => response(200, managed("d0")),
    });
    assert_eq!(plugin.records("z".into()).unwrap(), [record(&["10.0.0.1", "10.0.0.2"])]);
}

#[test]
fn an_operator_without_rights_or_network_is_told_what_to_set() {
    for (status, reason, hint) in [(403, "forbidden", "roles/dns.admin"), (404, "notFound", "`dns_network`")]
    {
        let (plugin, _) = plugin(move |_| refusal(status, reason));
        let error = plugin.ensure_zone(zone()).unwrap_err();
        assert!(error.message.contains(hint) && error.message.contains("`dns` = off"), "{error:?}");
        assert_eq!(error.provider_status, Some(status));
    }
}
