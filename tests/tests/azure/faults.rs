//! What Resource Manager accepts and does not do, and what it answers in trouble.

use serde_json::{Value, json};
use sockerless_tests::until;

use super::{Azure, daemon};

fn fault(azure: &Azure, method: &str, kind: &str, status: u16, more: Value) -> Value {
    let mut fault = json!({"method": method, "path": azure.path(kind), "status": status, "code": "InternalServerError",
        "message": "No room in the region.", "times": 1});
    fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fault
}

#[test]
fn a_job_that_fails_half_way_is_told_in_azures_words_and_leaves_nothing() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    azure.want(&fault(&azure, "PUT", "jobs/", 500, json!({"operation": true})));
    let words = docker.run("run --name one busybox true").fails(125);
    assert!(words.contains("No room in the region."), "{words}");
    until("what was begun goes", || azure.list("jobs").is_empty().then_some(()));
    let error = docker.shows("one", "{{.State.Error}}");
    assert!(error.contains("No room in the region."), "{error}");
    // The same container, once there is room.
    docker.run("start one").ok();
    assert_eq!(docker.run("wait one").ok(), "0");
}

#[test]
fn a_start_that_fails_after_it_was_accepted_is_told_in_azures_words() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    azure.want(&fault(&azure, "POST", "jobs/", 409, json!({"operation": true})));
    let words = docker.run("run --name one busybox true").fails(125);
    assert!(words.contains("No room in the region."), "{words}");
    docker.run("start one").ok();
    assert_eq!(docker.run("wait one").ok(), "0");
}

#[test]
fn an_app_that_fails_half_way_is_told_in_azures_words() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    azure.want(&fault(&azure, "PUT", "containerApps/", 500, json!({"operation": true})));
    let run = "run -d --name web --label sockerless.service=true -p 127.0.0.1::8080 busybox sleep 1000";
    let words = docker.run(run).fails(125);
    assert!(words.contains("No room in the region."), "{words}");
    docker.run("rm -f web").ok();
    until("what was begun goes", || azure.list("containerApps").is_empty().then_some(()));
}

#[test]
fn a_deletion_that_fails_is_tried_again_until_nothing_is_left() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    // Refused once, accepted and not done once.
    azure.want(&fault(&azure, "DELETE", "jobs/", 500, json!({})));
    azure.want(&fault(&azure, "DELETE", "jobs/", 500, json!({"operation": true})));
    docker.run("run --rm --label sockerless.linger=0 busybox true").ok();
    until("the job goes", || azure.list("jobs").is_empty().then_some(()));
}

#[test]
fn throttled_and_lost_answers_lead_to_one_job_and_one_execution() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    let throttled = json!({"code": "SubscriptionRequestsThrottled", "retry_after": 1, "times": 2});
    azure.want(&fault(&azure, "PUT", "jobs/", 429, throttled));
    azure.want(&fault(&azure, "PUT", "jobs/", 504, json!({"lost": true})));
    azure.want(&fault(&azure, "POST", "jobs/", 504, json!({"lost": true})));
    docker.run("run -d --name one busybox sleep 1000").ok();
    let [job] = &azure.list("jobs")[..] else { panic!("one job") };
    let executions = azure.list(&format!("jobs/{}/executions", job["name"].as_str().unwrap()));
    assert_eq!(executions.len(), 1);
    docker.run("rm -f one").ok();
    until("the job goes", || azure.list("jobs").is_empty().then_some(()));
}
