//! What outlives the process.

use serde_json::json;

use super::fake::Fake;
use super::{Cloud, PARENT, condition, job};

#[tokio::test]
async fn a_running_execution_is_lost_with_the_process_and_says_so() {
    let cloud = Cloud::start().await;
    let mut body = job(&["sleep"]);
    body["startExecutionToken"] = json!("t");
    cloud.create("web", body).await;
    cloud.ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket"})).await;
    cloud.raw("POST", "/upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], "kept").await;
    let (folder, port) = (cloud.folder.clone(), cloud.server.info().registry.clone());
    let Cloud { server, runner, .. } = cloud;
    // The process's end ends what runs in it.
    let stopping = tokio::spawn(server.shutdown());
    stopping.await.unwrap();
    drop(runner);
    let cloud = Cloud::again(folder, Fake::default(), |_| {}).await;
    assert_eq!(cloud.server.info().registry, port, "images keep their names");
    let execution = cloud.get(&format!("{PARENT}/jobs/web/executions/web-t")).await;
    let completed = condition(&execution, "Completed");
    assert_eq!((&completed["state"], &completed["reason"]), (&json!("CONDITION_FAILED"), &json!("INTERNAL")));
    assert_eq!(execution["failedCount"], 1);
    let task = cloud.get(&format!("{PARENT}/jobs/web/executions/web-t/tasks/web-t-task0")).await;
    assert!(task["lastAttemptResult"]["exitCode"].is_null());
    let object = cloud.raw("GET", "/storage/v1/b/bucket/o/a?alt=media", &[], "").await;
    assert_eq!(object.text(), "kept");
    assert_eq!(cloud.run_to_end("more", job(&["exit", "0"])).await["succeededCount"], 1);
}
