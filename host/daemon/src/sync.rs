//! `sockerless sync`: bind mounts, now.

use crate::{Result, cli::SyncArgs, config::Config, doctor::Api};

/// Asks the daemon that runs. Errors: there is none; its words for the first container that cannot be merged.
pub async fn run(args: SyncArgs) -> Result {
    let (config, containers) = Config::sync(args)?;
    let Some(daemon) = Api::find(&config).await else {
        return Err(format!("no daemon answers at {}", config.socket.display()).into());
    };
    for container in containers {
        daemon.sync(&container).await?;
        println!("{container}");
    }
    Ok(())
}
