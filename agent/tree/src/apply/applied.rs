//! Where bytes come from, and what was done with them.

use std::{collections::HashMap, io};

use crate::{Digest, Node, Stamp};

/// Where the bytes are.
pub trait Chunks {
    /// The bytes of a chunk, of which `size` are expected.
    ///
    /// # Errors
    /// They are not there, or cannot be read.
    fn chunk(&mut self, digest: &Digest, size: usize) -> io::Result<&[u8]>;
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// What the file system shows of what was put: another owner, say, where the user may not give files away.
    pub shown: HashMap<Vec<u8>, Node>,
    /// Of the files that were put: to be taken up in the next scan. Only those that can be relied on.
    pub stamps: HashMap<Vec<u8>, Stamp>,
    /// Bytes that were written.
    pub written: u64,
    /// What could not be given to its owner, and why: the first.
    pub not_owned: Option<(Vec<u8>, String)>,
    /// How many could not.
    pub not_owned_count: u64,
}

impl Applied {
    /// Something could not be given to its owner.
    pub(super) fn refused(&mut self, path: &[u8], error: &io::Error) {
        self.not_owned_count += 1;
        self.not_owned.get_or_insert_with(|| (path.to_vec(), error.to_string()));
    }

    pub(super) fn note(&mut self, path: &[u8], shown: Node, stamp: Option<Stamp>) {
        if let Some(stamp) = stamp.filter(|_| shown.file().is_some()) {
            self.stamps.insert(path.to_vec(), stamp);
        }
        self.shown.insert(path.to_vec(), shown);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.shown.extend(other.shown);
        self.stamps.extend(other.stamps);
        self.written += other.written;
        self.not_owned = self.not_owned.take().or(other.not_owned);
        self.not_owned_count += other.not_owned_count;
    }
}
