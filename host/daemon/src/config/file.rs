//! What the configuration file may say.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;
use sockerless_credentials::CredentialConfig;
use sockerless_ports::backend::HttpGrant;

/// The configuration file. An unknown key is an error: a typing mistake must not go unnoticed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The unix socket of the Docker API.
    pub socket: Option<PathBuf>,
    /// Loopback addresses to serve the Docker API on as well.
    pub listen: Vec<SocketAddr>,
    /// The group that may use the socket.
    pub group: Option<String>,
    /// Folder for the daemon's state.
    pub state: Option<PathBuf>,
    /// The address at which containers reach this daemon.
    pub callback_url: Option<String>,
    /// The address that the daemon listens on for them.
    pub callback_listen: Option<SocketAddr>,
    /// Whether the daemon speaks TLS to agents.
    pub callback_tls: Option<CallbackTls>,
    /// The certificate for that, in PEM, with its chain; without it the daemon makes its own.
    pub callback_certificate: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub callback_key: Option<PathBuf>,
    /// How long the agents of ended containers stay: seconds, or a duration as `10m`.
    pub linger: Option<String>,
    /// Bytes that the daemon keeps of one container's files while no agent has them.
    pub files_limit: Option<u64>,
    /// The name of the default backend.
    pub backend: Option<String>,
    /// Folder with the components.
    pub plugins: Option<PathBuf>,
    /// The agent's binary.
    pub agent: Option<PathBuf>,
    /// Registries to be spoken to without TLS, as `host:port`.
    pub insecure_registries: Vec<String>,
    /// Registries to be asked instead of Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Labels of the daemon, shown by `docker info`.
    pub labels: Vec<String>,
    /// Containers.
    pub containers: Containers,
    /// Networks.
    pub networks: Networks,
    /// Bind mounts.
    pub binds: Binds,
    /// Volumes.
    pub volumes: Volumes,
    /// The embedded simulator.
    pub simulator: Simulator,
    /// Credentials by the name that plugins know them by.
    pub credentials: BTreeMap<String, CredentialConfig>,
    /// Settings for each backend.
    pub backends: BTreeMap<String, Backend>,
}

/// `[containers]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Containers {
    /// What becomes of a daemon's socket that is mounted into a container.
    pub docker_socket: Option<DockerSocket>,
    /// The log driver of containers that name none.
    pub log_driver: LogDriver,
    /// How long a container may run: seconds, or a duration as `2h`.
    pub timeout: Option<String>,
}

/// Where containers' output is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// In the daemon's state.
    #[default]
    JsonFile,
    /// The same, with other bounds.
    Local,
    /// Nowhere.
    None,
}

impl std::fmt::Display for LogDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
        })
    }
}

/// What becomes of a daemon's socket that is mounted into a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DockerSocket {
    /// This daemon's API is served there.
    #[default]
    Serve,
    /// The container is refused.
    Refuse,
}

/// `[networks]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Networks {
    /// Out of which networks get their subnets when nobody names one.
    pub pool: Option<sockerless_engine::Subnet>,
    /// Whether they get DNS zones in the cloud.
    pub zones: Option<bool>,
    /// The address of this machine that containers reach as `host.docker.internal`.
    pub host_gateway: Option<IpAddr>,
}

/// `[binds]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Binds {
    /// Only what is below these folders may be mounted.
    pub allow: Option<Vec<PathBuf>>,
    /// Bytes of one mount that are sent into a container.
    pub size_limit: Option<u64>,
    /// The file in a directory that says what of it stays at home; empty for none.
    pub ignore: Option<String>,
}

impl Binds {
    /// With the defaults for what the file does not say.
    pub fn options(&self) -> sockerless_engine::BindOptions {
        let default = sockerless_engine::BindOptions::default();
        sockerless_engine::BindOptions {
            allow: self.allow.clone().unwrap_or(default.allow),
            size_limit: self.size_limit.unwrap_or(default.size_limit),
            ignore: self.ignore.clone().unwrap_or(default.ignore),
        }
    }
}

/// `[volumes]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Volumes {
    /// What volumes are whose options do not say.
    pub consistency: Consistency,
}

/// When what a container writes to a volume is seen by others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Within seconds: the cloud's storage is mounted.
    #[default]
    Cached,
    /// When it ends: the volume is on the container's own disk.
    Synced,
}

impl From<Consistency> for sockerless_engine::Consistency {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Cached => Self::Cached,
            Consistency::Synced => Self::Synced,
        }
    }
}

/// `[simulator]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulator {
    /// Whether to use it.
    pub mode: SimulatorMode,
    /// Further arguments for it, as `["--profile", "realistic"]`.
    pub arguments: Vec<String>,
    /// Other backends than the default one that run in simulators of their own, unless they are configured.
    pub also: Vec<String>,
}

/// When containers run in the simulator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimulatorMode {
    /// When the default backend lacks a setting that it requires, because no account is configured.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Whether the daemon speaks TLS to agents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CallbackTls {
    /// When the callback address begins with wss://. The simulator's does not.
    #[default]
    Auto,
    /// Always, also in the simulator.
    On,
    /// Never: before the daemon stands a proxy that does.
    Off,
}

/// `[backends.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Backend {
    /// The component: a name in the folder of plugins, or a path [default: NAME].
    pub component: Option<String>,
    /// The most that it may reach.
    pub grant: Option<Vec<Grant>>,
    /// The plugin's own settings.
    #[serde(flatten)]
    pub settings: BTreeMap<String, toml::Value>,
}

/// A host that a backend may reach: one of `grant`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Host name, `*.suffix`, or `setting:NAME`, as in a plugin's manifest.
    pub host: String,
    /// The credentials that may go there.
    #[serde(default)]
    pub credentials: Vec<String>,
}

impl From<&Grant> for HttpGrant {
    fn from(grant: &Grant) -> Self {
        Self { host: grant.host.clone(), credentials: grant.credentials.clone() }
    }
}
