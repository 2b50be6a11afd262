//! What Resource Manager accepts and does not do, and what it does not show at once.

use serde_json::{Value, json};
use sockerless_ports::backend::{ErrorCode, JobSpec, Jobs, Phase, WorkloadKind};

use crate::cloud::{Cloud, cloud, patiently, spec};

fn fault(cloud: &Cloud, method: &str, resource: &str, more: &Value) -> Value {
    let mut fault = json!({"method": method, "path": cloud.path(resource), "times": 1});
    fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fault
}

/// Accepted, and failed later.
fn doom() -> Value {
    json!({"code": "NoRoom", "message": "No room in the region.", "status": 409, "operation": true})
}

/// Not seen, so many times.
fn unseen(times: u32) -> Value {
    json!({"code": "ResourceNotFound", "message": "It was not found.", "status": 404, "times": times})
}

#[tokio::test]
async fn a_start_whose_operation_fails_has_failed_in_azures_words_and_others_are_told_beside_it() {
    let cloud = cloud().await;
    let good = cloud.run(&spec("sl-good-1", &["exit", "0"])).await;
    cloud.end_of(&good).await;
    cloud.want(fault(&cloud, "POST", "jobs/sl-bad-1/start", &doom())).await;
    let bad = cloud.run(&spec("sl-bad-1", &["exit", "0"])).await;
    assert!(bad.started);
    let told = cloud.end_of(&bad).await;
    assert_eq!(
        (told.phase, told.reason.as_str(), told.message.as_str()),
        (Phase::Failed, "NoRoom", "No room in the region.")
    );
    let all = cloud.plugin.status(&[bad, good]).await.unwrap();
    assert_eq!(all.iter().map(|told| told.phase).collect::<Vec<_>>(), [Phase::Failed, Phase::Succeeded]);
    assert_eq!(cloud.stage.specs.lock().unwrap().len(), 1);
    cloud.close().await;
}

#[tokio::test]
async fn a_job_and_an_app_that_cannot_be_made_say_why() {
    let cloud = cloud().await;
    cloud.want(fault(&cloud, "PUT", "jobs/sl-a-1", &doom())).await;
    let job = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap();
    let told = cloud.end_of(&job).await;
    assert_eq!((told.phase, told.message.as_str()), (Phase::Failed, "No room in the region."));
    let refused = cloud.plugin.start(&job).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert!(refused.message.ends_with("No room in the region."), "{}", refused.message);

    cloud.want(fault(&cloud, "PUT", "containerApps/sl-b-1", &doom())).await;
    let service = JobSpec { kind: WorkloadKind::Service, ..spec("sl-b-1", &["sleep"]) };
    let app = cloud.plugin.create(&service).await.unwrap();
    let told = cloud.end_of(&app).await;
    assert_eq!(
        (told.phase, told.reason.as_str(), told.message.as_str()),
        (Phase::Failed, "NoRoom", "No room in the region.")
    );
    cloud.close().await;
}

#[tokio::test]
async fn what_was_just_made_and_is_not_seen_yet_is_waited_for() {
    let cloud = cloud().await;
    let job = cloud.plugin.create(&spec("sl-a-1", &["exit", "3"])).await.unwrap();
    cloud.want(fault(&cloud, "GET", "jobs/sl-a-1", &unseen(2))).await;
    let told = cloud.plugin.status(std::slice::from_ref(&job)).await.unwrap().remove(0);
    assert_eq!(told.phase, Phase::Created);
    assert_eq!(cloud.plugin.start(&job).await.unwrap_err().code, ErrorCode::NotReady);
    let handle = patiently(async || cloud.plugin.start(&job).await).await;
    cloud.want(fault(&cloud, "GET", "jobs/sl-a-1/executions/", &unseen(1))).await;
    let told = cloud.plugin.status(&[handle]).await.unwrap().remove(0);
    assert_eq!(told.phase, Phase::Starting);
    let told = cloud.end_of(&told.handle).await;
    assert_eq!((told.phase, told.exit_code), (Phase::Failed, Some(3)));

    let service = JobSpec { kind: WorkloadKind::Service, ..spec("sl-b-1", &["sleep"]) };
    let app = cloud.plugin.create(&service).await.unwrap();
    cloud.want(fault(&cloud, "GET", "containerApps/sl-b-1", &unseen(1))).await;
    let told = cloud.plugin.status(&[app]).await.unwrap().remove(0);
    assert_eq!(told.phase, Phase::Starting);
    cloud.until(&told.handle, |told| told.phase == Phase::Running).await;
    cloud.close().await;
}
