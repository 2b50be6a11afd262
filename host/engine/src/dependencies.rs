//! What the engine is given to work with.

use std::{collections::BTreeMap, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use sockerless_ports::{Backend, Link, Logs, Registry, Store};

/// Everything around the engine, each behind its port.
pub struct Dependencies {
    /// The clouds, by the name that `--runtime` takes.
    pub backends: BTreeMap<String, Arc<dyn Backend>>,
    /// The one of them that containers get without `--runtime`.
    pub default_backend: String,
    /// Agents' connections.
    pub link: Arc<dyn Link>,
    /// Images.
    pub registry: Arc<dyn Registry>,
    /// Durable records.
    pub store: Arc<dyn Store>,
    /// Containers' output.
    pub logs: Arc<dyn Logs>,
    /// What is brought into every container.
    pub agent: AgentBinary,
    /// Settings of the operator.
    pub options: EngineOptions,
}

/// Settings of the operator that concern the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// `DockerRootDir` in `docker info`.
    pub data_root: PathBuf,
    /// `Name` in `docker info`: this machine's host name.
    pub name: String,
    /// `Labels` in `docker info`, as `key=value`.
    pub labels: Vec<String>,
    /// How images are fetched, for `docker info`.
    pub registries: RegistryFacts,
    /// The log driver of containers that name none: `json-file`, `local` or `none`.
    pub log_driver: String,
    /// How long a container may run when its label `sockerless.timeout` does not say; none for
    /// the longest that its backend permits.
    pub timeout: Option<Duration>,
    /// SHA-256 of the certificate that agents are to find at the callback address, in hexadecimal digits; none when public
    /// authorities vouch for it, and without TLS.
    pub callback_fingerprint: Option<String>,
    /// Bytes that the daemon keeps of one container's files while no agent has them: what was copied in, and what its last
    /// run changed.
    pub files_limit: u64,
    /// Bind mounts.
    pub binds: crate::BindOptions,
    /// What volumes are whose options do not say.
    pub consistency: crate::Consistency,
    /// How long an agent may need to dial back once its job runs.
    pub agent_patience: Duration,
    /// How long the agent of an ended container stays when its label `sockerless.linger` does not say.
    pub linger: Duration,
    /// Out of which networks get their subnets when nobody names one.
    pub network_pool: crate::Subnet,
    /// Networks get a DNS zone in the cloud, where it has such a thing.
    pub network_zones: bool,
    /// The unix socket that this daemon serves its API at: what is mounted into a container under this path is this API.
    pub socket: PathBuf,
    /// Whether containers may have it.
    pub serve_socket: bool,
    /// The address of this machine that `host.docker.internal` and `host-gateway` lead to; none for nowhere.
    pub host_gateway: Option<IpAddr>,
}

/// How images are fetched; the registry's own concern, but shown by `docker info`.
#[derive(Debug, Clone, Default)]
pub struct RegistryFacts {
    /// Registries that are spoken to without TLS, as `host:port`. Loopback is such without being named.
    pub insecure: Vec<String>,
    /// URLs that are asked instead of Docker Hub.
    pub mirrors: Vec<String>,
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as they are in force; empty for none. Users and passwords are not shown.
    pub proxies: [String; 3],
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            data_root: PathBuf::from("/var/lib/sockerless"),
            name: "sockerless".into(),
            labels: Vec::new(),
            registries: RegistryFacts::default(),
            log_driver: "json-file".into(),
            timeout: None,
            callback_fingerprint: None,
            files_limit: crate::tuning::FILES_LIMIT,
            binds: crate::BindOptions::default(),
            consistency: crate::Consistency::default(),
            agent_patience: crate::tuning::AGENT_PATIENCE,
            linger: crate::tuning::LINGER,
            network_pool: crate::tuning::NETWORK_POOL,
            network_zones: true,
            socket: PathBuf::from("/run/sockerless.sock"),
            serve_socket: true,
            host_gateway: None,
        }
    }
}

/// The agent's executable. It is read when a backend does not have it yet.
#[derive(Debug, Clone)]
pub struct AgentBinary {
    /// Its SHA-256 in hexadecimal digits: part of its path where it is a blob.
    pub sha256: String,
    /// Where its bytes are.
    pub source: AgentSource,
}

/// Where an agent's bytes are.
#[derive(Debug, Clone)]
pub enum AgentSource {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// In a file, which stays as it is while the daemon runs.
    File(PathBuf),
}

impl AgentBinary {
    /// An agent in memory.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { sha256: hex::encode(Sha256::digest(&bytes)), source: AgentSource::Bytes(bytes) }
    }

    /// An agent in a file, which is read once here for its hash. Errors: those of reading it.
    pub fn from_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let sha256 = hex::encode(Sha256::digest(std::fs::read(&path)?));
        Ok(Self { sha256, source: AgentSource::File(path) })
    }

    /// The bytes. Errors: those of reading the file.
    pub(crate) async fn bytes(&self) -> io::Result<Arc<[u8]>> {
        match &self.source {
            AgentSource::Bytes(bytes) => Ok(Arc::clone(bytes)),
            AgentSource::File(path) => Ok(tokio::fs::read(path).await?.into()),
        }
    }
}
