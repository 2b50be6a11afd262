//! Jobs and executions that go well.

use serde_json::{Value, json};

use super::{Cloud, PARENT, condition, job};

#[tokio::test]
async fn a_start_token_creates_and_starts_in_one_call() {
    let cloud = Cloud::start().await;
    let mut body = job(&["sleep"]);
    body["startExecutionToken"] = json!("g1");
    body["labels"] = json!({"managed-by": "sockerless"});
    let done = cloud.create("web", body).await;
    let created = &done["response"];
    assert_eq!(created["@type"], "type.googleapis.com/google.cloud.run.v2.Job");
    assert_eq!(created["name"], "projects/sim-project/locations/us-central1/jobs/web");
    assert_eq!(created["latestCreatedExecution"]["name"], "web-g1");
    assert_eq!(created["latestCreatedExecution"]["completionStatus"], "EXECUTION_RUNNING");
    assert_eq!(created["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    assert_eq!(created["executionCount"], 1);
    assert_eq!((&created["generation"], &created["observedGeneration"]), (&json!("1"), &json!("1")));
    let execution = cloud.get(&format!("{PARENT}/jobs/web/executions/web-g1")).await;
    assert_eq!(execution["runningCount"], 1);
    assert_eq!(execution["reconciling"], true);
    assert_eq!(execution["labels"]["managed-by"], "sockerless");
    assert!(execution["startTime"].is_string() && execution["completionTime"].is_null());
    assert_eq!(condition(&execution, "Started")["state"], "CONDITION_SUCCEEDED");
}

#[tokio::test]
async fn the_container_is_what_the_cloud_would_run() {
    let cloud = Cloud::start().await;
    let mut body = job(&["/bin/sh", "-c"]);
    let container = &mut body["template"]["template"]["containers"][0];
    container["args"] = json!(["exit 0"]);
    container["env"] = json!([{"name": "A", "value": "1"}, {"name": "B"}]);
    container["workingDir"] = json!("/srv");
    container["resources"] = json!({"limits": {"cpu": "2", "memory": "1Gi"}});
    cloud.run_to_end("web", body).await;
    let spec = cloud.runner.spec();
    assert_eq!(spec.image, "docker.io/library/busybox:latest");
    assert_eq!((spec.command.join(" "), spec.args.join(" ")), ("/bin/sh -c".to_owned(), "exit 0".to_owned()));
    assert_eq!(spec.working_dir.as_deref(), Some("/srv"));
    assert_eq!((spec.cpu_millis, spec.memory_bytes), (Some(2_000), Some(1 << 30)));
    assert_eq!(spec.hostname, None, "the cloud's is localhost");
    assert!(
        spec.capabilities.contains(&"CHOWN".to_owned())
            && !spec.capabilities.contains(&"SYS_ADMIN".to_owned())
    );
    let env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        env,
        [
            "A=1",
            "B=",
            "CLOUD_RUN_JOB=web",
            "CLOUD_RUN_EXECUTION=web-t",
            "CLOUD_RUN_TASK_INDEX=0",
            "CLOUD_RUN_TASK_ATTEMPT=0",
            "CLOUD_RUN_TASK_COUNT=1"
        ]
    );
}

#[tokio::test]
async fn output_is_in_the_log_before_a_client_learns_of_the_end() {
    let cloud = Cloud::start().await;
    cloud.run_to_end("web", job(&["echo"])).await;
    let filter = r#"resource.type="cloud_run_job" AND labels."run.googleapis.com/execution_name"="web-t""#;
    let entries = cloud.entries(filter).await;
    let lines: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| {
            let log = entry["logName"].as_str().unwrap().rsplit('/').next().unwrap();
            (log, entry["textPayload"].as_str().unwrap())
        })
        .collect();
    assert_eq!(lines, [("run.googleapis.com%2Fstdout", "out"), ("run.googleapis.com%2Fstderr", "err")]);
    let labels = json!({"project_id": "sim-project", "location": "us-central1", "job_name": "web"});
    assert_eq!(entries[0]["resource"], json!({"type": "cloud_run_job", "labels": labels}));
}

#[tokio::test]
async fn a_run_ends_its_operation_with_the_execution_and_takes_overrides() {
    let cloud = Cloud::start().await;
    cloud.create("web", job(&["exit", "0"])).await;
    let overrides = json!({"taskCount": 2, "containerOverrides": [{"args": ["x"], "env": [{"name": "A", "value": "1"}]}]});
    let operation =
        cloud.ok("POST", &format!("{PARENT}/jobs/web:run"), json!({"overrides": overrides})).await;
    assert_eq!(operation["metadata"]["@type"], "type.googleapis.com/google.cloud.run.v2.Execution");
    let done = cloud.wait(&operation).await;
    assert_eq!(done["response"]["succeededCount"], 2);
    assert_eq!(condition(&done["response"], "Completed")["state"], "CONDITION_SUCCEEDED");
    let specs = cloud.runner.specs.lock().unwrap().clone();
    assert_eq!(specs.len(), 2);
    assert_eq!(specs[0].args, ["x"]);
    assert!(specs[0].env.contains(&("A".to_owned(), "1".to_owned())));
    let job = cloud.get(&format!("{PARENT}/jobs/web")).await;
    assert_eq!(job["latestCreatedExecution"]["completionStatus"], "EXECUTION_SUCCEEDED");
    assert!(
        job["template"]["template"]["containers"][0]["args"].is_null(),
        "an override is of one execution"
    );
}

