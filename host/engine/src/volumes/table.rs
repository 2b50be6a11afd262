//! All volumes, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, Weak},
};

use super::{Volume, synced::Gates};
use crate::locks::lock;

/// The volumes by name.
#[derive(Default)]
pub(crate) struct Volumes {
    all: Mutex<BTreeMap<String, Arc<Volume>>>,
    /// Who changes a volume, or mounts it, holds the gate of its name.
    gates: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Who brings a synced volume in or back.
    pub synced: Gates,
}

impl Volumes {
    pub fn get(&self, name: &str) -> Option<Arc<Volume>> {
        lock(&self.all).get(name).cloned()
    }

    /// All, in the order of their names.
    pub fn all(&self) -> Vec<Arc<Volume>> {
        lock(&self.all).values().cloned().collect()
    }

    pub fn insert(&self, volume: Volume) -> Arc<Volume> {
        let volume = Arc::new(volume);
        lock(&self.all).insert(volume.name.clone(), Arc::clone(&volume));
        volume
    }

    pub fn remove(&self, name: &str) {
        lock(&self.all).remove(name);
    }

    /// One change of a name at a time; other names go on.
    pub async fn gate(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let gate = {
            let mut gates = lock(&self.gates);
            gates.retain(|_, gate| gate.strong_count() > 0);
            let known = gates.get(name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let gate = Arc::default();
                gates.insert(name.to_owned(), Arc::downgrade(&gate));
                gate
            })
        };
        gate.lock_owned().await
    }
}
