//! The kernel's calls, each an operation of the tree.

use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr};
use sockerless_simulator_common::fuse::{self, Entry, Space};

use super::Mounted;
use super::objects::Result;
use crate::limits;

impl fuse::Tree for Mounted {
    const NO_NODE: Errno = Errno::ENOSYS;
    /// A bucket has no hard links.
    const NO_LINK: Errno = Errno::ENOSYS;

    fn keep(&self) -> Duration {
        self.tree().keep()
    }

    fn absence(&self) -> Duration {
        self.tree().options.negative_ttl
    }

    fn lookup(&self, parent: u64, name: &str) -> Result<Option<FileAttr>> {
        self.tree().lookup(parent, name)
    }

    fn forget(&self, ino: u64, count: u64) {
        self.tree().nodes.forget(ino, count);
    }

    fn attr(&self, ino: u64, _: Option<u64>) -> Result<FileAttr> {
        self.tree().attr(ino)
    }

    fn set(
        &self,
        ino: u64,
        size: Option<u64>,
        mtime: Option<SystemTime>,
        _: Option<u64>,
    ) -> Result<FileAttr> {
        let mut tree = self.tree();
        if let Some(size) = size {
            tree.truncate(ino, size)?;
        }
        if let Some(time) = mtime {
            tree.touch(ino, time)?;
        }
        tree.attr(ino)
    }

    fn target(&self, ino: u64) -> Result<String> {
        self.tree().target(ino)
    }

    fn make_file(&self, parent: u64, name: &str) -> Result<FileAttr> {
        let mut tree = self.tree();
        let (attr, handle) = tree.create(parent, name)?;
        let written = tree.flush(handle);
        tree.release(handle);
        written.map(|()| attr)
    }

    fn make_folder(&self, parent: u64, name: &str) -> Result<FileAttr> {
        self.tree().make_folder(parent, name)
    }

    fn make_link(&self, parent: u64, name: &str, target: &str) -> Result<FileAttr> {
        self.tree().make_link(parent, name, target)
    }

    fn create(&self, parent: u64, name: &str) -> Result<(FileAttr, u64)> {
        self.tree().create(parent, name)
    }

    fn remove(&self, parent: u64, name: &str) -> Result<()> {
        self.tree().unlink(parent, name)
    }

    fn remove_folder(&self, parent: u64, name: &str) -> Result<()> {
        self.tree().remove_folder(parent, name)
    }

    fn rename(&self, from: (u64, &str), to: (u64, &str), replace: bool) -> Result<()> {
        self.tree().rename(from, to, replace)
    }

    /// The kernel cuts by its own call.
    fn open(&self, ino: u64, _write: bool, _truncate: bool) -> Result<u64> {
        self.tree().open(ino)
    }

    fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>> {
        self.tree().read(handle, offset, size)
    }

    fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<()> {
        self.tree().write(handle, offset, data)
    }

    fn flush(&self, handle: u64) -> Result<()> {
        self.tree().flush(handle)
    }

    fn sync(&self, handle: u64) -> Result<()> {
        self.tree().fsync(handle)
    }

    fn release(&self, handle: u64) {
        self.tree().release(handle);
    }

    fn open_folder(&self, ino: u64) -> Result<u64> {
        self.tree().open_folder(ino)
    }

    fn entries(&self, handle: u64, from: u64) -> Result<Vec<Entry>> {
        self.tree().entries(handle, from).map(<[Entry]>::to_vec)
    }

    /// A bucket is never full.
    fn space(&self) -> Space {
        let blocks = limits::FUSE_BLOCKS;
        Space { blocks: (blocks, blocks), files: limits::FUSE_FILES, block: limits::FUSE_BLOCK }
    }
}
