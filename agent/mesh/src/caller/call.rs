//! A caught call, from its notification to its answer.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::readlink,
    io::Errno,
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::Socket;
use crate::kernel::{self, Notification};

/// A thread of the program that waits for us. It goes on when this is dropped, as if nothing had been caught.
#[derive(Debug)]
pub(crate) struct Call {
    listener: Arc<OwnedFd>,
    pub(crate) told: Notification,
    answered: bool,
}

pub(crate) type Signature = [u64; 9];

/// With it a descriptor stands for a thread, not its process: `PIDFD_THREAD`, Linux 6.9.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);

impl Call {
    pub(crate) fn new(listener: Arc<OwnedFd>, told: Notification) -> Self {
        Self { listener, told, answered: false }
    }

    /// The calling thread's number.
    pub(crate) fn thread(&self) -> i32 {
        // The kernel's numbers of threads are positive and of 22 bits.
        self.told.thread as i32
    }

    /// Who calls what from where: the same when the kernel makes an interrupted call again.
    pub(crate) fn signature(&self) -> Signature {
        let Notification { thread, call, instruction, arguments: [a, b, c, d, e, f], .. } = self.told;
        [thread.into(), call as u64, instruction, a, b, c, d, e, f]
    }

    /// An argument that is a descriptor or flags: the kernel, too, looks at the lower half alone.
    pub(crate) fn small(&self, index: usize) -> i32 {
        self.told.arguments[index] as i32
    }

    /// Whether the thread still waits: only then is what was read of it its own.
    pub(crate) fn is_valid(&self) -> bool {
        kernel::is_valid(&*self.listener, self.told.id)
    }

    /// Lets the kernel do it.
    pub(crate) fn proceed(mut self) {
        self.go();
    }

    fn go(&mut self) {
        self.answered = true;
        // Who is gone needs no answer, and one that was interrupted calls again.
        let _ = kernel::proceed(self.listener.as_fd(), self.told.id);
    }

    /// Ends the call; whether the thread has heard it. One that was interrupted calls again, or does not care any more.
    pub(crate) fn answer(mut self, outcome: Result<i64, Errno>) -> bool {
        self.answered = true;
        let outcome = outcome.map_err(Errno::raw_os_error);
        kernel::answer(self.listener.as_fd(), self.told.id, outcome).is_ok()
    }

    /// The socket behind one of the thread's descriptors, when it is still that thread's, and what tells of its end.
    pub(crate) fn socket(&self, number: i32) -> io::Result<(Socket, OwnedFd)> {
        let thread = Pid::from_raw(self.thread()).ok_or(Errno::SRCH)?;
        let process = match pidfd_open(thread, THREAD) {
            Err(Errno::INVAL) => pidfd_open(leader(thread)?, PidfdFlags::empty())?,
            opened => opened?,
        };
        let socket = self.look(|| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()))?;
        if self.is_valid() { Ok((Socket::new(socket)?, process)) } else { Err(Errno::SRCH.into()) }
    }

    /// The number by which the kernel knows the socket behind a descriptor, or `None` for what is no socket.
    pub(crate) fn inode(&self, number: i32) -> Option<u64> {
        let path = format!("/proc/{}/fd/{number}", self.thread());
        let link = self.look(|| readlink(&path, Vec::new())).ok()?;
        link.to_str().ok()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.answered {
            self.go();
        }
    }
}

/// The first thread of a thread's process.
fn leader(thread: Pid) -> io::Result<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", thread.as_raw_nonzero()))?;
    let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    leader.and_then(Pid::from_raw).ok_or_else(|| Errno::SRCH.into())
}
