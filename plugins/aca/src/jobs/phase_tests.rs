use serde_json::{Value, json};

use super::*;

fn execution(properties: Value) -> Execution {
    serde_json::from_value(json!({"name": "j-1", "properties": properties})).unwrap()
}

fn found(properties: Value) -> Found {
    Found {
        name: "j".into(),
        started: true,
        state: State { main: "main".into(), execution: Some("j-1".into()), ..State::default() },
        execution: Some(execution(properties)),
        ..Found::default()
    }
}

#[test]
fn each_status_is_a_phase() {
    let phase = |status: &str| found(json!({"status": status})).status(0, 1).phase;
    assert_eq!(phase("Processing"), Phase::Starting);
    assert_eq!(phase("Unknown"), Phase::Starting);
    assert_eq!(phase("Running"), Phase::Running);
    assert_eq!(phase("Degraded"), Phase::Running);
    assert_eq!(phase("Succeeded"), Phase::Succeeded);
    assert_eq!(phase("Failed"), Phase::Failed);
    assert_eq!(phase("Stopped"), Phase::Cancelled);
    let ended = found(json!({"status": "Degraded", "endTime": "2026-01-01T00:00:00Z"}));
    assert_eq!(ended.status(0, 1).phase, Phase::Failed);
}

#[test]
fn the_exit_code_is_the_main_containers_in_the_last_attempt() {
    let replica = |code: i32| {
        json!({"containers": [
            {"name": "other", "code": 99, "status": "Terminated"},
            {"name": "main", "code": code, "status": "Terminated", "additionalInformation": "Error"},
        ]})
    };
    let status = found(json!({
        "status": "Failed",
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:00:09Z",
        "detailedStatus": {"replicas": [replica(1), replica(7)]},
    }))
    .status(0, 1);
    assert_eq!((status.phase, status.exit_code, status.term_signal), (Phase::Failed, Some(7), None));
    assert_eq!((status.reason.as_str(), status.message.as_str()), ("Terminated", "Error"));
    assert_eq!(status.finished.unwrap() - status.started.unwrap(), 9000);
    assert_eq!(status.poll_after_ms, None);
}

#[test]
fn success_is_zero_and_a_failure_without_a_code_stays_unknown() {
    assert_eq!(found(json!({"status": "Succeeded"})).status(0, 1).exit_code, Some(0));
    assert_eq!(found(json!({"status": "Failed"})).status(0, 1).exit_code, None);
    let status = found(json!({"status": "Failed", "reason": "ImagePullBackOff", "message": "no such image"}))
        .status(0, 1);
    assert_eq!((status.reason.as_str(), status.message.as_str()), ("ImagePullBackOff", "no such image"));
}

#[test]
fn what_failed_before_the_main_container_could_start_is_told_and_its_code_is_not_the_jobs() {
    let of = |message: Option<&str>| {
        let containers = json!([
            {"name": "main", "status": "Waiting"},
            {"name": "agent", "status": "Terminated", "code": 125, "additionalInformation": "Error"},
        ]);
        let replicas = json!([{"containers": containers}]);
        found(json!({"status": "Failed", "message": message, "detailedStatus": {"replicas": replicas}}))
            .status(0, 1)
    };
    let status = of(None);
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, None));
    assert_eq!(status.message, "the container agent of the job has ended with exit code 125: Error");
    assert_eq!(of(Some("their own words")).message, "their own words");
}

#[test]
fn a_running_one_has_no_exit_code_whatever_an_earlier_attempt_had() {
    let status = found(json!({
        "status": "Running",
        "detailedStatus": {"replicas": [{"containers": [{"name": "main", "code": 1}]}]},
    }))
    .status(0, 1);
    assert_eq!((status.phase, status.exit_code), (Phase::Running, None));
}

#[test]
fn what_has_just_been_made_and_is_not_seen_is_not_gone() {
    let fresh = Found { state: State { since: 1000, ..State::default() }, ..Found::default() };
    assert_eq!(fresh.status(2000, 1).phase, Phase::Created);
    let started = Found { started: true, ..fresh.clone() };
    assert_eq!(started.status(2000, 1).phase, Phase::Starting);
    assert_eq!(started.status(1000 + limits::UNSEEN_MS, 1).phase, Phase::Absent);
    assert_eq!(Found::default().status(5, 1).phase, Phase::Absent);
}

#[test]
fn a_failed_operation_ends_it_with_azures_words() {
    let failure = Fault { code: "InvalidImage".into(), message: "no such image".into(), ..Fault::default() };
    let status = Found { failure: Some(failure), started: true, ..Found::default() }.status(0, 1);
    assert_eq!(
        (status.phase, status.reason.as_str(), status.message.as_str(), status.poll_after_ms),
        (Phase::Failed, "InvalidImage", "no such image", None)
    );
}

#[test]
fn questions_grow_rarer_with_age_and_with_company() {
    let pause = |age: u64, load: usize, wait_ms: Option<u64>| {
        let mut found = found(json!({"status": "Running"}));
        found.state.since = 1;
        found.wait_ms = wait_ms;
        found.status(1 + age, load).poll_after_ms.unwrap()
    };
    assert_eq!(pause(0, 1, None), 250);
    assert_eq!(pause(60_000, 1, None), 6000);
    assert_eq!(pause(86_400_000, 1, None), 30_000);
    assert_eq!(pause(0, 120, None), 10_000);
    assert_eq!(pause(0, 1, Some(5000)), 5000);
}
