//! FUSE file systems of a task, served by whoever made the task's specification.
//!
//! The stage mounts, in the task's own namespaces, and hands the connection over by a socket in the state's folder. With
//! the task's namespace the mount goes, and with the mount the connection.

use std::{
    fmt::Debug,
    fs, io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::task::JoinHandle;

/// A file system that is served by this process.
pub trait Serve: Debug + Send + Sync {
    /// Answers the kernel's requests until the mount is gone; called on a thread of its own, once for each mount.
    /// `device` is an open `/dev/fuse` that is mounted already, with all users allowed and default permissions.
    fn serve(&self, device: OwnedFd);
}

/// Waits for the mounts of one task; dropped, it waits no more.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<(PathBuf, JoinHandle<()>)>);

impl Drop for Waiting {
    fn drop(&mut self) {
        for (path, accepting) in self.0.drain(..) {
            accepting.abort();
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "a socket cannot be removed");
            }
        }
    }
}

impl Waiting {
    /// Opens the socket at which a mount is handed over.
    pub(crate) fn open(&mut self, path: PathBuf, server: Arc<dyn Serve>) -> io::Result<()> {
        let listener = near(&path, |short| UnixListener::bind(short))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let accepting = tokio::spawn(async move {
            if let Err(error) = accept(listener, server).await {
                tracing::error!(%error, "a mount cannot be served");
            }
        });
        self.0.push((path, accepting));
        Ok(())
    }
}

async fn accept(listener: tokio::net::UnixListener, server: Arc<dyn Serve>) -> io::Result<()> {
    let (stream, _) = listener.accept().await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    std::thread::Builder::new().name("served-mount".to_owned()).spawn(move || match receive(&stream) {
        Ok(device) => server.serve(device),
        Err(error) => tracing::error!(%error, "a mount is not handed over"),
    })?;
    Ok(())
}

/// Hands a mounted device over at the socket of that path.
pub(crate) fn hand_over(path: &Path, device: &OwnedFd) -> io::Result<()> {
    let stream = near(path, |short| UnixStream::connect(short))?;
    let fds = [device.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&stream, &[io::IoSlice::new(b"m")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut content = [0];
    recvmsg(stream, &mut [io::IoSliceMut::new(&mut content)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut devices = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    devices
        .next()
        .and_then(|mut fds| fds.next())
        .ok_or_else(|| io::Error::other("no device came with the message"))
}

/// A socket's address holds 107 bytes, which a deep folder's path exceeds: the folder is named by its number.
fn near<T>(path: &Path, then: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let folder = fs::File::open(folder)?;
    then(&Path::new(&format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd())).join(name))
}
