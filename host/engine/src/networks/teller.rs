//! Has agents told when their neighbours change: those of many containers that start at once together, not each at each.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use crate::{Engine, locks::lock, tuning};

/// The networks with changes that nobody was told of yet.
#[derive(Default)]
pub(super) struct Teller {
    changed: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Teller {
    pub fn tell(&self, networks: Vec<String>) {
        lock(&self.changed).extend(networks);
        self.wake.notify_one();
    }
}

impl Engine {
    /// Runs as long as the engine.
    pub(super) async fn tell_neighbours(self: Arc<Self>) {
        let teller = &self.networks.teller;
        loop {
            teller.wake.notified().await;
            let changed: Vec<String> = std::mem::take(&mut *lock(&teller.changed)).into_iter().collect();
            let fabric = self.fabric();
            for run in fabric.concerned(&changed) {
                self.link.refresh(run);
            }
            tokio::time::sleep(tuning::NEIGHBOURS_PAUSE).await;
        }
    }
}
