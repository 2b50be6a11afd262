//! Filters: `seccomp(2)`, and those of sockets.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use libc::{c_ulong, sock_filter, sock_fprog};

/// Installs a filter for the calling thread, and all that it starts from now on. The descriptor tells of the caught calls.
///
/// # Errors
/// `EACCES` without `CAP_SYS_ADMIN` and "no new privileges"; `EBUSY` when a filter above has a listener; `EINVAL` for a flag that the kernel
/// does not know; `ENOSYS` without seccomp.
pub(crate) fn install(program: &[sock_filter], flags: c_ulong) -> io::Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the kernel reads `len` instructions from `filter`, which outlive the call, and writes none.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program))
    };
    let number = RawFd::try_from(answer).ok().filter(|number| *number >= 0);
    let Some(number) = number else { return Err(io::Error::last_os_error()) };
    // SAFETY: with NEW_LISTENER the answer is a new descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sets "no new privileges" for the calling thread: setuid programs keep their caller's rights from then on.
pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: takes numbers alone.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets a socket hear nothing any more: whatever arrives is dropped, without an answer.
pub(crate) fn deafen(socket: BorrowedFd<'_>) -> io::Result<()> {
    let drop = sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = sock_fprog { len: 1, filter: ptr::from_ref(&drop).cast_mut() };
    // SAFETY: the kernel reads one `sock_fprog` and its one instruction, which outlive the call, and writes none.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            ptr::from_ref(&program).cast(),
            size_of::<sock_fprog>() as libc::socklen_t,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
