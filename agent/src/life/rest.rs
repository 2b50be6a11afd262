//! After the process's end: the agent stays as long as the daemon wants it, for what is asked of its files, and for the
//! next start.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{say, shared::Shared, tuning};

/// Stays until the daemon has no use for the agent any more, or is gone. Gives the run that it is to do next.
pub async fn rest(shared: &Shared, linger: Duration) -> Option<String> {
    let leaving = async {
        shared.until(|state| state.terminated).await;
        shared.leaving();
        std::future::pending::<()>().await;
    };
    let successor = tokio::select! {
        biased;
        run = shared.until(|state| state.successor.clone()) => Some(run),
        () = over(shared, linger) => None,
        () = leaving => None,
    };
    let state = shared.state();
    if successor.is_none() && !state.confirmed && state.refused.is_none() {
        say!("the daemon was not told of the end");
    }
    successor
}

/// The daemon does not want this agent, or not this run of it any more, or was away for that long; or the cloud's time is up.
pub async fn over(shared: &Shared, linger: Duration) {
    tokio::select! {
        () = shared.until(|state| (state.refused.is_some() || state.successor.is_some()).then_some(())) => {}
        () = abandoned(shared, linger) => {}
        () = async {
            let since = shared.until(|state| state.terminated).await;
            sleep((since + tuning::TERMINATED).saturating_duration_since(Instant::now())).await;
        } => {}
    }
}

/// The line has been down for that long.
pub async fn abandoned(shared: &Shared, linger: Duration) {
    loop {
        shared.until(|state| (!state.connected).then_some(())).await;
        tokio::select! {
            () = sleep(linger) => return,
            () = shared.until(|state| state.connected.then_some(())) => {}
        }
    }
}
