//! A simulator whose containers are played, and a plugin in front of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use sockerless_credentials::{CredentialSet, Fixed, Secret};
use sockerless_ports::backend::{
    ErrorCode, JobContainer, JobHandle, JobSpec, JobStatus, Jobs, Result, WorkloadKind,
};
use sockerless_simulator_azure::{Config, Profile, Runner, Server, start_with};
use sockerless_simulator_common::testing::{Fake, exited, output, started};
use sockerless_tests::{dist, http::request};
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};
use tempfile::TempDir;

pub const OWNER: &str = "d0";
/// Longer than any test needs; only a failing one meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A simulator with a plugin in front of it.
pub struct Cloud {
    pub server: Server,
    pub stage: Fake,
    pub plugin: Arc<Plugin>,
    _state: TempDir,
}

/// Containers are played: `exit CODE LINE…` writes the lines and ends, `sleep` runs until it is stopped.
fn stage() -> Fake {
    Fake::playing(|spec| {
        let mut events = vec![started()];
        if spec.command[0] == "exit" {
            let lines = spec.command[2..].iter();
            events.extend(lines.map(|line| output(line.starts_with("err"), &format!("{line}\n"))));
            events.push(exited(spec.command[1].parse().unwrap()));
        }
        events
    })
}

pub async fn cloud() -> Cloud {
    sockerless_credentials::install_tls_provider();
    let state = TempDir::new().unwrap();
    let stage = stage();
    let runner = Arc::new(stage.clone()) as Arc<dyn Runner>;
    let config = Config::new(state.path().join("cloud"), Profile::Fast);
    let server = start_with(config, async move |_, _| Ok(runner)).await.unwrap();
    let info = server.info();

    let token = || Fixed::bearer(Secret::new(info.token.clone()));
    let key = Fixed::shared_key(info.storage_account.clone(), Secret::new(info.storage_key.clone()));
    let credentials = CredentialSet::new()
        .with("azure-arm", token())
        .with("azure-logs", token())
        .with("azure-storage", key);
    let settings: BTreeMap<String, String> = [
        ("subscription_id", info.subscription.clone()),
        ("resource_group", info.resource_group.clone()),
        ("environment", info.environment.clone()),
        ("location", info.location.clone()),
        ("storage_account", info.storage_account.clone()),
        ("log_analytics_workspace", info.workspace.clone()),
        ("repository", format!("{}/containers", info.registry)),
        ("registry_identity", "system-environment".to_owned()),
        ("dns_zone", info.dns_zone.clone()),
        ("arm_endpoint", info.http.clone()),
        ("files_endpoint", format!("{}/files/{}", info.http, info.storage_account)),
        ("logs_endpoint", info.http.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    // Shared by all tests, so that the component is compiled once.
    let cache_dir = dist::target().join("plugin-test-cache");
    let host = PluginHost::new(HostConfig {
        cache_dir,
        limits: Limits::default(),
        credentials: Arc::new(credentials),
        proxies: Proxies::default(),
    });
    let options = PluginOptions { settings, ..PluginOptions::default() };
    let plugin = host.unwrap().load("aca", dist::program("plugins/aca.wasm"), options).await.unwrap();
    Cloud { server, stage, plugin, _state: state }
}

impl Cloud {
    /// Creates a job and starts it.
    pub async fn run(&self, spec: &JobSpec) -> JobHandle {
        let created = patiently(async || self.plugin.create(spec).await).await;
        patiently(async || self.plugin.start(&created).await).await
    }

    /// Asks until the job is over, at the pace that the plugin wants.
    pub async fn end_of(&self, handle: &JobHandle) -> JobStatus {
        self.until(handle, |status| status.phase.is_final()).await
    }

    pub async fn until(&self, handle: &JobHandle, reached: impl Fn(&JobStatus) -> bool) -> JobStatus {
        let asking = async {
            let mut handle = handle.clone();
            loop {
                let status = self.plugin.status(&[handle]).await.unwrap().remove(0);
                if reached(&status) {
                    return status;
                }
                let pause = status.poll_after_ms.unwrap_or(10);
                tokio::time::sleep(Duration::from_millis(pause.into())).await;
                handle = status.handle;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the job gets there")
    }

    /// The path of a resource of Container Apps.
    pub fn path(&self, resource: &str) -> String {
        let info = self.server.info();
        let (subscription, group) = (&info.subscription, &info.resource_group);
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.App/{resource}")
    }

    /// Asks for a fault, and waits for the answer elsewhere: this thread is the simulator's, too.
    pub async fn want(&self, fault: Value) {
        let base = self.server.info().http.clone();
        let asking = move || request(&base, "POST", "/simulator/v1/faults", &[], &fault.to_string());
        assert_eq!(tokio::task::spawn_blocking(asking).await.unwrap().0, 204);
    }

    pub async fn close(self) {
        self.server.shutdown().await;
    }
}

/// Repeats what the engine repeats.
pub async fn patiently<T>(call: impl AsyncFn() -> Result<T>) -> T {
    let calling = async {
        loop {
            match call().await {
                Err(error) if error.code == ErrorCode::NotReady => {
                    let pause = error.retry_after_ms.unwrap_or(10);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                answer => return answer.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, calling).await.expect("the cloud becomes ready")
}

pub fn spec(name: &str, command: &[&str]) -> JobSpec {
    let command = command.iter().map(ToString::to_string).collect();
    let image = "docker.io/library/busybox:latest".into();
    JobSpec {
        name: name.into(),
        owner: OWNER.into(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![],
        containers: vec![JobContainer { name: "main".into(), image, command, ..JobContainer::default() }],
        volumes: vec![],
        labels: vec![("sockerless-name".into(), "größe mit Leerzeichen".into())],
        timeout_seconds: None,
        max_retries: 0,
        all_traffic: false,
        zones: vec![],
        accelerator: None,
        expires: Some(4_000_000_000_000),
        start: false,
    }
}
