//! A share as a file system, as the kernel's SMB client shows it.
//!
//! Modes and owners are the mount's, for all files; setting them does nothing. Names are found without regard to case. There are
//! no hard links, and symbolic links only with `mfsymlinks`: files of a form of their own. Several replicas mount a share at
//! once and see each other's files as they are written, since nothing is kept but an open file's pages.

mod calls;
mod link;
mod mounted;
mod nodes;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use sockerless_executor::Serve;
use sockerless_simulator_common::fuse;

use super::MountOptions;
use mounted::Mounted;

/// A share, or a folder of it, that can be mounted.
pub struct Share {
    folder: PathBuf,
    options: MountOptions,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.folder.display(), self.options)
    }
}

impl Share {
    /// What lies below a folder, in the look that the options give.
    pub fn new(folder: PathBuf, options: MountOptions) -> Self {
        Self { folder, options }
    }
}

impl Serve for Share {
    fn serve(&self, device: OwnedFd) {
        let system = Mounted::new(self.folder.clone(), self.options.clone());
        if let Err(error) = fuse::serve(system, device) {
            // A task that ended while it was mounted.
            tracing::debug!(%error, share = ?self, "a mount ended");
        }
    }
}
