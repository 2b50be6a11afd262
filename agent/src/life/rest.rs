//! After the process's end: the agent stays as long as the daemon wants it, for what is asked of its files, and for the
//! next start.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::patience::Patience;
use crate::{say, shared::Shared, tuning};

/// Stays until the daemon has no use for the agent any more, or is gone. Gives the run that it is to do next.
pub async fn rest(shared: &Shared, patience: &Patience) -> Option<String> {
    let leaving = async {
        shared.until(|state| state.terminated).await;
        shared.leaving();
        std::future::pending::<()>().await;
    };
    let successor = tokio::select! {
        biased;
        run = shared.until(|state| state.successor.clone()) => Some(run),
        () = over(shared, patience) => None,
        () = leaving => None,
    };
    let state = shared.state();
    if successor.is_none() && !state.confirmed && state.refused.is_none() {
        say!("the daemon was not told of the end");
    }
    successor
}

/// The daemon does not want this agent, or not this run of it any more, or was away for that long; or the cloud's time is up.
pub async fn over(shared: &Shared, patience: &Patience) {
    tokio::select! {
        () = shared.until(|state| (state.refused.is_some() || state.successor.is_some()).then_some(())) => {}
        () = abandoned(shared, patience, patience.linger) => {}
        () = async {
            let since = shared.until(|state| state.terminated).await;
            sleep((since + tuning::TERMINATED).saturating_duration_since(Instant::now())).await;
        } => {}
    }
}

/// The line has been down for that long, in which no process of others in the same job ran.
pub async fn abandoned(shared: &Shared, patience: &Patience, time: Duration) {
    loop {
        shared.until(|state| (!state.connected).then_some(())).await;
        tokio::select! {
            () = patience.quiet(time) => return,
            () = shared.until(|state| state.connected.then_some(())) => {}
        }
    }
}
