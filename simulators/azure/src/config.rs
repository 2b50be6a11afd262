//! What the simulator is told when it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use sockerless_simulator_common::Profile;

use crate::limits;

/// How a simulator works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its folder. One process at a time may own it.
    pub state: PathBuf,
    /// Where it listens without TLS; port 0 takes the port of the last time, else a free one.
    pub listen: SocketAddr,
    /// Where it listens with TLS; likewise.
    pub listen_tls: SocketAddr,
    /// Latencies.
    pub profile: Profile,
    /// The tenant, a GUID.
    pub tenant: String,
    /// The subscription, a GUID.
    pub subscription: String,
    /// The resource groups that exist; the first is the default one.
    pub groups: Vec<String>,
    /// The region that exists.
    pub location: String,
    /// What stands in for Docker Hub: scheme and authority. None: Docker Hub.
    pub docker_hub_mirror: Option<String>,
    /// An access token that is always good. None: one that is made up once and kept.
    pub token: Option<String>,
    /// How long the tokens that are issued are good.
    pub token_life: Duration,
    /// What a principal may do.
    pub quotas: Quotas,
}

/// Calls that fit into a bucket, and that it gains in a second.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// GET and HEAD.
    pub reads: (f64, f64),
    /// PUT, PATCH and POST.
    pub writes: (f64, f64),
    /// DELETE.
    pub deletes: (f64, f64),
}

impl Config {
    /// All defaults around a state folder.
    pub fn new(state: impl Into<PathBuf>, profile: Profile) -> Self {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let (reads, writes, deletes) = match profile {
            Profile::Fast => (limits::CALLS_FAST, limits::CALLS_FAST, limits::CALLS_FAST),
            Profile::Realistic => (limits::READS, limits::WRITES, limits::DELETES),
        };
        Self {
            state: state.into(),
            listen: local,
            listen_tls: local,
            profile,
            tenant: "7e000000-0000-4000-8000-000000000001".to_owned(),
            subscription: "5b000000-0000-4000-8000-000000000001".to_owned(),
            groups: vec!["sim-group".to_owned()],
            location: "westeurope".to_owned(),
            docker_hub_mirror: None,
            token: None,
            token_life: limits::TOKEN_LIFE,
            quotas: Quotas { reads, writes, deletes },
        }
    }
}

/// How to reach a simulator that runs: the ready file and `GET /simulator/v1/info`.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// Its process.
    pub pid: u32,
    /// Base of all APIs by TLS: `https://127.0.0.1:4001`.
    pub azure: String,
    /// The certificate to be trusted for it, PEM.
    pub certificate: String,
    /// Base of all APIs without TLS: `http://127.0.0.1:4000`.
    pub http: String,
    /// Host and port of the registry that stands in for Azure Container Registry.
    pub registry: String,
    /// Where a container finds this machine.
    pub host_address: String,
    /// Where a server on this machine listens to be found there.
    pub bind_address: String,
    /// An access token that is always good.
    pub token: String,
    /// The tenant.
    pub tenant: String,
    /// The application that has a secret.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The resource id of the user-assigned identity that may pull from the registry.
    pub identity: String,
    /// `IDENTITY_ENDPOINT`.
    pub identity_endpoint: String,
    /// `IDENTITY_HEADER`.
    pub identity_header: String,
    /// The subscription.
    pub subscription: String,
    /// The default resource group.
    pub resource_group: String,
    /// The region.
    pub location: String,
    /// The managed environment that is there from the start.
    pub environment: String,
    /// The storage account that is there from the start.
    pub storage_account: String,
    /// Its first key.
    pub storage_key: String,
    /// The customer id of the environment's Log Analytics workspace.
    pub workspace: String,
    /// Seconds until a line can be read there, at most.
    pub log_lag: String,
    /// The resource id of the virtual network that is there from the start.
    pub network: String,
    /// The private DNS zone that is linked to it.
    pub dns_zone: String,
}
