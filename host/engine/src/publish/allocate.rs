//! Who holds which port, and which is the next free one.

use std::{
    collections::HashSet,
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use sockerless_ports::link::request::Protocol;

use super::{
    Published,
    socket::Socket,
    wanted::{HostPort, Wanted},
};
use crate::tuning;

/// The ports of this daemon's containers.
pub(super) struct Allocator {
    held: HashSet<(Protocol, IpAddr, u16)>,
    /// Where the search for any port goes on.
    next: u16,
}

impl Default for Allocator {
    fn default() -> Self {
        // At random: daemons on one machine would else want the same ports at the same time.
        Self { held: HashSet::new(), next: rand::random_range(tuning::ANY_PORT.0..=tuning::ANY_PORT.1) }
    }
}

/// Why a port cannot be had, as dockerd says it.
#[derive(Debug)]
pub(super) enum Taken {
    /// Another container has it.
    Allocated(SocketAddr),
    /// The kernel says no; mostly another program has it.
    Refused(Protocol, SocketAddr, io::Error),
    /// None of a range is free.
    All,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocated(address) => write!(f, "Bind for {address} failed: port is already allocated"),
            Self::Refused(protocol, address, error) => {
                let protocol = match protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                };
                let family = if address.is_ipv4() { 4 } else { 6 };
                let words = error.to_string();
                let words = words.split(" (os error").next().unwrap_or_default().to_lowercase();
                write!(f, "Error starting userland proxy: listen {protocol}{family} {address}: bind: {words}")
            }
            Self::All => write!(f, "all ports are allocated"),
        }
    }
}

impl Allocator {
    /// All that is wanted, or nothing. For any port, the one that it had `before` is the first choice.
    pub fn take(&mut self, wanted: &[Wanted], before: &[Published]) -> Result<Vec<Socket>, Taken> {
        let mut sockets = Vec::new();
        for wanted in wanted {
            match self.take_one(wanted, before) {
                Ok(more) => sockets.extend(more),
                Err(error) => {
                    sockets.iter().for_each(|socket| self.give_back(&socket.published));
                    return Err(error);
                }
            }
        }
        Ok(sockets)
    }

    /// The port that a run had before the daemon was restarted; none, with a word in the log, when it is taken.
    pub fn take_again(&mut self, published: &Published) -> Option<Socket> {
        let Published { protocol, port, address, host_port } = *published;
        let bound = self.bind(protocol, port, &[address], host_port);
        bound
            .inspect_err(
                |why| tracing::error!(port = host_port, %why, "a published port cannot be opened again"),
            )
            .ok()?
            .pop()
    }

    /// Its socket is closed.
    pub fn give_back(&mut self, published: &Published) {
        self.held.remove(&(published.protocol, published.address, published.host_port));
    }

    fn take_one(&mut self, wanted: &Wanted, before: &[Published]) -> Result<Vec<Socket>, Taken> {
        let Wanted { protocol, port, addresses, host } = wanted;
        let (first, last) = match *host {
            HostPort::One(host_port) => return self.bind(*protocol, *port, addresses, host_port),
            HostPort::Range(first, last) => (first, last),
            HostPort::Any => tuning::ANY_PORT,
        };
        let had = before.iter().filter(|published| {
            (published.protocol, published.port) == (*protocol, *port)
                && addresses.contains(&published.address)
                && (first..=last).contains(&published.host_port)
        });
        let begin = if *host == HostPort::Any { self.next.clamp(first, last) } else { first };
        let candidates: Vec<u16> =
            had.map(|published| published.host_port).chain(begin..=last).chain(first..begin).collect();
        for candidate in candidates {
            match self.bind(*protocol, *port, addresses, candidate) {
                Ok(sockets) => {
                    if *host == HostPort::Any && candidate >= begin {
                        self.next = if candidate == last { first } else { candidate + 1 };
                    }
                    return Ok(sockets);
                }
                Err(Taken::Allocated(_)) => {}
                Err(Taken::Refused(_, _, error)) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(Taken::All)
    }

    /// One port of this machine at all of the addresses.
    fn bind(
        &mut self,
        protocol: Protocol,
        port: u16,
        addresses: &[IpAddr],
        host_port: u16,
    ) -> Result<Vec<Socket>, Taken> {
        let held = |address: &&IpAddr| self.held.contains(&(protocol, **address, host_port));
        if let Some(address) = addresses.iter().find(held) {
            return Err(Taken::Allocated(SocketAddr::new(*address, host_port)));
        }
        let mut sockets = Vec::new();
        for &address in addresses {
            let published = Published { protocol, port, address, host_port };
            match Socket::bind(published) {
                Ok(socket) => sockets.push(socket),
                // A machine without IPv6 publishes on IPv4 alone, unless the user wants otherwise.
                Err(error) if !sockets.is_empty() && lacks_family(&error) => {}
                Err(error) => {
                    return Err(Taken::Refused(protocol, SocketAddr::new(address, host_port), error));
                }
            }
        }
        self.held.extend(sockets.iter().map(|socket| (protocol, socket.published.address, host_port)));
        Ok(sockets)
    }
}

fn lacks_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    error.raw_os_error() == Some(97) || error.kind() == ErrorKind::AddrNotAvailable
}
