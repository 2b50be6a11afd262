//! The kernel's calls, on the disk below the share.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr};
use sockerless_simulator_common::fuse::{Entry, Result, Space, Tree};

use super::link;
use super::mounted::{BLOCK, Handle, Mounted, disk};
use crate::storage::place;

/// Blocks of the share's five tebibytes.
const BLOCKS: u64 = (5 << 40) / 4_096;

impl Tree for Mounted {
    const NO_NODE: Errno = Errno::EPERM;
    /// A share has no hard links.
    const NO_LINK: Errno = Errno::EOPNOTSUPP;

    /// Nothing is kept: another replica may change it.
    fn keep(&self) -> Duration {
        Duration::ZERO
    }

    fn lookup(&self, parent: u64, name: &str) -> Result<Option<FileAttr>> {
        self.child(parent, name).and_then(|path| self.entry(&path)).map(Some)
    }

    fn forget(&self, ino: u64, count: u64) {
        self.state().nodes.forget(ino, count);
    }

    fn attr(&self, ino: u64, handle: Option<u64>) -> Result<FileAttr> {
        match handle {
            Some(_) => Mounted::set(self, ino, None, None, handle),
            None => self.attr_of(ino),
        }
    }

    fn set(
        &self,
        ino: u64,
        size: Option<u64>,
        mtime: Option<SystemTime>,
        handle: Option<u64>,
    ) -> Result<FileAttr> {
        Mounted::set(self, ino, size, mtime, handle)
    }

    fn target(&self, ino: u64) -> Result<String> {
        let path = self.path(ino)?;
        let found = fs::symlink_metadata(&path).map_err(disk)?;
        link::read(&path, found.len()).map_err(disk)?.ok_or(Errno::EINVAL)
    }

    fn make_file(&self, parent: u64, name: &str) -> Result<FileAttr> {
        self.make(parent, name, |path| File::create_new(path).map(drop))
    }

    fn make_folder(&self, parent: u64, name: &str) -> Result<FileAttr> {
        self.make(parent, name, |path| fs::create_dir(path))
    }

    fn make_link(&self, parent: u64, name: &str, target: &str) -> Result<FileAttr> {
        if !self.options.symlinks {
            return Err(Errno::EOPNOTSUPP);
        }
        if target.len() > link::TARGET {
            return Err(Errno::ENAMETOOLONG);
        }
        self.make(parent, name, |path| {
            File::create_new(path).and_then(|file| file.write_all_at(&link::encode(target), 0))
        })
    }

    fn create(&self, parent: u64, name: &str) -> Result<(FileAttr, u64)> {
        let path = self.child(parent, name)?;
        self.writable()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(disk)?;
        let attr = self.entry(&path)?;
        Ok((attr, self.state().handle(Handle::File(file))))
    }

    fn remove(&self, parent: u64, name: &str) -> Result<()> {
        self.take_away(parent, name, |path| fs::remove_file(path))
    }

    fn remove_folder(&self, parent: u64, name: &str) -> Result<()> {
        self.take_away(parent, name, |path| fs::remove_dir(path))
    }

    fn rename(&self, from: (u64, &str), to: (u64, &str), replace: bool) -> Result<()> {
        let from = self.child(from.0, from.1)?;
        // The kernel itself does nothing for a new spelling of the same name.
        let to = self.child(to.0, to.1)?;
        self.rename_to(&from, &to, replace)
    }

    fn open(&self, ino: u64, write: bool, truncate: bool) -> Result<u64> {
        self.path(ino).and_then(|path| self.open_file(&path, write, truncate))
    }

    fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>> {
        self.with_file(handle, |file| {
            let mut buffer = vec![0; size as usize];
            let mut filled = 0;
            while filled < buffer.len() {
                match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
                    0 => break,
                    read => filled += read,
                }
            }
            buffer.truncate(filled);
            Ok(buffer)
        })
    }

    fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<()> {
        self.with_file(handle, |file| file.write_all_at(data, offset))
    }

    /// Everything is there already.
    fn flush(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn sync(&self, handle: u64) -> Result<()> {
        self.with_file(handle, File::sync_data)
    }

    fn release(&self, handle: u64) {
        self.state().handles.remove(&handle);
    }

    fn open_folder(&self, ino: u64) -> Result<u64> {
        self.list(ino)
    }

    fn entries(&self, handle: u64, from: u64) -> Result<Vec<Entry>> {
        let state = self.state();
        let Some(Handle::Folder(entries)) = state.handles.get(&handle) else { return Err(Errno::EBADF) };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(entries.len());
        Ok(entries[from..].to_vec())
    }

    fn space(&self) -> Space {
        let used = place::usage(&self.root).unwrap_or_default().div_ceil(u64::from(BLOCK));
        Space { blocks: (BLOCKS, BLOCKS.saturating_sub(used)), files: 0, block: BLOCK }
    }
}
