//! A bucket as a file system, as gcsfuse shows it (its document of semantics is the reference).
//!
//! What is written is staged and becomes an object when the file is closed; an old one also when it is synced. Modes and owners are the mount's, for all
//! files; setting them does nothing. There are symbolic links and no others; locks are known to this mount alone. A file that
//! somebody else replaced while it was open is stale. A folder is renamed object by object, up to a limit. What is known of a
//! file, or that there is none, is kept by the kernel as long as gcsfuse's caches would keep it.

mod calls;
mod nodes;
mod objects;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sockerless_executor::Serve;
use sockerless_simulator_common::fuse;

use crate::run::MountOptions;
pub use objects::Objects;
use tree::Tree;

/// A bucket, or a folder of it, that can be mounted.
pub struct Volume {
    objects: Objects,
    options: MountOptions,
    /// What is mounted of it now: the containers of one instance see each other's files before they are closed.
    tree: Mutex<Weak<Mutex<Tree>>>,
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{} {:?}", self.objects.bucket, self.objects.prefix, self.options)
    }
}

impl Volume {
    /// The objects below a prefix, in the look that the options give.
    pub fn new(objects: Objects, options: MountOptions) -> Self {
        Self { objects, options, tree: Mutex::default() }
    }
}

impl Volume {
    fn tree(&self) -> Arc<Mutex<Tree>> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Mutex::new(Tree::new(self.objects.clone(), self.options.clone())));
            *tree = Arc::downgrade(&new);
            new
        })
    }
}

impl Serve for Volume {
    fn serve(&self, device: OwnedFd) {
        if let Err(error) = fuse::serve(Mounted(self.tree()), device) {
            // A task that ended while it was mounted.
            tracing::debug!(%error, volume = ?self, "a mount ended");
        }
    }
}

/// A mount of it.
struct Mounted(Arc<Mutex<Tree>>);

impl Mounted {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        // A panic in a call leaves at worst a staged file that is not written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
