//! A simulator whose containers are played, and a plugin in front of it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use sockerless_credentials::{CredentialSet, Fixed, Secret};
use sockerless_executor::{TaskEvent, TaskSpec};
use sockerless_ports::backend::{JobContainer, JobHandle, JobSpec, JobStatus, Jobs, WorkloadKind};
use sockerless_simulator_google::{Config, Profile, Runner, Running, Server, Stop, start_with};
use sockerless_tests::dist;
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};

pub const OWNER: &str = "d0";
/// Longer than any test needs; only a failing one meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Plays containers: `exit CODE LINE…` writes the lines to stdout and ends, `sleep` runs until it is stopped.
#[derive(Default)]
pub struct Stage {
    pub seen: Mutex<Vec<TaskSpec>>,
}

struct Curtain(Arc<Notify>);

impl Stop for Curtain {
    fn stop(&self, _grace: Duration) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Runner for Stage {
    fn run(&self, spec: TaskSpec) -> Result<Running, String> {
        let (send, events) = mpsc::channel(64);
        let stopped = Arc::new(Notify::new());
        let stop = Box::new(Curtain(stopped.clone()));
        let args = spec.args.clone();
        self.seen.lock().unwrap().push(spec);
        tokio::spawn(async move {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            send.send(TaskEvent::Started { pid: 1, address }).await.ok();
            let (exit_code, signal) = match args.split_first() {
                Some((verb, rest)) if verb == "exit" => {
                    for line in &rest[1..] {
                        let output = TaskEvent::Output {
                            stderr: line.starts_with("err"),
                            time: SystemTime::now(),
                            bytes: format!("{line}\n").into(),
                        };
                        send.send(output).await.ok();
                    }
                    (Some(rest[0].parse().unwrap()), None)
                }
                _ => {
                    stopped.notified().await;
                    (None, Some(15))
                }
            };
            send.send(TaskEvent::Exited { exit_code, signal, out_of_memory: false }).await.ok();
        });
        Ok(Running { events, stop })
    }

    fn host_address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }

    fn bind_address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }

    async fn shutdown(&self) {}
}

/// A simulator with a plugin in front of it.
pub struct Cloud {
    pub server: Server,
    pub stage: Arc<Stage>,
    pub plugin: Arc<Plugin>,
    _state: TempDir,
}

/// What an operator may get wrong.
#[derive(Default)]
pub struct Faults {
    pub project: Option<&'static str>,
    pub token: Option<&'static str>,
    pub no_credential: bool,
    pub run_endpoint: Option<String>,
    /// Set last.
    pub settings: Vec<(&'static str, String)>,
}

pub async fn cloud() -> Cloud {
    cloud_with(Faults::default()).await
}

pub async fn cloud_with(faults: Faults) -> Cloud {
    sockerless_credentials::install_tls_provider();
    let state = TempDir::new().unwrap();
    let stage = Arc::new(Stage::default());
    let runner = stage.clone() as Arc<dyn Runner>;
    let config = Config::new(state.path().join("cloud"), Profile::Fast);
    let server = start_with(config, async move |_, _| Ok(runner)).await.unwrap();
    let info = server.info();

    let mut credentials = CredentialSet::new();
    if !faults.no_credential {
        let token = faults.token.map_or_else(|| info.token.clone(), ToOwned::to_owned);
        credentials = credentials.with("google", Fixed::bearer(Secret::new(token)));
    }
    let mut settings: BTreeMap<String, String> = [
        ("project", faults.project.unwrap_or(&info.project)),
        ("region", &info.region),
        ("repository", &format!("{}/{}/images", info.registry, info.project)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for name in
        ["run_endpoint", "storage_endpoint", "logging_endpoint", "dns_endpoint", "artifact_registry_endpoint"]
    {
        settings.insert(name.to_owned(), info.google.clone());
    }
    if let Some(endpoint) = faults.run_endpoint {
        settings.insert("run_endpoint".to_owned(), endpoint);
    }
    settings.extend(faults.settings.into_iter().map(|(name, value)| (name.to_owned(), value)));
    // Shared by all tests, so that the component is compiled once.
    let cache_dir = dist::target().join("plugin-test-cache");
    let host = PluginHost::new(HostConfig {
        cache_dir,
        limits: Limits::default(),
        credentials: Arc::new(credentials),
        proxies: Proxies::default(),
    });
    let component: PathBuf = dist::program("plugins/cloudrun.wasm");
    let options = PluginOptions { settings, ..PluginOptions::default() };
    let plugin = host.unwrap().load("cloudrun", component, options).await.unwrap();
    Cloud { server, stage, plugin, _state: state }
}

impl Cloud {
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
                assert_eq!(status.poll_after_ms.is_none(), status.phase.is_final(), "{status:?}");
                let pause = status.poll_after_ms.unwrap_or(10);
                tokio::time::sleep(Duration::from_millis(pause.into())).await;
                handle = status.handle;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the job gets there")
    }

    pub async fn close(self) {
        self.server.shutdown().await;
    }
}

pub fn spec(name: &str, args: &[&str]) -> JobSpec {
    let args = args.iter().map(ToString::to_string).collect();
    let image = "docker.io/library/busybox:latest".into();
    JobSpec {
        name: name.into(),
        owner: OWNER.into(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![],
        containers: vec![JobContainer { name: "main".into(), image, args, ..JobContainer::default() }],
        volumes: vec![],
        labels: vec![("container".into(), name.into()), ("com.example.Key".into(), "Ü b".into())],
        timeout_seconds: None,
        max_retries: 0,
        all_traffic: false,
        zones: vec![],
        accelerator: None,
        expires: Some(4_000_000_000_000),
        start: true,
    }
}
