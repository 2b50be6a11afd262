//! A cloud's storage as a file system: the kernel's calls by FUSE, each an operation of a tree.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, Session, SessionACL, TimeOrNow,
    WriteFlags,
};

/// The result of an operation, with the error that the kernel gets.
pub type Result<T> = std::result::Result<T, Errno>;

/// An entry of a folder: its inode's number, what it is, and its name.
pub type Entry = (u64, FileType, String);

/// How large a file system says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Blocks, and those that are free.
    pub blocks: (u64, u64),
    /// Files that there can be; 0 for any number.
    pub files: u64,
    /// Bytes of a block.
    pub block: u32,
}

/// What a storage does at the kernel's calls. Files are known by their inodes' numbers, of which each is used once; what is
/// open by its handle's. Modes and owners are the mount's: setting them does nothing and is no error.
pub trait Tree: Send + Sync + 'static {
    /// What there is to say to a node that is neither file, folder nor link.
    const NO_NODE: Errno;
    /// What there is to say to a hard link.
    const NO_LINK: Errno;

    /// How long the kernel may believe what it knows of a file.
    fn keep(&self) -> Duration;
    /// How long it may believe that there is none.
    fn absence(&self) -> Duration {
        Duration::ZERO
    }
    /// A folder's child, which the kernel knows once more.
    fn lookup(&self, parent: u64, name: &str) -> Result<Option<FileAttr>>;
    /// The kernel knows it so many times less.
    fn forget(&self, ino: u64, count: u64);
    /// What a file looks like, one that has lost its name by its handle.
    fn attr(&self, ino: u64, handle: Option<u64>) -> Result<FileAttr>;
    /// Sets size and time, and says what it looks like then.
    fn set(
        &self,
        ino: u64,
        size: Option<u64>,
        mtime: Option<SystemTime>,
        handle: Option<u64>,
    ) -> Result<FileAttr>;
    /// Where a symbolic link leads.
    fn target(&self, ino: u64) -> Result<String>;
    /// Makes an empty file, which must not be there.
    fn make_file(&self, parent: u64, name: &str) -> Result<FileAttr>;
    /// Makes a folder.
    fn make_folder(&self, parent: u64, name: &str) -> Result<FileAttr>;
    /// Makes a symbolic link.
    fn make_link(&self, parent: u64, name: &str, target: &str) -> Result<FileAttr>;
    /// Makes a file, or takes the one that is there, and opens it.
    fn create(&self, parent: u64, name: &str) -> Result<(FileAttr, u64)>;
    /// Removes a file or link.
    fn remove(&self, parent: u64, name: &str) -> Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, parent: u64, name: &str) -> Result<()>;
    /// Gives another name, which only `replace` takes from another file.
    fn rename(&self, from: (u64, &str), to: (u64, &str), replace: bool) -> Result<()>;
    /// Opens a file.
    fn open(&self, ino: u64, write: bool, truncate: bool) -> Result<u64>;
    /// At most `size` bytes, fewer only at the end.
    fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>>;
    /// Writes all of it.
    fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<()>;
    /// A descriptor of it was closed.
    fn flush(&self, handle: u64) -> Result<()>;
    /// What was written is to last.
    fn sync(&self, handle: u64) -> Result<()>;
    /// Nobody has it open any more: a file or a folder.
    fn release(&self, handle: u64);
    /// Opens a folder, with what it holds now.
    fn open_folder(&self, ino: u64) -> Result<u64>;
    /// An opened folder's entries from the so manieth on.
    fn entries(&self, handle: u64, from: u64) -> Result<Vec<Entry>>;
    /// How large it is.
    fn space(&self) -> Space;
}

/// Answers for a mount until it ends.
///
/// # Errors
/// The device's: also that of a task that ended while it was mounted.
pub fn serve(tree: impl Tree, device: OwnedFd) -> io::Result<()> {
    Session::from_fd(Calls(tree), device, SessionACL::All, Config::default()).and_then(Session::run)
}

/// Inode numbers are never used twice.
const GENERATION: Generation = Generation(0);

