//! Who waits for whom.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::locks::lock;

/// What is known of synced volumes beside their records.
#[derive(Default)]
pub(crate) struct Gates {
    /// By volume: held while one container brings it in or back.
    volumes: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
    /// By container: held while its volumes are brought in or back.
    containers: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
}

async fn gate(gates: &SyncMutex<HashMap<String, Arc<Mutex<()>>>>, name: &str) -> OwnedMutexGuard<()> {
    let gate = {
        let mut gates = lock(gates);
        // Whom nobody holds or waits for.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        Arc::clone(gates.entry(name.to_owned()).or_default())
    };
    gate.lock_owned().await
}

impl Gates {
    /// One container at a time.
    pub async fn volume(&self, name: &str) -> OwnedMutexGuard<()> {
        gate(&self.volumes, name).await
    }

    /// One turn of a container at a time.
    pub async fn container(&self, id: &str) -> OwnedMutexGuard<()> {
        gate(&self.containers, id).await
    }
}
