use serde_json::{Value, json};

use super::*;

fn refused(body: Value) -> (String, String) {
    let api = appcontainers();
    let error = api.request(&api.methods["jobs_create_or_update"], body.to_string().as_bytes()).unwrap_err();
    (error.code, error.message)
}

#[test]
fn every_table_is_read_whole() {
    for (api, text) in [
        (appcontainers(), include_str!("../../schemas/appcontainers.json")),
        (storage(), include_str!("../../schemas/storage.json")),
        (privatedns(), include_str!("../../schemas/privatedns.json")),
    ] {
        let table: Value = serde_json::from_str(text).unwrap();
        assert_eq!(table["version"], api.version);
        assert_eq!(table["methods"].as_object().unwrap().len(), api.methods.len());
        for (name, schema) in table["schemas"].as_object().unwrap() {
            for word in schema.as_object().unwrap().values() {
                assert!(
                    sockerless_simulator_common::schema::field(word.as_str().unwrap()).is_some(),
                    "{word}"
                );
            }
            assert_eq!(schema.as_object().unwrap().len(), api.schemas[name].len());
        }
    }
}

#[test]
fn wrong_bodies_are_refused_in_the_words_of_resource_manager() {
    for (body, words) in [
        (
            json!({"location": "l", "colour": 1}),
            "Could not find member 'colour' on object of type 'Job'. Path 'colour'",
        ),
        (
            json!({"location": "l", "properties": {"configuration": {"replicaTimeout": "x", "triggerType": "Manual"}}}),
            "Error converting value \"x\" to type 'System.Int32'. Path 'properties.configuration.replicaTimeout'",
        ),
        (
            json!({"location": "l", "properties": {"configuration": {"replicaTimeout": 1, "triggerType": "Never"}}}),
            "to type 'Schedule|Event|Manual'",
        ),
        (
            json!({"location": "l", "properties": {"configuration": {"triggerType": "Manual"}}}),
            "Required property 'replicaTimeout'",
        ),
        (json!({"location": "l", "properties": {"template": {"containers": {}}}}), "to type 'list'"),
    ] {
        let (code, message) = refused(body);
        assert_eq!(code, "InvalidRequestContent");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(refused(json!({})).0, "LocationRequired");
}

#[test]
fn what_only_the_server_sets_is_left_out_and_names_are_spelled_as_the_model_has_them() {
    let api = appcontainers();
    let body = json!({"Location": "l", "id": "x", "name": null, "properties": {"provisioningState": "Failed", "configuration":
        {"replicaTimeout": 1, "triggerType": "manual"}}});
    let read = api.request(&api.methods["jobs_create_or_update"], body.to_string().as_bytes()).unwrap();
    let wanted = json!({"location": "l", "properties": {"configuration": {"replicaTimeout": 1, "triggerType": "Manual"}}});
    assert_eq!(read, wanted);
}

#[test]
fn a_literal_segment_goes_before_a_name() {
    let path =
        "subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z/virtualNetworkLinks";
    let path: Vec<&str> = path.split('/').collect();
    assert_eq!(privatedns().find("GET", &path).unwrap().0, "virtual_network_links_list");
}

#[test]
fn a_member_that_no_model_has_is_refused_wherever_it_stands_and_whichever_provider_is_asked() {
    let ingress =
        json!({"location": "l", "properties": {"configuration": {"ingress": {"targetPort": 80, "door": 1}}}});
    let replica =
        json!({"location": "l", "properties": {"template": {"containers": [{"name": "a", "imagine": "b"}]}}});
    let record =
        json!({"properties": {"ttl": 1, "aRecords": [{"ipv4Address": "10.0.0.1", "ipv5Address": "x"}]}});
    for (api, method, body, member) in [
        (appcontainers(), "container_apps_create_or_update", ingress, "door"),
        (appcontainers(), "jobs_create_or_update", replica, "imagine"),
        (
            storage(),
            "file_shares_create",
            json!({"properties": {"shareQuota": 1, "colour": "red"}}),
            "colour",
        ),
        (privatedns(), "record_sets_create_or_update", record, "ipv5Address"),
    ] {
        let error = api.request(&api.methods[method], body.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code.as_str()), (400, "InvalidRequestContent"), "{method}");
        assert!(error.message.contains(&format!("Could not find member '{member}'")), "{}", error.message);
    }
}
