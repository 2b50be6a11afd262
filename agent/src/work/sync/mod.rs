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
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Instant, SystemTime},
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
static VOLUMES: Mutex<BTreeMap<PathBuf, Arc<Volume>>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Volume {
    /// Held for a turn.
    known: Mutex<Known>,
    /// Grows as long as something moves.
    moved: AtomicU64,
}

impl Volume {
    /// One after the other: what a daemon that is gone has asked for may still be under way. That it moves counts for who
    /// waits for it, too.
    fn wait(&self, moves: &dyn Fn()) -> MutexGuard<'_, Known> {
        let mut last = self.moved.load(Ordering::Relaxed);
        loop {
            match self.known.try_lock() {
                Ok(known) => return known,
                Err(TryLockError::Poisoned(known)) => return known.into_inner(),
                Err(TryLockError::WouldBlock) => thread::sleep(limits::TURN_POLL),
            }
            let now = self.moved.load(Ordering::Relaxed);
            if now != last {
                last = now;
                moves();
            }
        }
    }
}

/// Serves a request.
pub async fn sync(channel: Channel, sync: Sync) {
    let asked = SystemTime::now();
    transfer::send(channel, move |out| {
        mounts::note(&Root::container(), &sync.path);
        out.reply(Reply::Ready);
        let path = PathBuf::from(&sync.path);
        let volume =
            Arc::clone(VOLUMES.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default());
        let (shared, told) = (RefCell::new(&mut *out), Cell::new(Instant::now()));
        let tell = || {
            if told.get().elapsed() < limits::TOLD_EVERY {
                return;
            }
            told.set(Instant::now());
            let mut out = shared.borrow_mut();
            out.buffer().push(b' ');
            // A turn that nobody waits for any more goes on to its end all the same.
            let _ = out.flush();
        };
        let mut known = volume.wait(&tell);
        let moves = || {
            volume.moved.fetch_add(1, Ordering::Relaxed);
            tell();
        };
        let done = turn::turn(&sync, asked, &mut known, &moves)
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
