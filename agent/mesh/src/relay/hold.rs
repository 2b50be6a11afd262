//! A connection of a socket that does not block, while the peer is being dialled.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with, sockopt},
};
use tokio::net::TcpStream;

use crate::{caller::Socket, kernel};

/// The program's socket is connecting to a listener of ours that hears nothing, so that the program may wait for it as
/// it does for the kernel. Dropped, the listener is gone, and the kernel refuses the next try, at most a second later.
#[derive(Debug)]
pub(crate) struct Hold {
    deaf: OwnedFd,
    here: SocketAddr,
    program: SocketAddr,
}

impl Hold {
    /// Lets the program's socket begin to connect.
    pub(crate) fn begin(socket: &Socket) -> Result<Self, Errno> {
        let deaf = stream((Ipv4Addr::LOCALHOST, 0).into())?;
        kernel::deafen(deaf.as_fd()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        listen(&deaf, 1)?;
        let here = SocketAddr::try_from(getsockname(&deaf)?)?;
        match socket.connect(here) {
            Err(Errno::INPROGRESS) => {}
            Ok(()) => return Err(Errno::ISCONN),
            Err(errno) => return Err(errno),
        }
        Ok(Self { deaf, here, program: socket.local()? })
    }

    /// Meets the program's socket: both sides connect to each other at once, as TCP knows it (RFC 9293, section 3.5).
    pub(crate) async fn complete(self) -> io::Result<TcpStream> {
        let ours = stream(self.here)?;
        match connect(&ours, &self.program) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ours = TcpStream::from_std(ours.into())?;
        ours.writable().await?;
        if let Some(error) = ours.take_error()? {
            return Err(error);
        }
        drop(self.deaf);
        // As for those that were not held.
        let _ = ours.set_nodelay(true);
        Ok(ours)
    }
}

/// A socket with an address, which it may share with another of ours.
fn stream(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &at)?;
    Ok(socket)
}
