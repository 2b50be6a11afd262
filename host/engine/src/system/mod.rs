//! The daemon as a whole.

mod disk;
mod registries;

use std::collections::BTreeSet;

use bollard_stubs::models::{
    LocalNodeState, PluginsInfo, Runtime, SwarmInfo, SystemInfo, SystemInfoCgroupDriverEnum,
    SystemInfoCgroupVersionEnum, SystemInfoIsolationEnum, SystemVersion, SystemVersionComponents,
    SystemVersionPlatform,
};
use jiff::Timestamp;

use crate::{
    Engine, Result,
    life::{Phase, State},
};

/// The newest version of the API, which this engine's models are of: major and minor.
pub const API_VERSION: (u32, u32) = (1, 51);
/// The oldest that is served.
pub const MIN_API_VERSION: (u32, u32) = (1, 24);
/// What `docker version` and `docker info` say of the daemon.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Engine {
    /// `GET /info`. Processors and memory are what the default backend gives to one container.
    pub async fn info(&self) -> Result<SystemInfo> {
        let entries = self.containers.all();
        let count = |running: bool, paused: bool| {
            let of_kind = |state: &State| {
                (state.phase == Phase::Running) == running && (!running || state.paused == paused)
            };
            let matching = entries.iter().filter(|entry| of_kind(&entry.view().state)).count();
            i64::try_from(matching).unwrap_or(i64::MAX)
        };
        let manifest = self.cloud(&self.default_backend)?.manifest();
        let runtimes = self.clouds.values().map(|cloud| {
            let path = Some(cloud.manifest().description.clone());
            (cloud.name.clone(), Runtime { path, runtime_args: None, status: None })
        });
        let status = self.clouds.values().map(|cloud| {
            let manifest = cloud.manifest();
            vec![
                format!("Backend {}", cloud.name),
                format!("{} ({})", manifest.description, manifest.version),
            ]
        });
        let drivers: BTreeSet<String> =
            self.clouds.values().map(|cloud| cloud.manifest().volumes.name.clone()).collect();
        let mut warnings = Vec::new();
        if self.link.callback_url().is_none() {
            warnings.push(
                "WARNING: no callback address is set (SOCKERLESS_CALLBACK_URL): containers run without an agent, so there is no \
                 attach with input, no signals, and logs come from the cloud"
                    .to_owned(),
            );
        }
        let [http_proxy, https_proxy, no_proxy] = &self.options.registries.proxies;
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        Ok(SystemInfo {
            id: Some(self.owner.clone()),
            containers: Some(i64::try_from(entries.len()).unwrap_or(i64::MAX)),
            containers_running: Some(count(true, false)),
            containers_paused: Some(count(true, true)),
            containers_stopped: Some(count(false, false)),
            images: Some(i64::try_from(self.images.names().count()).unwrap_or(i64::MAX)),
            driver: Some("sockerless".into()),
            driver_status: Some(status.collect()),
            docker_root_dir: Some(self.options.data_root.to_string_lossy().into_owned()),
            plugins: Some(PluginsInfo {
                volume: Some(drivers.into_iter().collect()),
                network: list(&["bridge", "host", "null"]),
                authorization: None,
                log: list(&["json-file", "local", "none"]),
            }),
            memory_limit: Some(true),
            swap_limit: Some(false),
            cpu_cfs_period: Some(true),
            cpu_cfs_quota: Some(true),
            cpu_shares: Some(false),
            cpu_set: Some(false),
            pids_limit: Some(false),
            oom_kill_disable: Some(false),
            ipv4_forwarding: Some(true),
            debug: Some(false),
            nfd: Some(0),
            n_goroutines: Some(0),
            n_events_listener: Some(i64::try_from(self.events.listeners()).unwrap_or(i64::MAX)),
            system_time: Some(Timestamp::now().to_string()),
            logging_driver: Some(self.options.log_driver.clone()),
            cgroup_driver: Some(SystemInfoCgroupDriverEnum::NONE),
            cgroup_version: Some(SystemInfoCgroupVersionEnum::_2),
            kernel_version: Some(kernel()),
            operating_system: Some(format!("Sockerless: {}", manifest.description)),
            os_version: Some(String::new()),
            os_type: Some("linux".into()),
            architecture: Some(std::env::consts::ARCH.into()),
            ncpu: Some((i64::from(manifest.limits.cpu_millis.1) / 1000).max(1)),
            mem_total: i64::try_from(manifest.limits.memory_bytes.1).ok(),
            index_server_address: Some("https://index.docker.io/v1/".into()),
            registry_config: Some(registries::shown(&self.options.registries)),
            http_proxy: Some(registries::without_password(http_proxy)),
            https_proxy: Some(registries::without_password(https_proxy)),
            no_proxy: Some(no_proxy.clone()),
            name: Some(self.options.name.clone()),
            labels: Some(self.options.labels.clone()),
            experimental_build: Some(false),
            server_version: Some(VERSION.into()),
            runtimes: Some(runtimes.collect()),
            default_runtime: Some(self.default_backend.clone()),
            swarm: Some(SwarmInfo {
                node_id: Some(String::new()),
                node_addr: Some(String::new()),
                local_node_state: Some(LocalNodeState::INACTIVE),
                control_available: Some(false),
                error: Some(String::new()),
                ..SwarmInfo::default()
            }),
            live_restore_enabled: Some(true),
            isolation: Some(SystemInfoIsolationEnum::EMPTY),
            init_binary: Some("sockerless-agent".into()),
            security_options: list(&[]),
            warnings: Some(warnings),
            ..SystemInfo::default()
        })
    }

    /// `GET /version`.
    pub fn version(&self) -> SystemVersion {
        let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let details = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let engine = SystemVersionComponents {
            name: "Engine".into(),
            version: VERSION.into(),
            details: details(&[
                ("ApiVersion", &text(API_VERSION)),
                ("MinAPIVersion", &text(MIN_API_VERSION)),
                ("Arch", architecture),
                ("Os", "linux"),
                ("KernelVersion", &kernel()),
                ("Experimental", "false"),
                ("BuildTime", ""),
                ("GitCommit", ""),
                ("GoVersion", ""),
            ]),
        };
        let backends = self.clouds.values().map(|cloud| {
            let manifest = cloud.manifest();
            let default = if cloud.name == self.default_backend { "true" } else { "false" };
            SystemVersionComponents {
                name: cloud.name.clone(),
                version: manifest.version.clone(),
                details: details(&[("Description", &manifest.description), ("Default", default)]),
            }
        });
        SystemVersion {
            platform: Some(SystemVersionPlatform { name: "Sockerless".into() }),
            components: Some(std::iter::once(engine).chain(backends).collect()),
            version: Some(VERSION.into()),
            api_version: Some(text(API_VERSION)),
            min_api_version: Some(text(MIN_API_VERSION)),
            git_commit: Some(String::new()),
            go_version: Some(String::new()),
            os: Some("linux".into()),
            arch: Some(architecture.into()),
            kernel_version: Some(kernel()),
            experimental: Some(false),
            build_time: Some(String::new()),
        }
    }
}

/// This machine's kernel; empty where it does not say.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}
