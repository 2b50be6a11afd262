//! Pseudo-terminals.

use std::{io, os::fd::OwnedFd};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use sockerless_agent_wire::Size;

use crate::say;

/// A new terminal: the agent's end, which does not block, and the process's.
pub fn open(size: Option<Size>) -> io::Result<(OwnedFd, OwnedFd)> {
    let agents = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&agents)?;
    unlockpt(&agents)?;
    let processes =
        ioctl_tiocgptpeer(&agents, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&agents, true)?;
    if let Some(size) = size {
        resize(&agents, size);
    }
    Ok((agents, processes))
}

/// Sets its size; the kernel tells the processes that are on it.
pub fn resize(terminal: &OwnedFd, Size { columns, rows }: Size) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    if let Err(error) = tcsetwinsize(terminal, size) {
        say!("the terminal's size could not be set: {error}");
    }
}
