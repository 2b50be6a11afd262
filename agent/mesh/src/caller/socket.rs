//! A socket of the program, shared with it: the same open file, so its flags and options are the program's, too.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat},
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketType, bind, connect, getpeername, getsockname, ipproto, sendto,
        sockopt,
    },
};

/// `IPPROTO_MPTCP`: TCP by several ways, what Go's listeners are.
const MULTIPATH: u32 = 262;

#[derive(Debug)]
pub(crate) struct Socket {
    file: OwnedFd,
    pub(crate) inode: u64,
    pub(crate) kind: Kind,
    /// Of IPv6, which may do IPv4 as well.
    pub(crate) v6: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    /// Raw, ICMP, SCTP, and what is not of the internet at all.
    Other,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Socket {
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        let inode = fstat(&file)?.st_ino;
        let family = sockopt::socket_domain(&file)?;
        let v6 = family == AddressFamily::INET6;
        let protocol = sockopt::socket_protocol(&file)?;
        let is = |wanted| protocol == Some(wanted);
        let multipath = || protocol.is_some_and(|protocol| protocol.as_raw().get() == MULTIPATH);
        let kind = match sockopt::socket_type(&file)? {
            _ if !v6 && family != AddressFamily::INET => Kind::Other,
            SocketType::STREAM if is(ipproto::TCP) || multipath() => Kind::Tcp,
            SocketType::DGRAM if is(ipproto::UDP) => Kind::Udp,
            _ => Kind::Other,
        };
        Ok(Self { file, inode, kind, v6 })
    }

    /// The address in the socket's own family.
    fn native(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.v6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            other => other,
        }
    }

    pub(crate) fn blocks(&self) -> bool {
        // Unknown counts as usual.
        fcntl_getfl(&self.file).map_or(true, |flags| !flags.contains(OFlags::NONBLOCK))
    }

    /// Begins to connect, without waiting: `EINPROGRESS` when it goes on. Only for addresses of this machine.
    pub(crate) fn connect(&self, to: SocketAddr) -> Result<(), Errno> {
        let flags = fcntl_getfl(&self.file)?;
        let switch = self.kind == Kind::Tcp && !flags.contains(OFlags::NONBLOCK);
        if switch {
            // The program's only user of the socket waits for us, so that it is none the wiser.
            fcntl_setfl(&self.file, flags | OFlags::NONBLOCK)?;
        }
        let connected = connect(&self.file, &self.native(to));
        if switch {
            fcntl_setfl(&self.file, flags)?;
        }
        connected
    }

    pub(crate) fn bind(&self, to: SocketAddr) -> Result<(), Errno> {
        bind(&self.file, &self.native(to))
    }

    /// Sends a datagram without waiting, wherever it says.
    pub(crate) fn send(&self, data: &[u8], to: SocketAddr, flags: i32) -> Result<usize, Errno> {
        let flags = SendFlags::from_bits_retain(flags as u32) | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendto(&self.file, data, flags, &self.native(to))
    }

    /// The local address; IPv4 where it is a mapped one.
    pub(crate) fn local(&self) -> Result<SocketAddr, Errno> {
        let name = getsockname(&self.file)?;
        SocketAddr::try_from(name).map(canonical)
    }

    /// Who it is connected to.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        SocketAddr::try_from(getpeername(&self.file).ok()??).map(canonical).ok()
    }

    /// The local address to which a socket of IPv4 on this machine sends; a socket without a port gets one.
    pub(crate) fn reachable(&self) -> Result<SocketAddr, Errno> {
        if self.local()?.port() == 0 {
            let any: IpAddr =
                if self.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            self.bind((any, 0).into())?;
        }
        let local = self.local()?;
        match local.ip() {
            ip if ip.is_unspecified() => Ok((Ipv4Addr::LOCALHOST, local.port()).into()),
            IpAddr::V4(_) => Ok(local),
            IpAddr::V6(_) => Err(Errno::NETUNREACH),
        }
    }

    pub(crate) fn listens(&self) -> bool {
        sockopt::socket_acceptconn(&self.file).unwrap_or(false)
    }

    /// The error that the socket keeps for who asks.
    pub(crate) fn error(&self) -> Result<(), Errno> {
        sockopt::socket_error(&self.file)?
    }

    /// How long a receive may wait (`SO_RCVTIMEO`).
    pub(crate) fn patience(&self) -> Option<Duration> {
        sockopt::socket_timeout(&self.file, sockopt::Timeout::Recv).unwrap_or(None)
    }
}

/// IPv4 where it is a mapped address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => (v4, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}
