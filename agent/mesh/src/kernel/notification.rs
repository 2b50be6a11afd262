//! What a filter's listener tells, and the answers: `seccomp_unotify(2)`.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    ptr,
};

use libc::{seccomp_notif, seccomp_notif_resp};

/// A caught call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notification {
    /// Names it towards the kernel.
    pub(crate) id: u64,
    /// The thread that has called, as this process's pid namespace numbers it.
    pub(crate) thread: u32,
    /// The number of the system call.
    pub(crate) call: i64,
    /// Where the program stands.
    pub(crate) instruction: u64,
    pub(crate) arguments: [u64; 6],
}

/// Newer kernels may have larger structures, and refuse smaller buffers: room for that.
#[repr(C)]
union Room<T: Copy> {
    known: T,
    all: [u64; 64],
}

impl<T: Copy> Room<T> {
    const EMPTY: Self = Self { all: [0; 64] };
}

/// The next caught call; waits for one.
///
/// # Errors
/// `ENOENT` and `EINTR` when the call has been interrupted meanwhile.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    let mut room = Room::<seccomp_notif>::EMPTY;
    // SAFETY: the kernel writes one `seccomp_notif`, which it wants to be zero before; `room` is zero and larger.
    let answer = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, ptr::from_mut(&mut room))
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, for which any bits are valid, written by the kernel.
    let told = unsafe { room.known };
    Ok(Notification {
        id: told.id,
        thread: told.pid,
        call: told.data.nr.into(),
        instruction: told.data.instruction_pointer,
        arguments: told.data.args,
    })
}

/// Lets the kernel do the call as if nothing had been caught.
///
/// # Errors
/// `ENOENT` when the call has been interrupted meanwhile.
pub(crate) fn proceed(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    // A flag of one bit.
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    send(listener, seccomp_notif_resp { id, val: 0, error: 0, flags })
}

/// Ends the call with a value, or an error's number.
///
/// # Errors
/// `ENOENT` when the call has been interrupted meanwhile: the program may call again.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Result<i64, i32>) -> io::Result<()> {
    let (val, error) = match answer {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno),
    };
    send(listener, seccomp_notif_resp { id, val, error, flags: 0 })
}

fn send(listener: BorrowedFd<'_>, response: seccomp_notif_resp) -> io::Result<()> {
    let mut room = Room { known: response };
    // SAFETY: the kernel reads and writes no more than it has of `seccomp_notif_resp`; `room` is larger.
    let answer = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, ptr::from_mut(&mut room))
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the call still waits: what was learnt of its thread by number is about that thread and no later one.
pub(crate) fn is_valid(listener: impl AsFd, id: u64) -> bool {
    let listener = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one `u64`.
    unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, ptr::from_ref(&id)) == 0 }
}

/// Lets the caller and this process wake each other on one processor (Linux 6.6): about half the time of a call.
pub(crate) fn wake_beside(listener: BorrowedFd<'_>) -> io::Result<()> {
    const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: u64 = 1;
    // SAFETY: takes numbers alone.
    let answer = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const _: () = assert!(mem::size_of::<seccomp_notif>() <= 512);
