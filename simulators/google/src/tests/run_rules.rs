//! What Cloud Run refuses.

use serde_json::{Value, json};
use sockerless_executor::MountSource;

use super::fake::Fake;
use super::{Cloud, PARENT, Refused as _, condition, job};

#[tokio::test]
async fn errors_have_googles_form_and_words() {
    let cloud = Cloud::start().await;
    cloud.create("web", job(&["exit", "0"])).await;
    let path = |rest: &str| format!("{PARENT}/{rest}");
    let mut unknown = job(&[]);
    unknown["template"]["x"] = json!(1);
    let mut named = job(&[]);
    named["name"] = json!("web");
    let mut foreign = job(&[]);
    foreign["template"]["template"]["containers"][0]["image"] = json!("ghcr.io/a/b");
    for (method, path, body, status, word, message) in [
        ("POST", path("jobs?jobId=web"), job(&[]), 409, "ALREADY_EXISTS", "Resource 'web' already exists."),
        (
            "POST",
            path("jobs?jobId=Web"),
            job(&[]),
            400,
            "INVALID_ARGUMENT",
            "Violation in CreateJobRequest.job_id",
        ),
        (
            "POST",
            path("jobs?jobId=a"),
            unknown,
            400,
            "INVALID_ARGUMENT",
            "Unknown name \"x\" at 'job.template': Cannot find field.",
        ),
        ("POST", path("jobs?jobId=a"), named, 400, "INVALID_ARGUMENT", "job.name"),
        ("POST", path("jobs?jobId=a"), foreign, 400, "INVALID_ARGUMENT", "Expected an image path like"),
        ("POST", path("jobs?jobId=a&x=1"), job(&[]), 400, "INVALID_ARGUMENT", "Cannot bind query parameter"),
        (
            "GET",
            path("jobs/absent"),
            Value::Null,
            404,
            "NOT_FOUND",
            "Resource 'absent' of kind 'JOB' in region 'us-central1' in project 'sim-project' does not exist.",
        ),
        ("GET", path("jobs/web/executions/absent"), Value::Null, 404, "NOT_FOUND", "of kind 'EXECUTION'"),
        ("POST", path("jobs/absent:run"), json!({}), 404, "NOT_FOUND", "of kind 'JOB'"),
        (
            "POST",
            path("jobs/web:run"),
            json!({"etag": "\"other\""}),
            409,
            "ABORTED",
            "Conflict for resource 'web'",
        ),
        (
            "POST",
            path("jobs/web:run"),
            json!({"overrides": {"containerOverrides": [{"name": "other"}]}}),
            400,
            "INVALID_ARGUMENT",
            "Container \"other\" not found.",
        ),
        ("GET", path("services/s"), Value::Null, 404, "NOT_FOUND", "Method not found"),
        (
            "GET",
            "/v2/projects/other/locations/us-central1/jobs".into(),
            Value::Null,
            403,
            "PERMISSION_DENIED",
            "project other",
        ),
        (
            "GET",
            "/v2/projects/sim-project/locations/mars/jobs".into(),
            Value::Null,
            403,
            "PERMISSION_DENIED",
            "Location mars",
        ),
    ] {
        let answer = cloud.call(method, &path, body).await;
        let (actual, status_word, text) = answer.error();
        assert_eq!((actual, status_word.as_str()), (status, word), "{method} {path}: {text}");
        assert!(text.contains(message), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let cloud = Cloud::start().await;
    let answer = cloud.raw("POST", &format!("{PARENT}/jobs?jobId=a"), &[], "{\"template\": }").await;
    let (status, word, message) = answer.error();
    assert_eq!((status, word.as_str()), (400, "INVALID_ARGUMENT"));
    assert!(message.starts_with("Invalid JSON payload received. Unexpected token."));
}

#[tokio::test]
async fn validate_only_changes_nothing() {
    let cloud = Cloud::start().await;
    let mut body = job(&["exit", "0"]);
    body["startExecutionToken"] = json!("t");
    let operation = cloud.ok("POST", &format!("{PARENT}/jobs?jobId=web&validateOnly=true"), body).await;
    assert_eq!(operation["done"], true);
    assert_eq!(cloud.get(&format!("{PARENT}/jobs")).await, json!({}));
    assert!(cloud.runner.specs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn quotas_answer_429_and_say_when_to_come_again() {
    let cloud = Cloud::with(Fake::default(), |config| {
        config.quotas.jobs = 2;
        config.quotas.runs_per_minute = 1;
    })
    .await;
    cloud.run_to_end("a", job(&["exit", "0"])).await;
    let second = cloud.call("POST", &format!("{PARENT}/jobs/a:run"), json!({})).await;
    assert_eq!(second.error().1, "RESOURCE_EXHAUSTED");
    let after: u64 = second.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&after));
    cloud.create("b", job(&["exit", "0"])).await;
    let third = cloud.call("POST", &format!("{PARENT}/jobs?jobId=c"), job(&[])).await;
    assert_eq!((third.status.as_u16(), third.error().1.as_str()), (429, "RESOURCE_EXHAUSTED"));
}

#[tokio::test]
async fn running_executions_have_a_quota() {
    let cloud = Cloud::with(Fake::default(), |config| config.quotas.running_executions = 1).await;
    let mut body = job(&["sleep"]);
    body["startExecutionToken"] = json!("t");
    cloud.create("a", body.clone()).await;
    let done = cloud.create("b", body).await;
    assert_eq!(done["error"]["code"], 8, "{done}");
}

fn mounting(volume: Value) -> Value {
    let mut body = job(&["exit", "0"]);
    let task = &mut body["template"]["template"];
    task["volumes"] = json!([volume]);
    task["containers"][0]["volumeMounts"] = json!([{"name": volume["name"], "mountPath": "/mnt"}]);
    body
}

/// What is known is kept for ever: a copy will do.
const FROZEN: &str = "metadata-cache-ttl-secs=-1";

#[tokio::test]
async fn a_bucket_that_may_change_is_a_file_system_of_its_own() {
    let cloud = Cloud::start().await;
    cloud.ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket"})).await;
    cloud.raw("POST", "/upload/storage/v1/b/bucket/o?uploadType=media&name=v%2Fsub%2Fa", &[], "").await;
    for (id, gcs) in [
        ("a", json!({"bucket": "bucket"})),
        ("b", json!({"bucket": "bucket", "readOnly": true})),
        ("c", json!({"bucket": "bucket", "mountOptions": [FROZEN]})),
    ] {
        cloud.run_to_end(id, mounting(json!({"name": "v", "gcs": gcs}))).await;
        let mount = cloud.runner.specs.lock().unwrap().pop().unwrap().mounts.remove(0);
        assert!(matches!(mount.source, MountSource::Served(_)), "{mount:?}");
        assert_eq!(mount.read_only, gcs["readOnly"] == true);
    }
    let within = |sub_path: &str| {
        let gcs = json!({"bucket": "bucket", "mountOptions": ["only-dir=v"]});
        let mut job = mounting(json!({"name": "v", "gcs": gcs}));
        job["template"]["template"]["containers"][0]["volumeMounts"][0]["subPath"] = json!(sub_path);
        job
    };
    cloud.run_to_end("d", within("sub")).await;
    let mount = cloud.runner.specs.lock().unwrap().pop().unwrap().mounts.remove(0);
    assert!(format!("{mount:?}").contains("gs://bucket/v/sub/"), "{mount:?}");
    let execution = cloud.run_to_end("e", within("none")).await;
    let text = condition(&execution, "Completed")["message"].as_str().unwrap().to_owned();
    assert!(text.contains("sub path \"none\" is no folder in the volume"), "{text}");
}

#[tokio::test]
async fn a_bucket_is_mounted_with_the_modes_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let cloud = Cloud::start().await;
    cloud.ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket"})).await;
    for (name, content) in [("agent%2Fv1%2Fbin", "binary"), ("agent%2Fv1%2Fdeep%2Ffile", "x"), ("other", "y")]
    {
        cloud
            .raw("POST", &format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}"), &[], content)
            .await;
    }
    let options = json!(["only-dir=agent/v1", "file-mode=755", "implicit-dirs", FROZEN]);
    let volume =
        json!({"name": "agent", "gcs": {"bucket": "bucket", "readOnly": true, "mountOptions": options}});
    cloud.run_to_end("a", mounting(volume.clone())).await;
    cloud.run_to_end("b", mounting(volume)).await;
    let specs = cloud.runner.specs.lock().unwrap().clone();
    let folder = |index: usize| match &specs[index].mounts[0].source {
        MountSource::Directory(path) => path.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(folder(0), folder(1), "one content is laid out once");
    assert!(specs[0].mounts[0].read_only);
    assert_eq!(specs[0].mounts[0].path, "/mnt");
    let mode = |path: &str| std::fs::metadata(folder(0).join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(std::fs::read(folder(0).join("bin")).unwrap(), b"binary");
    assert_eq!((mode("bin"), mode("deep"), mode("deep/file")), (0o755, 0o755, 0o755));
    assert!(!folder(0).join("other").exists());
}

#[tokio::test]
async fn without_implicit_dirs_a_folder_needs_an_object_of_its_own() {
    let cloud = Cloud::start().await;
    cloud.ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket"})).await;
    for name in ["seen%2F", "seen%2Ffile", "hidden%2Ffile"] {
        cloud
            .raw("POST", &format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}"), &[], "")
            .await;
    }
    let gcs = json!({"bucket": "bucket", "readOnly": true, "mountOptions": [FROZEN, "implicit-dirs=false"]});
    cloud.run_to_end("a", mounting(json!({"name": "v", "gcs": gcs}))).await;
    let MountSource::Directory(folder) = cloud.runner.spec().mounts[0].source.clone() else { panic!() };
    assert!(folder.join("seen/file").exists());
    assert!(!folder.join("hidden").exists());
}

#[tokio::test]
async fn a_mount_that_fails_fails_the_execution() {
    let cloud = Cloud::start().await;
    cloud.ok("POST", "/storage/v1/b?project=sim-project", json!({"name": "bucket"})).await;
    let cases = [
        ("a", json!({"bucket": "absent", "readOnly": true}), "does not exist"),
        (
            "b",
            json!({"bucket": "bucket", "readOnly": true, "mountOptions": ["only-dir:x"]}),
            "unknown flag: --only-dir:x",
        ),
    ];
    for (id, gcs, message) in cases {
        let execution = cloud.run_to_end(id, mounting(json!({"name": "v", "gcs": gcs}))).await;
        let text = condition(&execution, "Completed")["message"].as_str().unwrap().to_owned();
        assert!(text.contains(message), "{text}");
    }
    assert!(cloud.runner.specs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn memory_volumes_have_their_size_and_other_sources_are_refused_by_name() {
    let cloud = Cloud::start().await;
    cloud
        .run_to_end("a", mounting(json!({"name": "v", "emptyDir": {"medium": "MEMORY", "sizeLimit": "1Mi"}})))
        .await;
    let mount = cloud.runner.spec().mounts[0].clone();
    assert!(matches!(mount.source, MountSource::Memory { size: Some(1_048_576) }) && !mount.read_only);
    for source in [json!({"nfs": {"server": "s", "path": "/"}}), json!({"secret": {"secret": "s"}})] {
        let mut volume = source;
        volume["name"] = json!("v");
        let answer = cloud.call("POST", &format!("{PARENT}/jobs?jobId=b"), mounting(volume)).await;
        assert_eq!(answer.error().1, "UNIMPLEMENTED");
    }
}

#[tokio::test]
async fn nothing_is_mounted_over_the_systems_own_folders() {
    let cloud = Cloud::start().await;
    for path in ["/dev/shm", "/proc", "/sys/fs"] {
        let mut body = mounting(json!({"name": "v", "emptyDir": {"medium": "MEMORY"}}));
        body["template"]["template"]["containers"][0]["volumeMounts"][0]["mountPath"] = json!(path);
        let error = cloud.call("POST", &format!("{PARENT}/jobs?jobId=a"), body).await.error();
        assert_eq!((error.0, error.1.as_str()), (400, "INVALID_ARGUMENT"));
        assert!(error.2.contains("cannot be mounted at"), "{error:?}");
    }
}
