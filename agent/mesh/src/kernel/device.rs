//! A TUN device: packets of a network namespace, as a file.

use std::{
    io, mem,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
};

use rustix::fs::{Mode, OFlags, open};

/// Opens a device of this name in the thread's network namespace: each read and each write is one packet.
///
/// # Errors
/// Without `/dev/net/tun`, or without CAP_NET_ADMIN.
pub(crate) fn open_tun(name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let device = open("/dev/net/tun", flags, Mode::empty())?;
    // SAFETY: plain numbers and arrays; all zero is an empty request.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        // Of the C library's sign.
        *place = byte as _;
    }
    // Two flags of 16 bits.
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as _;
    // SAFETY: the kernel reads and writes one `ifreq`, which outlives the call.
    let answer =
        unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, ptr::from_mut(&mut request)) };
    if answer == 0 { Ok(device) } else { Err(io::Error::last_os_error()) }
}