struct Calls<T>(T);

/// A name is UTF-8 in every cloud's storage.
fn text(name: &OsStr) -> Result<&str> {
    name.to_str().ok_or(Errno::EILSEQ)
}

fn nothing(outcome: Result<()>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn opened(outcome: Result<u64>, reply: ReplyOpen) {
    match outcome {
        Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
        Err(error) => reply.error(error),
    }
}

fn data(outcome: Result<impl AsRef<[u8]>>, reply: ReplyData) {
    match outcome {
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(error) => reply.error(error),
    }
}

/// No file, as an entry: the kernel remembers it.
fn absent() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

impl<T: Tree> Calls<T> {
    fn entry(&self, outcome: Result<FileAttr>, reply: ReplyEntry) {
        match outcome {
            Ok(attr) => reply.entry(&self.0.keep(), &attr, GENERATION),
            Err(error) => reply.error(error),
        }
    }

    fn attributes(&self, outcome: Result<FileAttr>, reply: ReplyAttr) {
        match outcome {
            Ok(attr) => reply.attr(&self.0.keep(), &attr),
            Err(error) => reply.error(error),
        }
    }
}

impl<T: Tree> Filesystem for Calls<T> {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let absence = self.0.absence();
        match text(name).and_then(|name| self.0.lookup(parent.0, name)) {
            Ok(None) if absence.is_zero() => reply.error(Errno::ENOENT),
            Ok(None) => reply.entry(&absence, &absent(), GENERATION),
            Ok(Some(attr)) => self.entry(Ok(attr), reply),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.0.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        self.attributes(self.0.attr(ino.0, handle.map(|handle| handle.0)), reply);
    }

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
        let mtime = mtime.map(|time| match time {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => SystemTime::now(),
        });
        self.attributes(self.0.set(ino.0, size, mtime, handle.map(|handle| handle.0)), reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        data(self.0.target(ino.0), reply);
    }

    /// Of the kinds of nodes a cloud's storage holds regular files alone.
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
            return reply.error(T::NO_NODE);
        }
        self.entry(text(name).and_then(|name| self.0.make_file(parent.0, name)), reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        self.entry(text(name).and_then(|name| self.0.make_folder(parent.0, name)), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        nothing(text(name).and_then(|name| self.0.remove(parent.0, name)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        nothing(text(name).and_then(|name| self.0.remove_folder(parent.0, name)), reply);
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let outcome = text(name)
            .and_then(|name| text(target.as_os_str()).and_then(|to| self.0.make_link(parent.0, name, to)));
        self.entry(outcome, reply);
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
        let outcome = text(name).and_then(|name| {
            let to_name = text(to_name)?;
            self.0.rename((parent.0, name), (to_parent.0, to_name), replace)
        });
        nothing(outcome, reply);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(T::NO_LINK);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        const ACCESS: i32 = 0o3;
        const TRUNCATE: i32 = 0o1_000;
        opened(self.0.open(ino.0, flags.0 & ACCESS != 0, flags.0 & TRUNCATE != 0), reply);
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
        data(self.0.read(handle.0, offset, size), reply);
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
        match self.0.write(handle.0, offset, data) {
            // The kernel writes far less than 4 GiB at a time.
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        nothing(self.0.flush(handle.0), reply);
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
        self.0.release(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        nothing(self.0.sync(handle.0), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        opened(self.0.open_folder(ino.0), reply);
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.0.entries(handle.0, offset) {
            Ok(entries) => {
                for (index, (ino, kind, name)) in entries.iter().enumerate() {
                    if reply.add(INodeNo(*ino), offset + index as u64 + 1, *kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.release(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let Space { blocks: (all, free), files, block } = self.0.space();
        reply.statfs(all, free, free, files, files, block, 255, block);
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
        match text(name).and_then(|name| self.0.create(parent.0, name)) {
            Ok((attr, handle)) => {
                reply.created(&self.0.keep(), &attr, GENERATION, FileHandle(handle), FopenFlags::empty());
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
