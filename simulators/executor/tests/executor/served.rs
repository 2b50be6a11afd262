//! File systems of this process in containers.

use std::{
    ffi::OsStr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEntry, Request, Session, SessionACL,
};
use sockerless_executor::{FailureReason, MountSource, Serve, TaskMount};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::with;

const CONTENT: &[u8] = b"from this process\n";

/// A folder with one file, which nobody can change.
struct OneFile;

fn attr(ino: u64) -> FileAttr {
    let (kind, perm, size) = match ino {
        1 => (FileType::Directory, 0o777, 0),
        _ => (FileType::RegularFile, 0o666, CONTENT.len() as u64),
    };
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: 1,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 512,
        flags: 0,
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some("file") => reply.entry(&Duration::ZERO, &attr(2), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&Duration::ZERO, &attr(ino.0));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        _: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(CONTENT.get(usize::try_from(offset).unwrap()..).unwrap_or_default());
    }
}

/// Tells when a mount has ended.
#[derive(Debug)]
struct Server(Mutex<UnboundedSender<()>>);

impl Serve for Server {
    fn serve(&self, device: OwnedFd) {
        let session = Session::from_fd(OneFile, device, SessionACL::All, Config::default());
        session.unwrap().run().unwrap();
        // The test may have ended.
        self.0.lock().unwrap().send(()).ok();
    }
}

fn mount(read_only: bool) -> (TaskMount, UnboundedReceiver<()>) {
    let (sender, ended) = unbounded_channel();
    let source = MountSource::Served(Arc::new(Server(Mutex::new(sender))));
    (TaskMount { path: "/mnt/served".to_owned(), source, read_only }, ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_of_this_process_is_mounted_as_long_as_the_task_lives() {
    with(async |fixture| {
        let (mount, mut ended) = mount(false);
        let mut spec = fixture.shell_spec("cat /mnt/served/file; cat /mnt/served/none || echo none");
        spec.mounts = vec![mount];
        let outcome = fixture.run(spec).await;
        assert_eq!(outcome.text(), "from this process\nnone\n");
        ended.recv().await.expect("the mount goes with the task");
        let sockets = std::fs::read_dir(fixture.folder.path().join("state/sockets")).unwrap();
        assert_eq!(sockets.count(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_one_refuses_writes_before_they_are_asked_for() {
    with(async |fixture| {
        let (mount, _ended) = mount(true);
        let mut spec = fixture.shell_spec("echo x > /mnt/served/file");
        spec.mounts = vec![mount];
        let outcome = fixture.run(spec).await;
        let words = String::from_utf8(outcome.err.clone()).unwrap();
        assert!(words.contains("Read-only file system"), "{outcome:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_started_leaves_no_one_waiting() {
    with(async |fixture| {
        let (mount, _ended) = mount(false);
        let mut spec = fixture.shell_spec("true");
        spec.command = vec!["/no/such/program".to_owned()];
        spec.mounts = vec![mount];
        assert_eq!(fixture.run(spec).await.reason(), FailureReason::CommandNotFound);
        let sockets = std::fs::read_dir(fixture.folder.path().join("state/sockets")).unwrap();
        assert_eq!(sockets.count(), 0);
    })
    .await;
}
