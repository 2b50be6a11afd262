//! Tasks of several containers, and startup probes.

use serde_json::{Value, json};
use sockerless_executor::{MountSource, Probe};

use super::{Cloud, condition, fake::Fake, job};

/// A job whose main container depends on a sidecar that listens.
fn pair(main: &[&str], sidecar: &[&str]) -> Value {
    let mut body = job(main);
    let task = &mut body["template"]["template"];
    task["containers"][0]["name"] = json!("main");
    task["containers"][0]["dependsOn"] = json!(["side"]);
    let probe = json!({"tcpSocket": {"port": 5432}, "periodSeconds": 1, "failureThreshold": 2});
    let sidecar = json!({"name": "side", "image": "postgres", "command": sidecar, "startupProbe": probe});
    task["containers"].as_array_mut().unwrap().push(sidecar);
    body
}

#[tokio::test]
async fn the_main_container_waits_for_the_sidecar_s_probe_and_its_exit_is_the_task_s() {
    let cloud = Cloud::with(Fake::silent(1), |_| {}).await;
    let execution = cloud.run_to_end("web", pair(&["exit", "7"], &["sleep"])).await;
    let images: Vec<_> = cloud.runner.specs.lock().unwrap().iter().map(|spec| spec.image.clone()).collect();
    assert_eq!(images, ["docker.io/library/postgres:latest", "docker.io/library/busybox:latest"]);
    let probe = Probe::Tcp { port: 5432 };
    assert_eq!(*cloud.runner.probes.lock().unwrap(), [probe.clone(), probe]);
    // The sidecar is told to end with the task, and what they shared goes.
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), 1);
    assert_eq!(*cloud.runner.closed.lock().unwrap(), 1);
    assert_eq!(execution["failedCount"], 1);
    let completed = condition(&execution, "Completed");
    assert_eq!(
        completed["message"],
        "Task web-t-task0 failed with message: The container exited with an error: exit(7)."
    );
}

#[tokio::test]
async fn a_sidecar_that_ends_well_before_the_main_container_hinders_nobody() {
    let cloud = Cloud::start().await;
    let mut body = pair(&["exit", "0"], &["exit", "3"]);
    // Without a probe it is ready as soon as it runs.
    body["template"]["template"]["containers"][1]["startupProbe"].take();
    let execution = cloud.run_to_end("web", body).await;
    assert_eq!(execution["succeededCount"], 1);
}

#[tokio::test]
async fn a_probe_that_fails_too_often_ends_the_task_before_the_main_container_starts() {
    let cloud = Cloud::with(Fake::silent(2), |_| {}).await;
    let execution = cloud.run_to_end("web", pair(&["exit", "0"], &["sleep"])).await;
    assert_eq!(cloud.runner.specs.lock().unwrap().len(), 1);
    let message = condition(&execution, "Completed")["message"].as_str().unwrap().to_owned();
    assert!(
        message
            .ends_with("container \"side\" failed the configured startup probe checks: Connection refused."),
        "{message}"
    );
}

#[tokio::test]
async fn a_sidecar_that_ends_before_it_is_ready_ends_the_task_with_its_reason() {
    let cloud = Cloud::with(Fake::silent(2), |_| {}).await;
    let execution = cloud.run_to_end("web", pair(&["exit", "0"], &["exit", "3"])).await;
    let message = condition(&execution, "Completed")["message"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with(
            "The container \"side\" did not become ready: The container exited with an error: exit(3)."
        ),
        "{message}"
    );
    assert_eq!(*cloud.runner.closed.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_single_container_with_a_probe_is_held_to_it() {
    let cloud = Cloud::with(Fake::silent(9), |_| {}).await;
    let mut body = job(&["sleep"]);
    let http = json!({"path": "/healthz", "port": 80, "httpHeaders": [{"name": "A", "value": "b"}]});
    body["template"]["template"]["containers"][0]["startupProbe"] =
        json!({"httpGet": http, "failureThreshold": 1});
    let execution = cloud.run_to_end("web", body).await;
    let headers = vec![("A".to_owned(), "b".to_owned())];
    assert_eq!(
        *cloud.runner.probes.lock().unwrap(),
        [Probe::Http { port: 80, path: "/healthz".into(), headers }]
    );
    assert_eq!(execution["failedCount"], 1);
    // The defaults are there to be read.
    let probe = &execution["template"]["containers"][0]["startupProbe"];
    assert_eq!((&probe["timeoutSeconds"], &probe["periodSeconds"]), (&json!(1), &json!(10)));
}

#[tokio::test]
async fn a_volume_of_several_containers_is_shared_and_one_of_one_is_memory() {
    let cloud = Cloud::start().await;
    let mut body = pair(&["exit", "0"], &["sleep"]);
    let task = &mut body["template"]["template"];
    task["volumes"] = json!([{"name": "both", "emptyDir": {}}, {"name": "own", "emptyDir": {}}]);
    task["containers"][0]["volumeMounts"] =
        json!([{"name": "both", "mountPath": "/a"}, {"name": "own", "mountPath": "/own"}]);
    task["containers"][1]["volumeMounts"] = json!([{"name": "both", "mountPath": "/b"}]);
    cloud.run_to_end("web", body).await;
    let specs = cloud.runner.specs.lock().unwrap().clone();
    let sources: Vec<String> =
        specs.iter().flat_map(|spec| &spec.mounts).map(|mount| format!("{:?}", mount.source)).collect();
    let memory = format!("{:?}", MountSource::Memory { size: Some(512 << 20) });
    assert_eq!(sources, ["Shared(\"both\")", "Shared(\"both\")", &memory]);
}

#[tokio::test]
async fn each_container_s_output_is_in_the_log_under_its_name() {
    let cloud = Cloud::start().await;
    cloud.run_to_end("web", pair(&["echo"], &["sleep"])).await;
    let entries = cloud.entries(r#"labels.container_name="main" AND textPayload="out""#).await;
    assert_eq!(entries.len(), 1);
    assert!(cloud.entries(r#"labels.container_name="side" AND textPayload="out""#).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_execution_ends_all_of_its_containers() {
    let cloud = Cloud::start().await;
    let mut body = pair(&["sleep"], &["sleep"]);
    body["startExecutionToken"] = json!("g1");
    cloud.create("web", body).await;
    let name = format!("{}/jobs/web/executions/web-g1", super::PARENT);
    let operation = cloud.ok("POST", &format!("{name}:cancel"), json!({})).await;
    cloud.wait(&operation).await;
    let execution = cloud.get(&name).await;
    assert_eq!(execution["cancelledCount"], 1);
    let (begun, stopped) =
        (cloud.runner.specs.lock().unwrap().len(), cloud.runner.stops.lock().unwrap().len());
    assert_eq!(begun, stopped);
}
