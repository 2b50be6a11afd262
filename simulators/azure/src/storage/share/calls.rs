//! The kernel's calls.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::link;
use super::mounted::{BLOCK, Handle, Mounted, Result, disk, text};
use crate::storage::place;

/// Nothing is kept: another replica may change it.
const KEEP: Duration = Duration::ZERO;
/// Inode numbers are never used twice.
const GENERATION: Generation = Generation(0);
/// Blocks of the share's five tebibytes.
const BLOCKS: u64 = (5 << 40) / 4_096;

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
