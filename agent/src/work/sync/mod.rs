//! Synced volumes: directories on the container's own disk that are brought in from the cloud's storage and back, as packs
//! of chunks. The daemon says when, and which version of a volume counts; what is written here counts once it says so.

mod base;
mod limits;
mod object;
mod packs;
mod sweep;
mod turn;
mod version;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use sockerless_agent_wire::{
    request::{End, FaultKind, Reply},
    sync::Sync,
};

use self::base::Known;
use super::{
    fault::fault,
    files::{mounts, path::Root},
    transfer,
};
use crate::shared::Channel;

/// What is known of each directory. Kept as long as the agent lives: so is the container's disk.
static VOLUMES: Mutex<BTreeMap<PathBuf, Arc<Mutex<Known>>>> = Mutex::new(BTreeMap::new());

/// Serves a request.
pub async fn sync(channel: Channel, sync: Sync) {
    let asked = SystemTime::now();
    transfer::send(channel, move |out| {
        mounts::note(&Root::container(), &sync.path);
        out.reply(Reply::Ready);
        let path = PathBuf::from(&sync.path);
        let known =
            Arc::clone(VOLUMES.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default());
        // One after the other: what a daemon that is gone has asked for may still be under way.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let done = turn::turn(&sync, asked, &mut known)
            .map_err(|error| fault(FaultKind::Internal, error.to_string()))?;
        serde_json::to_writer(out.buffer(), &done)
            .map_err(|error| fault(FaultKind::Internal, error.to_string()))?;
        Ok(End::Done)
    })
    .await;
}

/// The directories, which are no part of the container's own files.
pub fn places() -> Vec<PathBuf> {
    VOLUMES.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}
