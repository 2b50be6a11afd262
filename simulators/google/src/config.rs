//! What the simulator is told when it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::limits;
use crate::profile::Profile;

/// How a simulator works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its folder. One process at a time may own it.
    pub state: PathBuf,
    /// Where it listens; port 0 takes the port of the last time, else a free one.
    pub listen: SocketAddr,
    /// Latencies.
    pub profile: Profile,
    /// The projects that exist; the first is the default one.
    pub projects: Vec<String>,
    /// The region that exists.
    pub region: String,
    /// The VPC networks that each project has.
    pub networks: Vec<String>,
    /// What stands in for Docker Hub: scheme and authority. None: Docker Hub.
    pub docker_hub_mirror: Option<String>,
    /// An access token that is always good. None: one that is made up once and kept.
    pub token: Option<String>,
    /// How long the tokens that are issued are good.
    pub token_life: Duration,
    /// What may be used.
    pub quotas: Quotas,
}

/// What a project may use.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Calls of Cloud DNS in a minute.
    pub dns_calls_per_minute: u32,
    /// Managed zones of a project.
    pub managed_zones: usize,
    /// Jobs of a region.
    pub jobs: usize,
    /// Executions of a region that run at once.
    pub running_executions: usize,
    /// Executions started in a minute.
    pub runs_per_minute: u32,
    /// `entries.list` calls in a minute.
    pub entries_list_per_minute: u32,
}

impl Config {
    /// All defaults around a state folder.
    pub fn new(state: impl Into<PathBuf>, profile: Profile) -> Self {
        Self {
            state: state.into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            profile,
            projects: vec!["sim-project".to_owned()],
            region: "us-central1".to_owned(),
            networks: vec!["default".to_owned()],
            docker_hub_mirror: None,
            token: None,
            token_life: limits::TOKEN_LIFE,
            quotas: Quotas {
                dns_calls_per_minute: match profile {
                    Profile::Fast => limits::DNS_CALLS_PER_MINUTE_FAST,
                    Profile::Realistic => limits::DNS_CALLS_PER_MINUTE,
                },
                managed_zones: limits::MANAGED_ZONES,
                jobs: limits::JOBS,
                running_executions: limits::RUNNING_EXECUTIONS,
                runs_per_minute: match profile {
                    Profile::Fast => limits::RUNS_PER_MINUTE_FAST,
                    Profile::Realistic => limits::RUNS_PER_MINUTE,
                },
                entries_list_per_minute: limits::ENTRIES_LIST_PER_MINUTE,
            },
        }
    }
}

/// How to reach a simulator that runs: the ready file and `GET /simulator/v1/info`.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// Its process.
    pub pid: u32,
    /// Base of all Google APIs: `http://127.0.0.1:4000`.
    pub google: String,
    /// Host and port of the registry that stands in for Artifact Registry.
    pub registry: String,
    /// Where the name server answers by UDP and TCP: `127.0.0.1:4001`.
    pub dns: String,
    /// Where a container finds this machine.
    pub host_address: String,
    /// Where a server on this machine listens to be found there.
    pub bind_address: String,
    /// An access token that is always good.
    pub token: String,
    /// The default project.
    pub project: String,
    /// The region.
    pub region: String,
}
