//! Health checks, run by the agent: they go on while the line is down and while the daemon is away.

mod monitor;
mod probe;

use std::{
    rc::Rc,
    time::{Instant, SystemTime},
};

use sockerless_agent_wire::{
    Launch,
    request::{HealthCheck, Probe},
};
use tokio::{sync::watch, time::sleep};

use self::monitor::Monitor;
use super::freeze;
use crate::shared::Shared;

/// Checks the health of the process that was launched so, until it ends.
pub async fn check(shared: Rc<Shared>, launch: Launch, check: HealthCheck) {
    freeze::begin();
    let ended = shared.until(|state| (!state.is_running()).then_some(()));
    tokio::select! {
        () = ended => {}
        () = probe_for_ever(&shared, &launch, &check) => {}
    }
}

async fn probe_for_ever(shared: &Rc<Shared>, launch: &Launch, check: &HealthCheck) {
    let began = Instant::now();
    let mut monitor = Monitor::new(check);
    shared.set_health(monitor.health().clone());
    let mut frozen = freeze::watch();
    loop {
        // As in dockerd: a container that is paused is not checked, and is then waited for as at first.
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            return;
        }
        let probed = async {
            sleep(monitor.pause(began.elapsed())).await;
            let (since_start, start) = (began.elapsed(), now());
            let (code, output) = probe::run(shared, launch, check).await;
            (since_start, Probe { start, end: now(), code, output })
        };
        let result = tokio::select! {
            biased;
            () = is_frozen(&mut frozen) => None,
            result = probed => Some(result),
        };
        if let Some((since_start, probe)) = result {
            shared.set_health(monitor.take(probe, since_start).clone());
        }
    }
}

async fn is_frozen(frozen: &mut watch::Receiver<bool>) {
    if frozen.wait_for(|frozen| *frozen).await.is_err() {
        std::future::pending().await
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
