//! Jobs and their executions.

use sockerless_executor::TaskEvent;
use sockerless_simulator_common::testing::{exited, started};

use super::*;
use crate::arm::store;

fn path(cloud: &Cloud, name: &str) -> String {
    format!("{}/Microsoft.App/jobs/{name}", cloud.group())
}

#[tokio::test]
async fn a_job_is_put_started_and_deleted() {
    let cloud = Cloud::start().await;
    let first = cloud.call("PUT", &path(&cloud, "job"), cloud.job(&["exit", "0"])).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.json()["properties"]["provisioningState"], "InProgress");
    let early = cloud.call("PUT", &path(&cloud, "job"), cloud.job(&["exit", "0"])).await;
    if early.status != 200 {
        assert_eq!(early.error(), (409, "ContainerAppOperationInProgress".to_owned()));
    }
    while cloud.get(&path(&cloud, "job")).await["properties"]["provisioningState"] != "Succeeded" {}
    let execution = cloud.ended(&cloud.start_job("job").await).await;
    assert_eq!(execution["properties"]["status"], "Succeeded");
    let container = &execution["properties"]["detailedStatus"]["replicas"][0]["containers"][0];
    assert_eq!((&container["name"], &container["code"]), (&json!("main"), &json!(0)));
    let spec = cloud.runner.spec();
    assert_eq!((spec.image.as_str(), spec.cpu_millis), ("docker.io/library/busybox:latest", Some(250)));
    assert!(spec.env.contains(&("CONTAINER_APP_JOB_NAME".to_owned(), "job".to_owned())));
    assert!(spec.hostname.unwrap().starts_with(execution["name"].as_str().unwrap()));
    cloud.done("DELETE", &path(&cloud, "job"), Value::Null).await;
    assert_eq!(cloud.call("GET", &path(&cloud, "job"), Value::Null).await.status, 404);
    assert_eq!(cloud.call("DELETE", &path(&cloud, "job"), Value::Null).await.status, 204);
}

#[tokio::test]
async fn exit_codes_and_signals_stand_in_the_detailed_status() {
    let cloud = Cloud::start().await;
    for (name, command, code) in [("code", ["exit", "7"], 7), ("signal", ["kill", "9"], 137)] {
        cloud.create(name, cloud.job(&command)).await;
        let execution = cloud.ended(&cloud.start_job(name).await).await;
        assert_eq!(execution["properties"]["status"], "Failed");
        assert_eq!(execution["properties"]["detailedStatus"]["replicas"][0]["containers"][0]["code"], code);
    }
}

