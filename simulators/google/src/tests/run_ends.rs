//! How executions end.

use serde_json::{Value, json};
use sockerless_executor::{FailureReason, TaskEvent};

use super::fake::{Fake, exited, started};
use super::{Cloud, PARENT, Refused as _, condition, job};
use crate::limits;

async fn task(cloud: &Cloud) -> Value {
    cloud.get(&format!("{PARENT}/jobs/web/executions/web-t/tasks/web-t-task0")).await
}

#[tokio::test]
async fn an_exit_code_is_kept_exactly() {
    for code in [7, 126, 127, 137] {
        let cloud = Cloud::start().await;
        let execution = cloud.run_to_end("web", job(&["exit", &code.to_string()])).await;
        assert_eq!(execution["failedCount"], 1);
        let completed = condition(&execution, "Completed");
        assert_eq!(completed["state"], "CONDITION_FAILED");
        assert_eq!(completed["executionReason"], "NON_ZERO_EXIT_CODE");
        let result = &task(&cloud).await["lastAttemptResult"];
        assert_eq!((&result["exitCode"], &result["termSignal"]), (&json!(code), &Value::Null));
        let job = cloud.get(&format!("{PARENT}/jobs/web")).await;
        assert_eq!(job["latestCreatedExecution"]["completionStatus"], "EXECUTION_FAILED");
    }
}

#[tokio::test]
async fn a_signal_is_no_exit_code() {
    let cloud = Cloud::start().await;
    cloud.run_to_end("web", job(&["kill", "9"])).await;
    let result = &task(&cloud).await["lastAttemptResult"];
    assert_eq!((&result["exitCode"], &result["termSignal"]), (&Value::Null, &json!(9)));
}

