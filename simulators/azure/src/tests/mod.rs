//! The APIs as a client sees them, with a runner that only plays containers. Every answer is held to the models.

mod arm;
mod dns;
mod faults;
mod files;
mod jobs;
mod logs;
mod rules;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use http::Request;
use serde_json::{Value, json};
use sockerless_simulator_common::Profile;
use sockerless_simulator_common::runner::Runner;
use sockerless_simulator_common::testing::{Answer, Fake};
use tempfile::TempDir;

use crate::config::Config;
use crate::schema;
use crate::server::{self, Scheme, Server};

pub const TOKEN: &str = "test-token";
pub const HOST: &str = "azure.test:1";

/// An answer that is an error of Azure's.
pub trait Refused {
    /// The error's status and code.
    fn error(&self) -> (u16, String);
}

impl Refused for Answer {
    fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"]["code"].as_str().unwrap().to_owned())
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

    /// The default group's providers.
    pub fn group(&self) -> String {
        let info = self.server.info();
        format!("/subscriptions/{}/resourceGroups/{}/providers", info.subscription, info.resource_group)
    }

    pub fn environment(&self) -> String {
        format!("{}/Microsoft.App/managedEnvironments/{}", self.group(), self.server.info().environment)
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let state = State(self.server.simulator.clone());
        let response = server::dispatch(state, Extension(Scheme("https")), request).await;
        let answer = Answer::of(response).await;
        // What goes on beside the requests gets its turn, even of a test that only asks.
        tokio::task::yield_now().await;
        answer
    }

    /// A call with the token.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// A call of Resource Manager with the models' version; a success is held to the models.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let version = if path.contains("Microsoft.Storage") {
            &schema::storage().version
        } else if path.contains("Microsoft.Network") {
            &schema::privatedns().version
        } else {
            &schema::appcontainers().version
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let json = [("content-type", "application/json")];
        let answer = self.raw(method, &format!("{path}{mark}api-version={version}"), &json, text).await;
        if answer.status.is_success() && !answer.bytes.is_empty() {
            hold(method, path, &answer.json());
        }
        answer
    }

    /// A call that has to go well.
    pub async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null).await
    }

    /// A call that begins an operation, and the operation's end: its document, or its result.
    pub async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text());
        let place = match answer.header("azure-asyncoperation") {
            "" => answer.header("location"),
            place => place,
        };
        assert!(place.starts_with(&format!("https://{HOST}/")), "{method} {path}: {place:?}");
        let place = place.trim_start_matches("https://").trim_start_matches(HOST).to_owned();
        loop {
            let answer = self.raw("GET", &place, &[], "").await;
            match answer.status.as_u16() {
                202 => {}
                200 if answer.json()["status"] == "InProgress" => {}
                204 => return Value::Null,
                _ => return answer.json(),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Creates a job.
    pub async fn create(&self, name: &str, job: Value) {
        let end = self.done("PUT", &format!("{}/Microsoft.App/jobs/{name}", self.group()), job).await;
        assert_eq!(end["status"], "Succeeded", "{end}");
    }

    /// Starts a job and gives the execution's path.
    pub async fn start_job(&self, name: &str) -> String {
        let path = format!("{}/Microsoft.App/jobs/{name}", self.group());
        let end = self.done("POST", &format!("{path}/start"), Value::Null).await;
        format!("{path}/executions/{}", end["name"].as_str().unwrap())
    }

    /// Waits for an execution's end.
    pub async fn ended(&self, execution: &str) -> Value {
        loop {
            let found = self.get(execution).await;
            if !found["properties"]["endTime"].is_null() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A job of one container.
    pub fn job(&self, command: &[&str]) -> Value {
        json!({
            "location": "westeurope",
            "properties": {
                "environmentId": self.environment(),
                "configuration": {"triggerType": "Manual", "replicaTimeout": 600, "replicaRetryLimit": 0},
                "template": {"containers": [{
                    "name": "main", "image": "busybox", "command": command, "resources": {"cpu": 0.25, "memory": "0.5Gi"},
                }]},
            },
        })
    }
}

/// Holds an answer to the method of its path.
fn hold(method: &str, path: &str, answer: &Value) {
    let path: Vec<&str> = path.split('?').next().unwrap().trim_matches('/').split('/').collect();
    for api in [schema::appcontainers(), schema::storage(), schema::privatedns()] {
        if let Some((name, method, _)) = api.find(method, &path) {
            let model =
                method.response.as_deref().unwrap_or_else(|| panic!("{name} answers nothing: {answer}"));
            assert_eq!(api.faults(model, answer), None, "{name}: {answer}");
            return;
        }
    }
}

#[tokio::test]
async fn a_state_folder_has_one_owner_and_the_info_page_says_what_the_ready_file_says() {
    let cloud = Cloud::start().await;
    let config = Config::new(cloud.folder.path(), Profile::Fast);
    let second =
        server::start_with(config, async |_, _| Ok(Arc::new(Fake::default()) as Arc<dyn Runner>)).await;
    assert!(matches!(second, Err(server::StartError::InUse(_))));
    let info = cloud.raw("GET", "/simulator/v1/info", &[], "").await.json();
    assert_eq!(info, serde_json::to_value(cloud.server.info()).unwrap());
}
