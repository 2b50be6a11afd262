//! `sockerless sync`: bind mounts and synced volumes, now.

use crate::{Result, api::Api, cli::SyncArgs, config::Config};

/// Asks the daemon that runs. Errors: there is none; its words for the first container that cannot be merged.
pub async fn run(args: SyncArgs) -> Result {
    let daemon = Api::required(&Config::connect(args.connect)?).await?;
    for container in args.containers {
        daemon.sync(&container).await?;
        println!("{container}");
    }
    Ok(())
}