#[tokio::test]
async fn lists_come_in_pages_and_lack_what_a_get_has() {
    let cloud = Cloud::start().await;
    for id in ["a", "b", "c"] {
        cloud.run_to_end(id, job(&["exit", "0"])).await;
    }
    let first = cloud.get(&format!("{PARENT}/jobs?pageSize=2")).await;
    let names = |page: &Value| -> Vec<String> {
        let jobs = page["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first["jobs"][0]["terminalCondition"].is_null());
    let second =
        cloud.get(&format!("{PARENT}/jobs?pageToken={}", first["nextPageToken"].as_str().unwrap())).await;
    assert_eq!(names(&second), ["c"]);
    assert!(second["nextPageToken"].is_null());
    let executions = cloud.get(&format!("{PARENT}/jobs/a/executions")).await;
    assert_eq!(executions["executions"].as_array().unwrap().len(), 1);
    let tasks = cloud.get(&format!("{PARENT}/jobs/a/executions/a-t/tasks")).await;
    assert_eq!(tasks["tasks"][0]["lastAttemptResult"], json!({"status": {}}));
    let operations = cloud.get(&format!("{PARENT}/operations")).await;
    assert_eq!(operations["operations"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_executions_of_all_jobs_come_newest_first_and_in_pages() {
    let cloud = Cloud::start().await;
    for id in ["b", "a", "b-2"] {
        cloud.run_to_end(id, job(&["exit", "0"])).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let all = page["executions"].as_array().unwrap();
        all.iter().map(|one| one["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    let all = format!("{PARENT}/jobs/-/executions");
    let first = cloud.get(&format!("{all}?pageSize=2")).await;
    assert_eq!(names(&first), ["b-2-t", "a-t"]);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = cloud.get(&format!("{all}?pageSize=2&pageToken={token}")).await;
    assert_eq!(names(&second), ["b-t"]);
    assert!(second["nextPageToken"].is_null());
    assert_eq!(names(&cloud.get(&format!("{PARENT}/jobs/b/executions")).await), ["b-t"]);
}

#[tokio::test]
async fn a_patch_makes_a_generation_and_may_create() {
    let cloud = Cloud::start().await;
    let path = format!("{PARENT}/jobs/web");
    let missing = cloud.call("PATCH", &path, job(&["exit", "0"])).await;
    assert_eq!(missing.status, 404);
    let operation = cloud.ok("PATCH", &format!("{path}?allowMissing=true"), job(&["exit", "0"])).await;
    cloud.wait(&operation).await;
    let before = cloud.get(&path).await;
    let operation = cloud.ok("PATCH", &path, job(&["exit", "1"])).await;
    cloud.wait(&operation).await;
    let after = cloud.get(&path).await;
    assert_eq!((&before["generation"], &after["generation"]), (&json!("1"), &json!("2")));
    assert_eq!(before["uid"], after["uid"]);
    assert_ne!(before["etag"], after["etag"]);
    assert_eq!(after["template"]["template"]["containers"][0]["command"], json!(["exit", "1"]));
}

#[tokio::test]
async fn a_deleted_job_takes_its_running_executions_along() {
    let cloud = Cloud::start().await;
    let mut body = job(&["sleep"]);
    body["startExecutionToken"] = json!("g1");
    cloud.create("web", body).await;
    let operation = cloud.ok("DELETE", &format!("{PARENT}/jobs/web"), Value::Null).await;
    let done = cloud.wait(&operation).await;
    assert!(done["response"]["deleteTime"].is_string());
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), 1);
    for path in ["/jobs/web", "/jobs/web/executions/web-g1", "/jobs/web/executions/web-g1/tasks/web-g1-task0"]
    {
        assert_eq!(cloud.call("GET", &format!("{PARENT}{path}"), Value::Null).await.status, 404, "{path}");
    }
    cloud.create("web", job(&["exit", "0"])).await;
}

#[tokio::test]
async fn nothing_starts_in_a_job_that_is_being_deleted() {
    let cloud = Cloud::start().await;
    for round in 0..20 {
        let id = format!("web{round}");
        let mut body = job(&["sleep"]);
        body["startExecutionToken"] = json!("g1");
        cloud.ok("POST", &format!("{PARENT}/jobs?jobId={id}"), body).await;
        let deletion = cloud.ok("DELETE", &format!("{PARENT}/jobs/{id}"), Value::Null).await;
        cloud.wait(&deletion).await;
        assert_eq!(cloud.call("GET", &format!("{PARENT}/jobs/{id}"), Value::Null).await.status, 404);
    }
    let simulator = &cloud.server.simulator;
    simulator.run.close();
    simulator.run.drained().await;
    let started = cloud.runner.specs.lock().unwrap().len();
    assert_eq!(cloud.runner.stops.lock().unwrap().len(), started, "what started was stopped");
}

#[tokio::test]
async fn an_operation_can_be_read_waited_for_and_forgotten() {
    let cloud = Cloud::start().await;
    let operation = cloud.ok("POST", &format!("{PARENT}/jobs?jobId=web"), job(&["true"])).await;
    let path = format!("/v2/{}", operation["name"].as_str().unwrap());
    let early = cloud.ok("POST", &format!("{path}:wait"), json!({"timeout": "0s"})).await;
    assert_eq!(early["name"], operation["name"], "waiting may answer early");
    cloud.wait(&operation).await;
    assert_eq!(cloud.get(&path).await["done"], true);
    cloud.ok("DELETE", &path, Value::Null).await;
    assert_eq!(cloud.call("GET", &path, Value::Null).await.status, 404);
}
