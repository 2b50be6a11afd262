//! A mount: its open files, and what each call of the kernel does on the disk below the share.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr, FileType, INodeNo};
use sockerless_simulator_common::fuse::{Entry, Result};

use super::link;
use super::nodes::Nodes;
use crate::storage::{MountOptions, place};

/// Bytes that the file system calls a block.
pub const BLOCK: u32 = 4_096;

/// A mount.
pub struct Mounted {
    pub root: PathBuf,
    pub options: MountOptions,
    state: Mutex<State>,
}

/// What changes.
pub struct State {
    pub nodes: Nodes,
    pub handles: HashMap<u64, Handle>,
    next: u64,
}

/// Something open.
pub enum Handle {
    File(File),
    Folder(Vec<Entry>),
}

/// The kernel's word for an error of the disk.
pub fn disk(error: io::Error) -> Errno {
    Errno::from(error)
}

impl State {
    pub fn handle(&mut self, handle: Handle) -> u64 {
        self.next += 1;
        self.handles.insert(self.next, handle);
        self.next
    }
}

impl Mounted {
    /// Nothing is open.
    pub fn new(root: PathBuf, options: MountOptions) -> Self {
        let state = State { nodes: Nodes::new(root.clone()), handles: HashMap::new(), next: 0 };
        Self { root, options, state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a call leaves maps that are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn path(&self, ino: u64) -> Result<PathBuf> {
        self.state().nodes.path(ino).map(Path::to_owned).ok_or(Errno::ESTALE)
    }

    pub fn child(&self, parent: u64, name: &str) -> Result<PathBuf> {
        Ok(place::child(&self.path(parent)?, name))
    }

    /// What a file looks like.
    fn look(&self, ino: u64, path: &Path, found: &Metadata) -> Result<FileAttr> {
        let time = |seconds: i64, nanos: i64| {
            let since = Duration::new(
                u64::try_from(seconds).unwrap_or_default(),
                u32::try_from(nanos).unwrap_or_default(),
            );
            SystemTime::UNIX_EPOCH + since
        };
        let target = if found.is_file() && self.options.symlinks {
            link::read(path, found.len()).map_err(disk)?
        } else {
            None
        };
        let (kind, perm, size) = match (&target, found.is_dir()) {
            (Some(target), _) => (FileType::Symlink, 0o777, target.len() as u64),
            (None, true) => (FileType::Directory, self.options.dir_mode, 0),
            (None, false) => (FileType::RegularFile, self.options.file_mode, found.len()),
        };
        let modified = time(found.mtime(), found.mtime_nsec());
        Ok(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size.div_ceil(512),
            atime: time(found.atime(), found.atime_nsec()),
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind,
            // Modes have twelve bits.
            perm: u16::try_from(perm).unwrap_or(0o777),
            nlink: if found.is_dir() { 2 } else { 1 },
            uid: self.options.uid,
            gid: self.options.gid,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }

    pub fn attr_of(&self, ino: u64) -> Result<FileAttr> {
        let path = self.path(ino)?;
        self.look(ino, &path, &fs::symlink_metadata(&path).map_err(disk)?)
    }

    /// An entry for the kernel, which holds its number from now on.
    pub fn entry(&self, path: &Path) -> Result<FileAttr> {
        let found = fs::symlink_metadata(path).map_err(disk)?;
        let ino = self.state().nodes.look_up(path);
        self.look(ino, path, &found)
    }

    pub fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    pub fn take_away(&self, parent: u64, name: &str, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
        self.writable()?;
        let path = self.child(parent, name)?;
        remove(&path).map_err(disk)?;
        self.state().nodes.unname(&path);
        Ok(())
    }

    pub fn make(&self, parent: u64, name: &str, make: impl Fn(&Path) -> io::Result<()>) -> Result<FileAttr> {
        self.writable()?;
        let path = self.child(parent, name)?;
        make(&path).map_err(disk)?;
        self.entry(&path)
    }

    pub fn open_file(&self, path: &Path, write: bool, truncate: bool) -> Result<u64> {
        if write || truncate {
            self.writable()?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(write || truncate)
            .truncate(truncate)
            .open(path)
            .map_err(disk)?;
        Ok(self.state().handle(Handle::File(file)))
    }

    pub fn with_file<T>(&self, handle: u64, work: impl Fn(&File) -> io::Result<T>) -> Result<T> {
        let file = match self.state().handles.get(&handle) {
            Some(Handle::File(file)) => file.try_clone().map_err(disk)?,
            _ => return Err(Errno::EBADF),
        };
        work(&file).map_err(disk)
    }

    pub fn set(
        &self,
        ino: u64,
        size: Option<u64>,
        mtime: Option<SystemTime>,
        handle: Option<u64>,
    ) -> Result<FileAttr> {
        let path = self.path(ino)?;
        if size.is_some() || mtime.is_some() {
            self.writable()?;
        }
        if let Some(size) = size {
            // A file that was removed lives on by its handle.
            match handle {
                Some(handle) => self.with_file(handle, |file| file.set_len(size))?,
                None => OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(size))
                    .map_err(disk)?,
            }
        }
        if let Some(time) = mtime {
            File::open(&path).and_then(|file| file.set_modified(time)).map_err(disk)?;
        }
        match handle {
            Some(handle) => {
                let found = self.with_file(handle, File::metadata)?;
                self.look(ino, &path, &found)
            }
            None => self.attr_of(ino),
        }
    }

    pub fn list(&self, ino: u64) -> Result<u64> {
        let folder = self.path(ino)?;
        let mut entries = vec![
            (ino, FileType::Directory, ".".to_owned()),
            (super::nodes::ROOT, FileType::Directory, "..".to_owned()),
        ];
        for entry in fs::read_dir(&folder).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Removed meanwhile, if there is nothing to say of it.
            let Ok(found) = entry.metadata() else { continue };
            let path = entry.path();
            let number = self.state().nodes.number(&path).unwrap_or(found.ino() | 1 << 62);
            let kind = self.look(number, &path, &found)?.kind;
            entries.push((number, kind, name));
        }
        Ok(self.state().handle(Handle::Folder(entries)))
    }

    pub fn rename_to(&self, from: &Path, to: &Path, replace: bool) -> Result<()> {
        self.writable()?;
        if !replace && to.symlink_metadata().is_ok() {
            return Err(Errno::EEXIST);
        }
        fs::rename(from, to).map_err(disk)?;
        self.state().nodes.rename(from, to);
        Ok(())
    }
}
