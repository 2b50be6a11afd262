//! Receiving a message with its sender and its control data as they are: `recvmsg(2)`.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use libc::{iovec, msghdr, sockaddr_storage};

/// A message, as the kernel gave it.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes of data; with `MSG_TRUNC` asked for, the message's whole length.
    pub(crate) length: usize,
    /// The sender's address, as the kernel's `sockaddr`.
    pub(crate) name: Vec<u8>,
    /// Bytes of control data.
    pub(crate) control: usize,
    /// The message's `MSG_` flags.
    pub(crate) flags: i32,
}

/// Receives one message into `data` and `control`.
///
/// # Errors
/// As `recvmsg(2)`.
pub(crate) fn receive_message(
    socket: BorrowedFd<'_>,
    data: &mut [u8],
    control: &mut [u8],
    flags: i32,
) -> io::Result<Received> {
    let mut name = [0_u8; mem::size_of::<sockaddr_storage>()];
    let mut vector = iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: plain numbers and null pointers; all zero is an empty header.
    let mut header: msghdr = unsafe { mem::zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = name.len() as libc::socklen_t;
    header.msg_iov = ptr::from_mut(&mut vector);
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len() as _;
    // SAFETY: name, data and control are exclusively borrowed, of the lengths said, and outlive the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), ptr::from_mut(&mut header), flags) };
    let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
    let named = name.len().min(header.msg_namelen as usize);
    Ok(Received {
        length,
        name: name[..named].to_vec(),
        // Of the kernel's width on every C library.
        #[allow(clippy::unnecessary_cast)]
        control: header.msg_controllen as usize,
        flags: header.msg_flags,
    })
}
