use serde_json::{Value, json};

use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";
const CREATED_MS: u64 = 1_767_225_600_000;

fn found(execution: Value, task: Value) -> JobStatus {
    let mut execution: Execution = serde_json::from_value(execution).unwrap();
    execution.create_time = CREATED.into();
    let found = Found {
        name: "a".into(),
        started: true,
        execution: Some(execution),
        task: serde_json::from_value(task).unwrap(),
        ..Found::default()
    };
    found.status(CREATED_MS)
}

fn completed(state: &str, reason: &str) -> Value {
    json!([{"type": "Completed", "state": state, "executionReason": reason, "message": "said so"}])
}

#[test]
fn a_success_has_exit_code_0_though_the_wire_leaves_it_out() {
    let status = found(
        json!({"completionTime": "2026-01-01T00:00:05Z", "succeededCount": 1, "conditions": completed("CONDITION_SUCCEEDED", "")}),
        json!({"lastAttemptResult": {"status": {}}, "startTime": "2026-01-01T00:00:02Z"}),
    );
    assert_eq!((status.phase, status.exit_code, status.term_signal), (Phase::Succeeded, Some(0), None));
    assert_eq!((status.started, status.finished), (Some(CREATED_MS + 2000), Some(CREATED_MS + 5000)));
    assert_eq!(status.poll_after_ms, None);
}

#[test]
fn a_failure_has_the_tasks_exit_code_and_googles_words() {
    let status = found(
        json!({"completionTime": CREATED, "failedCount": 1, "conditions": completed("CONDITION_FAILED", "NON_ZERO_EXIT_CODE")}),
        json!({"lastAttemptResult": {"exitCode": 7, "status": {"code": 10, "message": "The container exited with 7."}}}),
    );
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, Some(7)));
    assert_eq!(status.reason, "NON_ZERO_EXIT_CODE");
    assert_eq!(status.message, "said so: The container exited with 7.");
}

#[test]
fn a_signal_is_told_and_no_exit_code_invented() {
    let status = found(
        json!({"completionTime": CREATED, "failedCount": 1, "conditions": completed("CONDITION_FAILED", "")}),
        json!({"lastAttemptResult": {"termSignal": 9}}),
    );
    assert_eq!((status.phase, status.exit_code, status.term_signal), (Phase::Failed, None, Some(9)));
}

#[test]
fn a_failure_without_a_task_has_no_exit_code() {
    let status = found(json!({"completionTime": CREATED, "failedCount": 1}), Value::Null);
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, None));
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_by_the_condition_that_failed() {
    let status = found(
        json!({"completionTime": CREATED, "failedCount": 1, "conditions": [
            {"type": "Completed", "state": "CONDITION_FAILED", "message": "x"},
            {"type": "ContainerReady", "state": "CONDITION_FAILED", "reason": "CONTAINER_MISSING", "message": "Image 'y' not found."},
        ]}),
        Value::Null,
    );
    assert_eq!(
        (status.reason.as_str(), status.message.as_str()),
        ("CONTAINER_MISSING", "Image 'y' not found.")
    );
}

#[test]
fn cancelled_by_reason_or_by_count() {
    let by_reason = json!({"completionTime": CREATED, "failedCount": 1, "conditions": completed("CONDITION_FAILED", "CANCELLED")});
    assert_eq!(found(by_reason, Value::Null).phase, Phase::Cancelled);
    assert_eq!(
        found(json!({"completionTime": CREATED, "cancelledCount": 1}), Value::Null).phase,
        Phase::Cancelled
    );
}

#[test]
fn a_cancellation_under_way_still_runs() {
    let status = found(
        json!({"runningCount": 1, "conditions": completed("CONDITION_RECONCILING", "CANCELLING")}),
        Value::Null,
    );
    assert_eq!((status.phase, status.finished), (Phase::Running, None));
}

#[test]
fn the_exit_code_is_not_looked_at_before_the_execution_completed() {
    let status = found(
        json!({"runningCount": 1, "startTime": CREATED}),
        json!({"lastAttemptResult": {"exitCode": 3}}),
    );
    assert_eq!((status.phase, status.exit_code), (Phase::Running, None));
}

#[test]
fn starting_until_a_task_runs() {
    assert_eq!(found(json!({}), Value::Null).phase, Phase::Starting);
    assert_eq!(found(json!({"startTime": CREATED, "conditions": [{"type": "Started", "state": "CONDITION_SUCCEEDED"}]}), Value::Null).phase, Phase::Running);
}

#[test]
fn a_failed_operation_is_a_failure_with_googles_reason() {
    let failure = Status { code: 7, message: "no access to the image".into(), ..Status::default() };
    let status =
        Found { name: "a".into(), started: true, failure: Some(failure), ..Found::default() }.status(0);
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(
        (status.reason.as_str(), status.message.as_str()),
        ("PERMISSION_DENIED", "no access to the image")
    );
}

#[test]
fn a_job_says_whether_it_was_started() {
    let of = |started: bool, job: Value| {
        Found { name: "a".into(), started, job: serde_json::from_value(job).unwrap(), ..Found::default() }
            .status(0)
    };
    assert_eq!(of(false, json!({"reconciling": true})).phase, Phase::Created);
    assert_eq!(of(true, json!({})).phase, Phase::Starting);
    let failed = of(
        true,
        json!({"terminalCondition": {"state": "CONDITION_FAILED", "reason": "VPC_NETWORK_NOT_FOUND"}}),
    );
    assert_eq!((failed.phase, failed.reason.as_str()), (Phase::Failed, "VPC_NETWORK_NOT_FOUND"));
}

#[test]
fn nothing_found_is_absent_and_pending_is_starting() {
    let none = Found { name: "a".into(), started: true, ..Found::default() };
    assert_eq!(none.status(0).phase, Phase::Absent);
    assert_eq!(Found { pending: true, ..none }.status(0).phase, Phase::Starting);
}

#[test]
fn the_pause_grows_with_the_age_and_honours_the_provider() {
    assert_eq!(poll_after(Some(1000), 1000, None), 100);
    assert_eq!(poll_after(Some(0), 20_000, None), 2000);
    assert_eq!(poll_after(Some(0), 9_000_000, None), 10_000);
    assert_eq!(poll_after(None, 5, Some(30_000)), 30_000);
}

#[test]
fn a_listed_job_carries_a_handle_that_status_understands() {
    let job = serde_json::from_value(json!({
        "name": "projects/p/locations/r/jobs/a", "createTime": CREATED,
        "latestCreatedExecution": {"name": "a-xyz", "completionStatus": "EXECUTION_FAILED", "completionTime": CREATED},
    }));
    let status = of_listed(job.unwrap(), 0);
    assert_eq!((status.phase, status.exit_code, status.finished), (Phase::Failed, None, Some(CREATED_MS)));
    assert_eq!((status.handle.name.as_str(), status.handle.state.as_str()), ("a", r#"{"x":"a-xyz"}"#));
    assert!(status.handle.started);
}
