//! Containers' files: `docker cp`, `diff`, `export`, `commit`, and what stays of a container's file system when its job is
//! gone.
//!
//! While an agent is there it alone knows the files, and bytes go through without being looked at. Before the first start,
//! and after the last agent has gone, the daemon answers by itself: the image's file system is known from its layers'
//! headers ([`tree`]), and over it lie archives in the daemon's folder ([`disk`]): the layer of the last run's changes, and
//! what clients copied in since. They go into the next job before its process starts.

mod agent;
mod archive;
mod binds;
mod changes;
mod commit;
mod disk;
mod emit;
mod export;
mod fault;
mod image;
mod member;
mod mount_points;
mod owner;
mod packing;
mod path;
mod pipe;
mod place;
mod read;
mod save;
mod seed;
mod synced;
mod tree;
mod unread;
mod view;
mod write;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};

use tokio::sync::Mutex;

pub use self::binds::BindOptions;
pub(crate) use self::synced::Unsynced;
use crate::{Engine, Error, ErrorKind, Result};

/// What the daemon keeps of files.
pub(crate) struct Files {
    root: PathBuf,
    trees: image::Trees,
    /// Held while a tree is being made.
    making: Mutex<()>,
    /// By container: held while what is kept of its files changes, or is delivered.
    gates: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
    binds: binds::Binds,
}

impl Files {
    /// In the daemon's folder; nothing is made there before it is needed.
    pub fn new(data_root: &Path) -> Self {
        Self {
            root: data_root.join("files"),
            trees: image::Trees::default(),
            making: Mutex::default(),
            gates: SyncMutex::default(),
            binds: binds::Binds::default(),
        }
    }

    fn gate(&self, container: &str) -> Arc<Mutex<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(container.to_owned()).or_default())
    }

    fn forget(&self, container: &str) {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
        self.binds.forget(container);
    }
}

impl Engine {
    /// Removes what is kept of containers that are no more. Errors: the disk's.
    pub(crate) fn sweep_files(&self) -> Result<()> {
        let root = &self.files.root;
        disk::sweep(root, |container| self.containers.get(container).is_some())
            .map_err(|error| Error::new(ErrorKind::Internal, format!("{}: {error}", root.display())))
    }
}
