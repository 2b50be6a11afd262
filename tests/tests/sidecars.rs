//! Tasks of several containers in the Google simulator, really run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use serde_json::{Value, json};
use sockerless_tests::{
    Daemon,
    backend::CLOUDRUN,
    cloud::Ready,
    images::{ImageSpec, busybox_layer},
    registry::Registry,
};

/// The simulator of a daemon, with busybox behind docker.io.
struct Cloud {
    _daemon: Daemon,
    _hub: Registry,
    _folder: tempfile::TempDir,
    ready: Ready,
}

impl Cloud {
    fn start() -> Self {
        let hub = Registry::start(None).unwrap();
        hub.push(&ImageSpec::new("library/busybox:latest"), busybox_layer().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let arguments = format!("['--docker-hub-mirror', 'http://{}']", hub.host());
        fs::write(&file, format!("[simulator]\narguments = {arguments}\n")).unwrap();
        let daemon = Daemon::of(&CLOUDRUN, &["--config", file.to_str().unwrap()], &[]);
        let ready = daemon.ready();
        Self { _daemon: daemon, _hub: hub, _folder: folder, ready }
    }

    fn call(&self, method: &str, path: &str, body: Value) -> Value {
        self.ready.call(method, &format!("/v2/{path}"), &body)
    }

    /// Runs the containers as a job; gives the result of its only task.
    fn run(&self, template: Value) -> Value {
        let parent = "projects/sim-project/locations/us-central1";
        let job = json!({"runExecutionToken": "t", "template": {"template": template}});
        let mut operation = self.call("POST", &format!("{parent}/jobs?jobId=job"), job);
        while operation["done"] != true {
            let path = format!("{}:wait", operation["name"].as_str().unwrap());
            operation = self.call("POST", &path, json!({"timeout": "30s"}));
        }
        let tasks = self.call("GET", &format!("{parent}/jobs/job/executions/job-t/tasks"), Value::Null);
        tasks["tasks"][0]["lastAttemptResult"].clone()
    }
}

/// Listens where it is told to until it is told to end.
const SERVE: &str = "mkdir /w; echo from the sidecar > /w/index.html; echo in the volume > /b/given
    httpd -p 8080 -h /w; trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// Exits with 7 if it finds what the sidecar has, and nothing of its files.
const ASK: &str = r#"[ "$(wget -qO- http://localhost:8080/)" = "from the sidecar" ] || exit 1
    [ "$(cat /a/given)" = "in the volume" ] || exit 2
    [ -e /w ] && exit 3
    exit 7"#;

#[test]
fn a_main_container_meets_its_sidecar_once_that_listens_and_ends_the_task() {
    let cloud = Cloud::start();
    let result = cloud.run(json!({
        "maxRetries": 0,
        "volumes": [{"name": "both", "emptyDir": {}}],
        "containers": [
            {"name": "main", "image": "busybox", "command": ["sh", "-c", ASK], "dependsOn": ["side"],
             "volumeMounts": [{"name": "both", "mountPath": "/a"}]},
            {"name": "side", "image": "busybox", "command": ["sh", "-c", SERVE],
             "volumeMounts": [{"name": "both", "mountPath": "/b"}],
             "startupProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 60}},
        ],
    }));
    assert_eq!(result["exitCode"], 7, "{result}");
}
