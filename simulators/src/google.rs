//! `sockerless-simulators google`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use sockerless_simulator_google::{Config, Server};

use crate::process::{self, Cloud, Common};

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
    #[command(flatten)]
    common: Common,

    /// A project that exists; may be repeated, the first is the default
    #[arg(long = "project", value_name = "ID", default_value = "sim-project")]
    projects: Vec<String>,

    /// The region that exists
    #[arg(long, value_name = "REGION", default_value = "us-central1")]
    region: String,

    /// A VPC network that the projects have; may be repeated
    #[arg(long = "network", value_name = "NAME", default_value = "default")]
    networks: Vec<String>,

    /// Executions that may be started in a minute [default: 60000 fast, 180 realistic]
    #[arg(long, value_name = "N")]
    runs_per_minute: Option<u32>,

    /// Calls of entries.list in a minute
    #[arg(long, value_name = "N", default_value_t = 60)]
    log_reads_per_minute: u32,
}

/// Runs the simulator until it is told to end.
pub fn main(arguments: Arguments) -> ExitCode {
    let ready_file = arguments.common.ready_file.clone();
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
    let Common { state, listen, profile, docker_hub_mirror, token, token_life, .. } = arguments.common;
    let mut config = Config::new(state, profile.into());
    config.listen = listen;
    config.docker_hub_mirror = docker_hub_mirror;
    config.token = token;
    config.token_life = token_life.unwrap_or(config.token_life);
    config.projects = arguments.projects;
    config.region = arguments.region;
    config.networks = arguments.networks;
    config.quotas.runs_per_minute = arguments.runs_per_minute.unwrap_or(config.quotas.runs_per_minute);
    config.quotas.entries_list_per_minute = arguments.log_reads_per_minute;
    config
}
