use serde_json::{Value, json};

use super::*;

const CREATE: &str = "run.projects.locations.jobs.create";

fn refused(body: Value) -> String {
    let error = run().request(CREATE, "job", body.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code, crate::error::Code::InvalidArgument);
    error.message
}

#[test]
fn every_table_is_read_whole() {
    for (api, text) in [
        (run(), include_str!("../../schemas/run.v2.json")),
        (storage(), include_str!("../../schemas/storage.v1.json")),
        (logging(), include_str!("../../schemas/logging.v2.json")),
        (dns(), include_str!("../../schemas/dns.v1.json")),
    ] {
        let table: Value = serde_json::from_str(text).unwrap();
        assert!(table["revision"].as_str().unwrap().len() == 8);
        assert_eq!(api.methods.len(), table["methods"].as_object().unwrap().len());
        for (name, fields) in table["schemas"].as_object().unwrap() {
            assert_eq!(api.schemas[name].len(), fields.as_object().unwrap().len(), "{name}");
            for word in fields.as_object().unwrap().values() {
                assert!(
                    sockerless_simulator_common::schema::field(word.as_str().unwrap()).is_some(),
                    "{word}"
                );
            }
        }
    }
}

#[test]
fn an_unknown_field_is_refused_in_googles_words() {
    let message = refused(json!({"template": {"x": 1}}));
    assert_eq!(
        message,
        "Invalid JSON payload received. Unknown name \"x\" at 'job.template': Cannot find field."
    );
    let error = run().request("run.projects.locations.jobs.run", "", br#"{"x":1}"#).unwrap_err();
    assert_eq!(error.message, "Invalid JSON payload received. Unknown name \"x\": Cannot find field.");
    assert_eq!(error.details[0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
}

#[test]
fn wrong_types_are_refused_with_path_and_type() {
    let task = |task: Value| json!({"template": {"template": task}});
    for (body, message) in [
        (
            json!({"template": "a"}),
            "Invalid value at 'job.template' (type.googleapis.com/google.cloud.run.v2.ExecutionTemplate), \"a\"",
        ),
        (
            json!({"template": {"taskCount": "a"}}),
            "Invalid value at 'job.template.task_count' (TYPE_INT32), \"a\"",
        ),
        (
            task(json!({"maxRetries": true})),
            "Invalid value at 'job.template.template.max_retries' (TYPE_INT32), true",
        ),
        (json!({"launchStage": "LATER"}), "Invalid value at 'job.launch_stage' (TYPE_ENUM), \"LATER\""),
        (
            task(json!({"containers": [{"image": 5}]})),
            "Invalid value at 'job.template.template.containers[0].image' (TYPE_STRING), 5",
        ),
        (
            json!({"client": {}}),
            "Invalid value at 'job.client' (TYPE_STRING), Starting an object on a scalar field",
        ),
        (
            json!({"template": []}),
            "Invalid JSON payload received. Unknown name \"template\" at 'job': Proto field is not repeating, cannot start list.",
        ),
        (
            task(json!({"timeout": "10m"})),
            "Invalid value at 'job.template.template.timeout' (type.googleapis.com/google.protobuf.Duration), Field 'timeout', Illegal duration format; duration must end with 's'",
        ),
    ] {
        assert_eq!(refused(body), message);
    }
}

#[test]
fn a_malformed_body_is_refused_with_its_place() {
    let error = run().request(CREATE, "job", b"{\"template\": }").unwrap_err();
    assert!(
        error.message.starts_with("Invalid JSON payload received. Unexpected token.\n{\"template\": }\n")
    );
}

#[test]
fn a_request_is_brought_into_canonical_form() {
    let body = json!({"uid": "mine", "generation": 5, "launchStage": 3, "client": null,
        "template": {"taskCount": "2", "template": {"volumes": [{"emptyDir": {"medium": 1}}]}}});
    let job = run().request(CREATE, "job", body.to_string().as_bytes()).unwrap();
    let wanted = json!({"launchStage": "BETA",
        "template": {"taskCount": 2, "template": {"volumes": [{"emptyDir": {"medium": "MEMORY"}}]}}});
    assert_eq!(job, wanted);
}

#[test]
fn a_field_may_go_by_its_original_name() {
    let job = run().request(CREATE, "job", br#"{"start_execution_token": "a"}"#).unwrap();
    assert_eq!(job, json!({"startExecutionToken": "a"}));
}

#[test]
fn a_bad_64_bit_number_is_refused_and_a_good_one_becomes_text() {
    let good = storage().body("Object", "resource", br#"{"generation": 5}"#).unwrap();
    assert_eq!(good, json!({"generation": "5"}));
    let bad = storage().body("Object", "resource", br#"{"generation": "five"}"#).unwrap_err();
    assert_eq!(bad.message, "Invalid value at 'resource.generation' (TYPE_INT64), \"five\"");
}

#[test]
fn unknown_and_wrong_query_parameters_are_refused() {
    let list = "run.projects.locations.jobs.list";
    let error = run().query(list, Some("foo=1")).unwrap_err();
    assert!(
        error
            .message
            .contains("Cannot bind query parameter. Field 'foo' could not be found in request message.")
    );
    let error = run().query(list, Some("pageSize=x")).unwrap_err();
    assert_eq!(error.message, "Invalid value at 'page_size' (TYPE_INT32), \"x\"");
    let query = run().query(list, Some("pageSize=7&%24alt=json%3Benum-encoding%3Dint")).unwrap();
    assert_eq!(query.number("pageSize"), Some(7));
    assert!(storage().query("storage.buckets.insert", None).is_err(), "project is required");
}

#[test]
fn an_answer_of_ours_is_held_to_the_same_tables() {
    assert!(run().message_faults("GoogleCloudRunV2Job", &json!({"uid": "a", "generation": "1"})).is_empty());
    assert_eq!(run().message_faults("GoogleCloudRunV2Job", &json!({"generation": 1, "uuid": "a"})).len(), 1);
    assert_eq!(run().message_faults("GoogleCloudRunV2Job", &json!({"generation": 1})).len(), 1);
}