#[tokio::test]
async fn a_failed_replica_is_followed_by_another_as_often_as_allowed() {
    let cloud = Cloud::start().await;
    let mut job = cloud.job(&["exit", "1"]);
    job["properties"]["configuration"]["replicaRetryLimit"] = json!(2);
    cloud.create("again", job).await;
    let execution = cloud.ended(&cloud.start_job("again").await).await;
    assert_eq!(execution["properties"]["detailedStatus"]["replicas"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn stopping_an_execution_ends_its_containers() {
    let cloud = Cloud::start().await;
    cloud.create("long", cloud.job(&["sleep"])).await;
    let execution = cloud.start_job("long").await;
    cloud.runner.started.notified().await;
    cloud.done("POST", &format!("{execution}/stop"), Value::Null).await;
    assert_eq!(cloud.ended(&execution).await["properties"]["status"], "Stopped");
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), 1);
    let list = cloud.get(&format!("{}/executions", path(&cloud, "long"))).await;
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn deleting_a_job_ends_what_runs() {
    let cloud = Cloud::start().await;
    cloud.create("long", cloud.job(&["sleep"])).await;
    cloud.start_job("long").await;
    cloud.runner.started.notified().await;
    cloud.done("DELETE", &path(&cloud, "long"), Value::Null).await;
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn init_containers_run_before_and_share_empty_folders() {
    let cloud = Cloud::start().await;
    let mut job = cloud.job(&["exit", "0"]);
    let template = &mut job["properties"]["template"];
    let mount = json!([{"volumeName": "shared", "mountPath": "/shared"}]);
    template["initContainers"] =
        json!([{"name": "first", "image": "busybox", "command": ["exit", "0"], "volumeMounts": mount}]);
    template["containers"][0]["volumeMounts"] = mount;
    template["volumes"] = json!([{"name": "shared", "storageType": "EmptyDir"}]);
    cloud.create("two", job).await;
    let execution = cloud.ended(&cloud.start_job("two").await).await;
    assert_eq!(execution["properties"]["status"], "Succeeded", "{execution}");
    let specs = cloud.runner.specs.lock().unwrap();
    assert!(specs[0].id.contains("-first-") && specs[1].id.contains("-main-"));
    assert!(specs.iter().all(|spec| spec.mounts[0].path == "/shared"));
    assert_eq!(*cloud.runner.closed.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_failed_init_container_lets_nothing_follow() {
    let cloud = Cloud::start().await;
    let mut job = cloud.job(&["exit", "0"]);
    job["properties"]["template"]["initContainers"] =
        json!([{"name": "first", "image": "busybox", "command": ["exit", "4"]}]);
    cloud.create("two", job).await;
    let execution = cloud.ended(&cloud.start_job("two").await).await;
    assert_eq!(execution["properties"]["status"], "Failed");
    let message = execution["properties"]["message"].as_str().unwrap();
    assert!(message.starts_with("Init container 'first' was terminated with exit code '4'"), "{message}");
    assert_eq!(cloud.runner.specs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_start_with_a_template_replaces_the_containers() {
    let cloud = Cloud::start().await;
    cloud.create("job", cloud.job(&["exit", "0"])).await;
    let body = json!({"containers": [{"name": "other", "image": "busybox", "command": ["exit", "9"],
        "resources": {"cpu": 0.5, "memory": "1Gi"}}]});
    let end = cloud.done("POST", &format!("{}/start", path(&cloud, "job")), body).await;
    let execution =
        cloud.ended(&format!("{}/executions/{}", path(&cloud, "job"), end["name"].as_str().unwrap())).await;
    assert_eq!(execution["properties"]["template"]["containers"][0]["name"], "other");
    let mounting = json!({"containers": [{"name": "x", "image": "busybox", "volumeMounts": []}]});
    let refused = cloud.call("POST", &format!("{}/start", path(&cloud, "job")), mounting).await;
    assert_eq!(refused.error().1, "InvalidRequestContent", "a start's template knows no mounts");
}

#[tokio::test]
async fn executions_use_the_old_template_for_a_while_after_an_update() {
    let cloud = Cloud::start().await;
    cloud.create("job", cloud.job(&["exit", "1"])).await;
    cloud.create("job", cloud.job(&["exit", "2"])).await;
    for (until, code) in [(i64::MAX, 1), (0, 2)] {
        let db = &cloud.server.simulator.db;
        store::update(db, &path(&cloud, "job"), |doc| {
            assert!(doc["_previous"]["until"].is_i64());
            doc["_previous"]["until"] = json!(until);
        })
        .unwrap();
        let execution = cloud.ended(&cloud.start_job("job").await).await;
        assert_eq!(execution["properties"]["detailedStatus"]["replicas"][0]["containers"][0]["code"], code);
    }
}

#[tokio::test]
async fn what_was_made_may_not_be_found_at_first_but_is_there() {
    let cloud = Cloud::start().await;
    cloud.create("job", cloud.job(&["sleep"])).await;
    let execution = cloud.start_job("job").await;
    let storage = format!("{}/storages/share", cloud.environment());
    let file =
        json!({"accountName": "simstorage", "shareName": "s", "accountKey": "k", "accessMode": "ReadOnly"});
    cloud.ok("PUT", &storage, json!({"properties": {"azureFile": file}})).await;
    for id in [path(&cloud, "job"), execution, storage] {
        let set = |from: i64| {
            store::update(&cloud.server.simulator.db, &id, |doc| {
                assert!(doc["_seen"].is_i64(), "{id}");
                doc["_seen"] = json!(from);
            })
        };
        set(i64::MAX).unwrap();
        assert_eq!(cloud.call("GET", &id, Value::Null).await.status, 404, "{id}");
        set(0).unwrap();
        cloud.get(&id).await;
    }
}

#[tokio::test]
async fn containers_get_tokens_of_identities_that_are_not_kept_from_them() {
    let cloud = Cloud::start().await;
    let identity = cloud.server.info().identity.clone();
    let mut job = cloud.job(&["exit", "0"]);
    let settings = |lifecycle: &str| json!([{"identity": identity, "lifecycle": lifecycle}]);
    job["properties"]["configuration"]["identitySettings"] = settings("None");
    let refused = cloud.call("PUT", &path(&cloud, "odd"), job.clone()).await;
    assert_eq!(refused.error(), (400, "ContainerAppIdentityNotAssigned".to_owned()));
    job["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": {&identity: {}}});
    for (name, lifecycle, told) in
        [("none", "None", false), ("init", "Init", false), ("main", "Main", true), ("all", "", true)]
    {
        let configuration = &mut job["properties"]["configuration"];
        configuration["identitySettings"] =
            if lifecycle.is_empty() { json!([]) } else { settings(lifecycle) };
        let cloud = Cloud::start().await;
        cloud.create(name, job.clone()).await;
        cloud.ended(&cloud.start_job(name).await).await;
        let env = cloud.runner.spec().env;
        assert_eq!(env.iter().any(|(name, _)| name == "IDENTITY_ENDPOINT"), told, "{lifecycle}: {env:?}");
    }
}

#[tokio::test]
async fn secrets_are_variables_and_files_and_stay_out_of_answers() {
    let runner = Fake::playing(|spec| {
        let held = spec.mounts.iter().any(|mount| match &mount.source {
            sockerless_executor::MountSource::Directory(folder) => {
                std::fs::read_to_string(folder.join("file")).is_ok_and(|text| text == "hidden")
                    && mount.read_only
            }
            _ => false,
        });
        let known = spec.env.contains(&("S".to_owned(), "hidden".to_owned()));
        vec![started(), exited(if held && known { 0 } else { 1 })]
    });
    let cloud = Cloud::with(runner, |_| {}).await;
    let mut job = cloud.job(&["x"]);
    job["properties"]["configuration"]["secrets"] = json!([{"name": "one", "value": "hidden"}]);
    let template = &mut job["properties"]["template"];
    template["containers"][0]["env"] = json!([{"name": "S", "secretRef": "one"}]);
    template["containers"][0]["volumeMounts"] = json!([{"volumeName": "v", "mountPath": "/secrets"}]);
    template["volumes"] =
        json!([{"name": "v", "storageType": "Secret", "secrets": [{"secretRef": "one", "path": "file"}]}]);
    cloud.create("job", job).await;
    assert!(!cloud.get(&path(&cloud, "job")).await.to_string().contains("hidden"));
    let listed = cloud.ok("POST", &format!("{}/listSecrets", path(&cloud, "job")), Value::Null).await;
    assert_eq!(listed["value"][0]["value"], "hidden");
    let execution = cloud.ended(&cloud.start_job("job").await).await;
    assert_eq!(execution["properties"]["status"], "Succeeded");
    let left = std::fs::read_dir(cloud.folder.path().join("replicas")).unwrap().count();
    assert_eq!(left, 0, "the secrets' files go with the replica");
}

#[tokio::test]
async fn an_image_that_is_not_there_fails_the_execution() {
    let reason = sockerless_executor::FailureReason::ImageNotFound;
    let runner = Fake::playing(move |_| vec![TaskEvent::Failed { reason, message: "why".into() }]);
    let cloud = Cloud::with(runner, |_| {}).await;
    cloud.create("job", cloud.job(&["x"])).await;
    let execution = cloud.ended(&cloud.start_job("job").await).await;
    let container = &execution["properties"]["detailedStatus"]["replicas"][0]["containers"][0];
    assert!(
        container["code"].is_null() && container["additionalInformation"].as_str().unwrap().contains("why")
    );
}

#[tokio::test]
async fn what_ran_when_the_simulator_ended_has_failed_after_the_next_start() {
    let cloud = Cloud::start().await;
    cloud.create("long", cloud.job(&["sleep"])).await;
    let execution = cloud.start_job("long").await;
    cloud.runner.started.notified().await;
    let folder = cloud.folder.clone();
    cloud.server.shutdown().await;
    let cloud = Cloud::again(folder, Fake::default(), |_| {}).await;
    let found = cloud.get(&execution).await;
    assert_eq!(found["properties"]["status"], "Failed");
    assert!(found["properties"]["message"].as_str().unwrap().contains("lost"));
    assert_eq!(cloud.get(&path(&cloud, "long")).await["properties"]["provisioningState"], "Succeeded");
}

#[tokio::test]
async fn an_app_runs_until_it_is_stopped() {
    let cloud = Cloud::start().await;
    let app = format!("{}/Microsoft.App/containerApps/web", cloud.group());
    let mut body = cloud.job(&["sleep"]);
    body["properties"]["configuration"] =
        json!({"ingress": {"targetPort": 80, "transport": "tcp", "exposedPort": 8080}});
    let end = cloud.done("PUT", &app, body).await;
    assert_eq!(end["status"], "Succeeded", "{end}");
    cloud.runner.started.notified().await;
    let shown = cloud.get(&app).await;
    let name = shown["properties"]["configuration"]["ingress"]["fqdn"].as_str().unwrap();
    assert!(name.starts_with("web.internal.") && name.ends_with(".azurecontainerapps.io"), "{name}");
    assert_eq!(*cloud.runner.hosts.lock().unwrap(), [format!("web {name}")]);
    let revision = shown["properties"]["latestRevisionName"].as_str().unwrap().to_owned();
    let replicas = cloud.get(&format!("{app}/revisions/{revision}/replicas")).await;
    assert_eq!(replicas["value"].as_array().unwrap().len(), 1);
    cloud.done("POST", &format!("{app}/stop"), Value::Null).await;
    assert_eq!(cloud.get(&app).await["properties"]["runningStatus"], "Stopped");
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), 1);
    assert!(cloud.runner.hosts.lock().unwrap().is_empty());
    cloud.done("DELETE", &app, Value::Null).await;
}

#[tokio::test]
async fn an_app_runs_a_failed_init_container_again_and_shows_how_often() {
    let cloud = Cloud::start().await;
    let app = format!("{}/Microsoft.App/containerApps/web", cloud.group());
    let mut body = cloud.job(&["sleep"]);
    body["properties"]["configuration"] = json!({});
    let template = &mut body["properties"]["template"];
    template["initContainers"] = json!([
        {"name": "good", "image": "busybox", "command": ["exit", "0"]},
        {"name": "bad", "image": "busybox", "command": ["exit", "4"]},
    ]);
    assert_eq!(cloud.done("PUT", &app, body).await["status"], "Succeeded");
    let revision = cloud.get(&app).await["properties"]["latestRevisionName"].as_str().unwrap().to_owned();
    let replicas = format!("{app}/revisions/{revision}/replicas");
    let properties = loop {
        let mut found = cloud.get(&replicas).await;
        let properties = found["value"][0]["properties"].take();
        if properties["initContainers"][1]["restartCount"].as_i64().is_some_and(|count| count > 0) {
            break properties;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(properties["initContainers"][0]["restartCount"], 0, "{properties}");
    assert_eq!(properties["containers"][0]["runningState"], "Waiting");
    assert_eq!(properties["runningState"], "NotRunning");
    cloud.done("DELETE", &app, Value::Null).await;
}