#[tokio::test]
async fn a_failing_task_is_tried_three_times_more_unless_told_otherwise() {
    let cloud = Cloud::start().await;
    let mut body = job(&["exit", "1"]);
    body["template"]["template"].as_object_mut().unwrap().remove("maxRetries");
    let execution = cloud.run_to_end("web", body).await;
    assert_eq!((&execution["failedCount"], &execution["retriedCount"]), (&json!(1), &json!(1)));
    assert_eq!(task(&cloud).await["retried"], 3);
    let attempts: Vec<String> = cloud
        .runner
        .specs
        .lock()
        .unwrap()
        .iter()
        .filter_map(|spec| spec.env.iter().find(|(name, _)| name == "CLOUD_RUN_TASK_ATTEMPT"))
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(attempts, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_retry_may_succeed() {
    let fake = Fake::playing(|spec| {
        let first = spec.env.contains(&("CLOUD_RUN_TASK_ATTEMPT".to_owned(), "0".to_owned()));
        vec![started(), exited(i32::from(first))]
    });
    let cloud = Cloud::with(fake, |_| {}).await;
    let mut body = job(&[]);
    body["template"]["template"]["maxRetries"] = json!(1);
    let execution = cloud.run_to_end("web", body).await;
    assert_eq!((&execution["succeededCount"], &execution["runningCount"]), (&json!(1), &Value::Null));
    assert_eq!(condition(&execution, "Completed")["state"], "CONDITION_SUCCEEDED");
}

#[tokio::test]
async fn a_timeout_stops_the_container_with_the_clouds_grace() {
    let cloud = Cloud::start().await;
    let mut body = job(&["sleep"]);
    body["template"]["template"]["timeout"] = json!("0.05s");
    let execution = cloud.run_to_end("web", body).await;
    assert_eq!(*cloud.runner.stops.lock().unwrap(), [limits::STOP_GRACE]);
    let completed = condition(&execution, "Completed");
    assert!(completed["message"].as_str().unwrap().ends_with("The configured timeout was reached."));
    assert_eq!(task(&cloud).await["lastAttemptResult"]["status"]["code"], 4);
}

#[tokio::test]
async fn a_cancelled_execution_says_so_and_is_not_retried() {
    let cloud = Cloud::start().await;
    let mut body = job(&["sleep"]);
    body["template"]["template"]["maxRetries"] = json!(3);
    body["startExecutionToken"] = json!("t");
    cloud.create("web", body).await;
    let path = format!("{PARENT}/jobs/web/executions/web-t");
    let operation = cloud.ok("POST", &format!("{path}:cancel"), json!({})).await;
    assert_eq!(condition(&operation["metadata"], "Completed")["executionReason"], "CANCELLING");
    let done = cloud.wait(&operation).await;
    assert_eq!(done["response"]["cancelledCount"], 1);
    assert_eq!(condition(&done["response"], "Completed")["executionReason"], "CANCELLED");
    assert_eq!(*cloud.runner.stops.lock().unwrap(), [limits::STOP_GRACE]);
    assert_eq!(cloud.runner.specs.lock().unwrap().len(), 1);
    assert_eq!(task(&cloud).await["lastAttemptResult"]["termSignal"], 15);
    let again = cloud.call("POST", &format!("{path}:cancel"), json!({})).await;
    assert_eq!(again.error().1, "FAILED_PRECONDITION");
}

#[tokio::test]
async fn tasks_run_side_by_side_as_far_as_parallelism_lets_them() {
    let cloud = Cloud::start().await;
    let mut body = job(&["exit", "0"]);
    body["template"]["taskCount"] = json!(5);
    body["template"]["parallelism"] = json!(2);
    let execution = cloud.run_to_end("web", body).await;
    assert_eq!((&execution["succeededCount"], &execution["parallelism"]), (&json!(5), &json!(2)));
    let tasks = cloud.get(&format!("{PARENT}/jobs/web/executions/web-t/tasks")).await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_cannot_start_fails_with_the_clouds_reason() {
    for (reason, word) in [
        (FailureReason::ImageNotFound, "CONTAINER_MISSING"),
        (FailureReason::ImageUnauthorized, "CONTAINER_IMAGE_UNAUTHORIZED"),
        (FailureReason::CommandNotFound, "UNKNOWN"),
        (FailureReason::Internal, "INTERNAL"),
    ] {
        let fake = Fake::playing(move |_| vec![TaskEvent::Failed { reason, message: "why".into() }]);
        let cloud = Cloud::with(fake, |_| {}).await;
        let mut body = job(&[]);
        body["template"]["template"]["maxRetries"] = json!(3);
        body["startExecutionToken"] = json!("t");
        let done = cloud.create("web", body).await;
        assert!(done["error"]["message"].is_string(), "the job is not ready: {done}");
        let execution = cloud.get(&format!("{PARENT}/jobs/web/executions/web-t")).await;
        let completed = condition(&execution, "Completed");
        assert_eq!((&completed["state"], &completed["reason"]), (&json!("CONDITION_FAILED"), &json!(word)));
        assert!(execution["startTime"].is_null());
        let result = &task(&cloud).await["lastAttemptResult"];
        assert!(result["exitCode"].is_null(), "no code is invented");
        assert_eq!(cloud.runner.specs.lock().unwrap().len(), 1, "it would fail again");
    }
}

#[tokio::test]
async fn an_image_that_our_registry_lacks_leaves_the_job_unready() {
    let cloud = Cloud::start().await;
    let image = format!("{}/sim-project/r/absent:1", cloud.server.info().registry);
    let mut body = job(&[]);
    body["template"]["template"]["containers"][0]["image"] = json!(image);
    body["startExecutionToken"] = json!("t");
    let done = cloud.create("web", body).await;
    assert_eq!(done["error"], json!({"code": 5, "message": format!("Image '{image}' not found.")}));
    let job = cloud.get(&format!("{PARENT}/jobs/web")).await;
    assert_eq!(job["terminalCondition"]["reason"], "CONTAINER_MISSING");
    assert_eq!(job["executionCount"], Value::Null);
    let run = cloud.call("POST", &format!("{PARENT}/jobs/web:run"), json!({})).await;
    assert_eq!(run.error().1, "FAILED_PRECONDITION");
}
