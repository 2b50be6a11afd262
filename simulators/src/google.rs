//! `sockerless-simulators google`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sockerless_simulator_google::{Config, Server};

use crate::process::{self, Cloud, Latency};

/// Google Cloud: Cloud Run jobs, Cloud Storage, Cloud Logging, Cloud DNS, OAuth, the metadata server, Artifact Registry.
///
/// All APIs and the registry share one listener; `GET /simulator/v1/info` tells how to reach them. Every API call needs
/// `Authorization: Bearer` with the token that stands there (or one from `POST /token`); the registry takes the user
/// `oauth2accesstoken` with the token as password.
///
/// Cloud Run has the v2 API (jobs, executions, tasks, operations). Jobs run images from docker.io and from the registry
/// (`HOST:PORT/PROJECT/REPOSITORY/IMAGE`, also named `REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`) in one region.
///
/// Buckets are mounted into jobs as gcsfuse shows them, which needs /dev/fuse (open to the user). A name server answers from Cloud
/// DNS's zones on a port of its own (`dns` in the ready file), by UDP and TCP; jobs do not ask it.
///
/// SIGTERM ends it: running tasks are killed, and the next start reports their executions as failed. RUST_LOG sets what
/// it writes to standard error.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of its state; made if it is missing. One process at a time may use it
    #[arg(long, value_name = "DIR", env = "SOCKERLESS_SIMULATOR_STATE")]
    state: PathBuf,

    /// Where to listen; port 0 takes the port of the last time if it is free, else any
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// How long things take
    #[arg(long, value_enum, default_value_t = Latency::Fast)]
    profile: Latency,

    /// A project that exists; may be repeated, the first is the default
    #[arg(long = "project", value_name = "ID", default_value = "sim-project")]
    projects: Vec<String>,

    /// The region that exists
    #[arg(long, value_name = "REGION", default_value = "us-central1")]
    region: String,

    /// A VPC network that the projects have; may be repeated
    #[arg(long = "network", value_name = "NAME", default_value = "default")]
    networks: Vec<String>,

    /// What to pull docker.io's images from instead, such as http://127.0.0.1:5000
    #[arg(long, value_name = "URL")]
    docker_hub_mirror: Option<String>,

    /// An access token that is always good [default: made up once and kept]
    #[arg(long, value_name = "TOKEN", env = "SOCKERLESS_SIMULATOR_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// How long the tokens that it issues are good [default: 3599]; with 0 they have expired when they come
    #[arg(long, value_name = "SECONDS")]
    token_life: Option<u64>,

    /// Written when it is ready, as JSON: pid, google, registry, dns, host_address, bind_address, token, project, region
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// Executions that may be started in a minute [default: 60000 fast, 180 realistic]
    #[arg(long, value_name = "N")]
    runs_per_minute: Option<u32>,

    /// Calls of entries.list in a minute
    #[arg(long, value_name = "N", default_value_t = 60)]
    log_reads_per_minute: u32,
}

/// Runs the simulator until it is told to end.
pub fn main(arguments: Arguments) -> ExitCode {
    let ready_file = arguments.ready_file.clone();
    process::main(ready_file, async move { sockerless_simulator_google::start(config(arguments)).await })
}

impl Cloud for Server {
    fn info(&self) -> impl Serialize {
        Server::info(self)
    }

    async fn shutdown(self) {
        Server::shutdown(self).await;
    }
}

fn config(arguments: Arguments) -> Config {
    let mut config = Config::new(arguments.state, arguments.profile.into());
    config.listen = arguments.listen;
    config.projects = arguments.projects;
    config.region = arguments.region;
    config.networks = arguments.networks;
    config.docker_hub_mirror = arguments.docker_hub_mirror.map(|url| url.trim_end_matches('/').to_owned());
    config.token = arguments.token;
    config.token_life = arguments.token_life.map_or(config.token_life, Duration::from_secs);
    config.quotas.runs_per_minute = arguments.runs_per_minute.unwrap_or(config.quotas.runs_per_minute);
    config.quotas.entries_list_per_minute = arguments.log_reads_per_minute;
    config
}
