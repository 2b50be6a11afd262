//! `sockerless-simulators azure`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use sockerless_simulator_azure::{Config, Server};

use crate::process::{self, Cloud, Common};

/// Azure: Container Apps, Storage with Azure Files, private DNS zones, Log Analytics, Entra, managed identities, a registry.
///
/// All APIs share two listeners, one with TLS and a certificate of its own (`certificate` in the ready file), one without.
/// `GET /simulator/v1/info` tells how to reach them. Every API call needs `Authorization: Bearer` with the token that stands
/// there, or one from Entra (`/TENANT/oauth2/v2.0/token`) or a managed identity; Azure Files takes shared keys, too.
///
/// Jobs and apps run images of any public registry, and of the simulator's own with a login. Shares of Azure Files are mounted
/// into them as SMB shows them, which needs /dev/fuse (open to the user). A managed environment and a storage account are there
/// from the start.
///
/// SIGTERM ends it: running replicas are killed, and the next start reports their executions as failed. RUST_LOG sets what
/// it writes to standard error.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Where to listen with TLS; likewise
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen_tls: SocketAddr,

    /// The subscription that exists, a GUID [default: always the same]
    #[arg(long, value_name = "GUID")]
    subscription: Option<String>,

    /// A resource group that exists; may be repeated, the first is the default
    #[arg(long = "resource-group", value_name = "NAME", default_value = "sim-group")]
    groups: Vec<String>,

    /// The region that exists
    #[arg(long, value_name = "REGION", default_value = "westeurope")]
    location: String,

    /// Reads of a caller at once and a second, as BURST,RATE [default: 20000,2000 fast, 250,25 realistic]
    #[arg(long, value_name = "BURST,RATE", value_parser = bucket)]
    reads: Option<(f64, f64)>,

    /// Writes, likewise [default: 20000,2000 fast, 200,10 realistic]
    #[arg(long, value_name = "BURST,RATE", value_parser = bucket)]
    writes: Option<(f64, f64)>,

    /// Deletes, likewise [default: 20000,2000 fast, 200,10 realistic]
    #[arg(long, value_name = "BURST,RATE", value_parser = bucket)]
    deletes: Option<(f64, f64)>,
}

fn bucket(text: &str) -> Result<(f64, f64), String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let parts = text.split_once(',').and_then(|(burst, rate)| Some((number(burst)?, number(rate)?)));
    parts.ok_or_else(|| "two numbers are needed: BURST,RATE".to_owned())
}

/// Runs the simulator until it is told to end.
pub fn main(arguments: Arguments) -> ExitCode {
    let ready_file = arguments.common.ready_file.clone();
    process::main(ready_file, async move { sockerless_simulator_azure::start(config(arguments)).await })
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
    config.listen_tls = arguments.listen_tls;
    config.subscription = arguments.subscription.unwrap_or(config.subscription);
    config.groups = arguments.groups;
    config.location = arguments.location;
    config.quotas.reads = arguments.reads.unwrap_or(config.quotas.reads);
    config.quotas.writes = arguments.writes.unwrap_or(config.quotas.writes);
    config.quotas.deletes = arguments.deletes.unwrap_or(config.quotas.deletes);
    config
}
