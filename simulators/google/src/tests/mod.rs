//! The APIs as a client sees them, with a runner that only plays containers. Every answer is held to the discovery
//! documents.

mod auth;
mod dns;
mod logging;
mod registry;
mod restart;
mod run;
mod run_ends;
mod run_instances;
mod run_rules;
mod storage;

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::{Method, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::Config;
use crate::fake::{self, Answer, Fake};
use crate::profile::Profile;
use crate::runner::Runner;
use crate::schema::{self, Api};
use crate::server::{self, Server};

pub const TOKEN: &str = "test-token";
pub const PARENT: &str = "/v2/projects/sim-project/locations/us-central1";

/// An answer that is an error of Google's.
pub trait Refused {
    /// The error's status, word and message.
    fn error(&self) -> (u16, String, String);
}

impl Refused for Answer {
    fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        assert_eq!(error["code"], self.status.as_u16());
        let word =
            error["status"].as_str().or_else(|| error["errors"][0]["reason"].as_str()).unwrap_or_default();
        (self.status.as_u16(), word.to_owned(), error["message"].as_str().unwrap().to_owned())
    }
}

/// A simulator under test.
pub struct Cloud {
    pub server: Server,
    pub runner: Arc<Fake>,
    pub folder: Arc<TempDir>,
}

impl Cloud {
    pub async fn start() -> Self {
        Self::with(Fake::default(), |_| {}).await
    }

    pub async fn with(runner: Fake, change: impl FnOnce(&mut Config)) -> Self {
        Self::again(Arc::new(TempDir::new().unwrap()), runner, change).await
    }

    pub async fn again(folder: Arc<TempDir>, runner: Fake, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(folder.path(), Profile::Fast);
        config.token = Some(TOKEN.to_owned());
        change(&mut config);
        let runner = Arc::new(runner);
        let shared = runner.clone();
        let server =
            server::start_with(config, async move |_, _| Ok(shared as Arc<dyn Runner>)).await.unwrap();
        Self { server, runner, folder }
    }

    pub fn state(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = server::dispatch(State(self.server.simulator.clone()), request).await;
        Answer::of(response).await
    }

    /// A call with the token.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// A JSON call that may fail; a success is held to the discovery document.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.raw(method, path, &[("content-type", "application/json")], text).await;
        if answer.status.is_success() && !answer.bytes.is_empty() {
            hold(method, path, &answer.json());
        }
        answer
    }

    /// A JSON call that has to go well.
    pub async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null).await
    }

    /// Waits for an operation's end.
    pub async fn wait(&self, operation: &Value) -> Value {
        let path = format!("/v2/{}:wait", operation["name"].as_str().unwrap());
        loop {
            let operation = self.ok("POST", &path, json!({"timeout": "30s"})).await;
            if operation["done"] == true {
                return operation;
            }
        }
    }

    /// Creates a job and waits until it is reconciled.
    pub async fn create(&self, id: &str, job: Value) -> Value {
        let operation = self.ok("POST", &format!("{PARENT}/jobs?jobId={id}"), job).await;
        assert!(operation["done"].is_null(), "operations take their time");
        self.wait(&operation).await
    }

    /// Creates a job that runs, and gives the execution at its end.
    pub async fn run_to_end(&self, id: &str, mut job: Value) -> Value {
        job["runExecutionToken"] = json!("t");
        self.create(id, job).await;
        self.get(&format!("{PARENT}/jobs/{id}/executions/{id}-t")).await
    }

    /// Log entries by filter.
    pub async fn entries(&self, filter: &str) -> Vec<Value> {
        self.server.simulator.logging.flush().await;
        let body = json!({"resourceNames": ["projects/sim-project"], "filter": filter, "pageSize": 1000});
        let page = self.ok("POST", "/v2/entries:list", body).await;
        page["entries"].as_array().cloned().unwrap_or_default()
    }
}

/// A job of one container.
pub fn job(command: &[&str]) -> Value {
    json!({"template": {"template": {"containers": [{"image": "busybox", "command": command}], "maxRetries": 0}}})
}

/// The condition of a type.
pub fn condition<'a>(resource: &'a Value, kind: &str) -> &'a Value {
    let conditions = resource["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

/// Holds an answer to the method of its path.
fn hold(method: &str, path: &str, answer: &Value) {
    let path = path.split('?').next().unwrap();
    let tables: [(&Api, &str, &str); 4] = [
        (schema::run(), include_str!("../../schemas/run.v2.json"), "/"),
        (schema::logging(), include_str!("../../schemas/logging.v2.json"), "/"),
        (schema::dns(), include_str!("../../schemas/dns.v1.json"), "/"),
        (schema::storage(), include_str!("../../schemas/storage.v1.json"), "/storage/v1/"),
    ];
    for (api, text, base) in tables {
        let table: Value = serde_json::from_str(text).unwrap();
        let Some(rest) = path.strip_prefix(base) else { continue };
        for (id, entry) in table["methods"].as_object().unwrap() {
            if entry["http"] == method && fits(entry["path"].as_str().unwrap(), rest) {
                assert_eq!(api.response_faults(id, answer), Vec::<String>::new(), "{id}: {answer}");
                for (message, kind) in
                    [("GoogleCloudRunV2Job", "Job"), ("GoogleCloudRunV2Execution", "Execution")]
                {
                    for any in [&answer["metadata"], &answer["response"]] {
                        if any["@type"] == format!("type.googleapis.com/google.cloud.run.v2.{kind}") {
                            let mut resource = any.clone();
                            resource.as_object_mut().unwrap().remove("@type");
                            assert_eq!(api.message_faults(message, &resource), Vec::<String>::new());
                        }
                    }
                }
                return;
            }
        }
    }
    assert!(path.starts_with("/upload/"), "{method} {path} is in no discovery document");
    assert_eq!(schema::storage().message_faults("Object", answer), Vec::<String>::new());
}

/// Whether a path is of a template: `v2/projects/{projectsId}/…/{jobsId}:run`.
fn fits(template: &str, path: &str) -> bool {
    let split = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (template, path) = (split(template), split(path));
    template.len() == path.len()
        && template.iter().zip(&path).all(|(wanted, given)| match wanted.split_once('}') {
            Some((open, verb)) if open.starts_with('{') => {
                given.ends_with(verb) && (!verb.is_empty() || !given.contains(':'))
            }
            _ => wanted == given,
        })
}

#[tokio::test]
async fn a_state_folder_has_one_owner() {
    let cloud = Cloud::start().await;
    let config = Config::new(cloud.state(), Profile::Fast);
    let second =
        server::start_with(config, async |_, _| Ok(Arc::new(Fake::default()) as Arc<dyn Runner>)).await;
    assert!(matches!(second, Err(server::StartError::InUse(_))));
}

#[tokio::test]
async fn the_info_page_says_what_the_ready_file_says() {
    let cloud = Cloud::start().await;
    let request =
        Request::builder().method(Method::GET).uri("/simulator/v1/info").body(Body::empty()).unwrap();
    let info = cloud.send(request).await.json();
    assert_eq!(info, serde_json::to_value(cloud.server.info()).unwrap());
    assert_eq!(info["token"], TOKEN);
    assert_eq!(info["google"], format!("http://{}", info["registry"].as_str().unwrap()));
}
