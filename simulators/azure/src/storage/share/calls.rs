//! The kernel's calls, each on the disk below the share.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::link;
use super::nodes::Nodes;
use crate::storage::{MountOptions, place};

type Result<T> = std::result::Result<T, Errno>;

/// Nothing is kept: another replica may change it.
const KEEP: Duration = Duration::ZERO;
/// Inode numbers are never used twice.
const GENERATION: Generation = Generation(0);
/// Bytes that the file system calls a block.
const BLOCK: u32 = 4_096;
/// Blocks of the share's five tebibytes.
const BLOCKS: u64 = (5 << 40) / 4_096;

/// A mount.
pub struct Mounted {
    root: PathBuf,
    options: MountOptions,
    state: Mutex<State>,
}

struct State {
    nodes: Nodes,
    handles: HashMap<u64, Handle>,
    next: u64,
}

enum Handle {
    File(File),
    Folder(Vec<(u64, FileType, String)>),
}

fn disk(error: io::Error) -> Errno {
    Errno::from(error)
}

fn text(name: &OsStr) -> Result<&str> {
    name.to_str().ok_or(Errno::EILSEQ)
}

impl State {
    fn handle(&mut self, handle: Handle) -> u64 {
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

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a call leaves maps that are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, ino: INodeNo) -> Result<PathBuf> {
        self.state().nodes.path(ino.0).map(Path::to_owned).ok_or(Errno::ESTALE)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Result<PathBuf> {
        Ok(place::child(&self.path(parent)?, text(name)?))
    }

    /// What a file looks like.
    fn attr(&self, ino: u64, path: &Path, found: &Metadata) -> Result<FileAttr> {
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

    fn attr_of(&self, ino: INodeNo) -> Result<FileAttr> {
        let path = self.path(ino)?;
        self.attr(ino.0, &path, &fs::symlink_metadata(&path).map_err(disk)?)
    }

    /// An entry for the kernel, which holds its number from now on.
    fn entry(&self, path: &Path) -> Result<FileAttr> {
        let found = fs::symlink_metadata(path).map_err(disk)?;
        let ino = self.state().nodes.look_up(path);
        self.attr(ino, path, &found)
    }

    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    fn remove(&self, parent: INodeNo, name: &OsStr, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
        self.writable()?;
        let path = self.child(parent, name)?;
        remove(&path).map_err(disk)?;
        self.state().nodes.unname(&path);
        Ok(())
    }

    fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        make: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<FileAttr> {
        self.writable()?;
        let path = self.child(parent, name)?;
        make(&path).map_err(disk)?;
        self.entry(&path)
    }

    fn open_file(&self, path: &Path, write: bool, truncate: bool) -> Result<u64> {
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

    fn with_file<T>(&self, handle: FileHandle, work: impl Fn(&File) -> io::Result<T>) -> Result<T> {
        let file = match self.state().handles.get(&handle.0) {
            Some(Handle::File(file)) => file.try_clone().map_err(disk)?,
            _ => return Err(Errno::EBADF),
        };
        work(&file).map_err(disk)
    }

    fn set(
        &self,
        ino: INodeNo,
        size: Option<u64>,
        mtime: Option<TimeOrNow>,
        handle: Option<FileHandle>,
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
        let time = match mtime {
            Some(TimeOrNow::SpecificTime(time)) => Some(time),
            Some(TimeOrNow::Now) => Some(SystemTime::now()),
            None => None,
        };
        if let Some(time) = time {
            File::open(&path).and_then(|file| file.set_modified(time)).map_err(disk)?;
        }
        match handle {
            Some(handle) => {
                let found = self.with_file(handle, File::metadata)?;
                self.attr(ino.0, &path, &found)
            }
            None => self.attr_of(ino),
        }
    }

    fn list(&self, ino: INodeNo) -> Result<u64> {
        let folder = self.path(ino)?;
        let mut entries = vec![
            (ino.0, FileType::Directory, ".".to_owned()),
            (super::nodes::ROOT, FileType::Directory, "..".to_owned()),
        ];
        for entry in fs::read_dir(&folder).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Removed meanwhile, if there is nothing to say of it.
            let Ok(found) = entry.metadata() else { continue };
            let path = entry.path();
            let number = self.state().nodes.number(&path).unwrap_or(found.ino() | 1 << 62);
            let kind = self.attr(number, &path, &found)?.kind;
            entries.push((number, kind, name));
        }
        Ok(self.state().handle(Handle::Folder(entries)))
    }

    fn rename_to(&self, from: &Path, to: &Path, replace: bool) -> Result<()> {
        self.writable()?;
        if !replace && to.symlink_metadata().is_ok() {
            return Err(Errno::EEXIST);
        }
        fs::rename(from, to).map_err(disk)?;
        self.state().nodes.rename(from, to);
        Ok(())
    }
}

fn nothing(outcome: Result<()>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entered(outcome: Result<FileAttr>, reply: ReplyEntry) {
    match outcome {
        Ok(attr) => reply.entry(&KEEP, &attr, GENERATION),
        Err(error) => reply.error(error),
    }
}

fn opened(outcome: Result<u64>, reply: ReplyOpen) {
    match outcome {
        Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entered(self.child(parent, name).and_then(|path| self.entry(&path)), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.state().nodes.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let outcome = match handle {
            Some(handle) => self.set(ino, None, None, Some(handle)),
            None => self.attr_of(ino),
        };
        match outcome {
            Ok(attr) => reply.attr(&KEEP, &attr),
            Err(error) => reply.error(error),
        }
    }

    /// Mode and owner are the mount's: setting them does nothing and is no error.
    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        match self.set(ino, size, mtime, handle) {
            Ok(attr) => reply.attr(&KEEP, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.path(ino).and_then(|path| {
            let found = fs::symlink_metadata(&path).map_err(disk)?;
            link::read(&path, found.len()).map_err(disk)?.ok_or(Errno::EINVAL)
        });
        match target {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(error),
        }
    }

    /// Of the kinds of nodes a share holds regular files alone.
    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        const REGULAR: u32 = 0o100_000;
        if mode & 0o170_000 != REGULAR {
            return reply.error(Errno::EPERM);
        }
        entered(self.make(parent, name, |path| File::create_new(path).map(drop)), reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        entered(self.make(parent, name, |path| fs::create_dir(path)), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        nothing(self.remove(parent, name, |path| fs::remove_file(path)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        nothing(self.remove(parent, name, |path| fs::remove_dir(path)), reply);
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let outcome = text(target.as_os_str()).and_then(|target| match self.options.symlinks {
            false => Err(Errno::EOPNOTSUPP),
            true if target.len() > link::TARGET => Err(Errno::ENAMETOOLONG),
            true => self.make(parent, name, |path| {
                File::create_new(path).and_then(|file| file.write_all_at(&link::encode(target), 0))
            }),
        });
        entered(outcome, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to_parent: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let outcome = self.child(parent, name).and_then(|from| {
            // The kernel itself does nothing for a new spelling of the same name.
            let to = self.child(to_parent, to_name)?;
            self.rename_to(&from, &to, replace)
        });
        nothing(outcome, reply);
    }

    /// A share has no hard links.
    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        const ACCESS: i32 = 0o3;
        const TRUNCATE: i32 = 0o1_000;
        let outcome = self
            .path(ino)
            .and_then(|path| self.open_file(&path, flags.0 & ACCESS != 0, flags.0 & TRUNCATE != 0));
        opened(outcome, reply);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let outcome = self.with_file(handle, |file| {
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
        });
        match outcome {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.with_file(handle, |file| file.write_all_at(data, offset)) {
            // The kernel writes far less than 4 GiB at a time.
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.state().handles.remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        nothing(self.with_file(handle, File::sync_data), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        opened(self.list(ino), reply);
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.state();
        let Some(Handle::Folder(entries)) = state.handles.get(&handle.0) else {
            return reply.error(Errno::EBADF);
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(entries.len());
        for (index, (ino, kind, name)) in entries[from..].iter().enumerate() {
            if reply.add(INodeNo(*ino), offset + index as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.state().handles.remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let used = place::usage(&self.root).unwrap_or_default().div_ceil(u64::from(BLOCK));
        let free = BLOCKS.saturating_sub(used);
        reply.statfs(BLOCKS, free, free, 0, 0, BLOCK, 255, BLOCK);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let outcome = self.child(parent, name).and_then(|path| {
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
        });
        match outcome {
            Ok((attr, handle)) => {
                reply.created(&KEEP, &attr, GENERATION, FileHandle(handle), FopenFlags::empty())
            }
            Err(error) => reply.error(error),
        }
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }
}
