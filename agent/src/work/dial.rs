//! Connections to what the container's processes listen on: published ports, and the mesh.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    rc::Rc,
    task::{Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use sockerless_agent_wire::request::{End, Fault, FaultKind, Protocol, Reply};
use sockerless_mesh::{Tun, shadow, tun::Seat};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::{TcpSocket, TcpStream, UdpSocket, tcp},
    time::timeout,
};

use super::fault::{failed, fault};
use crate::{
    mesh::Catcher,
    shared::{Channel, Output, Shared},
    tuning,
};

thread_local! {
    /// All connections are read into this, one after the other: an idle one costs no buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; tuning::PIECE].into());
}

/// For whom.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// A client of the daemon's: to whoever has the port.
    Published,
    /// A process of another container: from its address to the container's own. What listens on 127.0.0.1 alone is not
    /// reached, by the kernel, and what trusts 127.0.0.1 does not trust it: both addresses are loopback ones, but others
    /// ([`shadow`]).
    Mesh { from: Ipv4Addr, to: Ipv4Addr },
}

/// Connects, and carries bytes or datagrams until both sides have ended.
pub async fn dial(shared: &Shared, channel: Channel, way: Way, protocol: Protocol, port: u16) {
    let catcher = shared.catcher.get().filter(|catcher| catcher.tun().is_some());
    let carried = match protocol {
        Protocol::Tcp => match connect(catcher, way, port).await {
            Ok((mut stream, _seat)) => {
                channel.reply(Reply::Ready);
                carry(&channel, &mut stream).await
            }
            Err(fault) => return channel.reply(Reply::Failed(fault)),
        },
        Protocol::Udp => match bind(catcher, way, port).await {
            Ok(socket) => {
                channel.reply(Reply::Ready);
                exchange(&channel, &socket).await
            }
            Err(error) => {
                return channel.reply(Reply::Failed(failed(format_args!("dial udp port {port}"), &error)));
            }
        },
    };
    channel.end(match carried {
        Ok(()) => End::Done,
        Err(error) => End::Failed(failed(format_args!("port {port}"), &error)),
    });
}

impl Way {
    /// The addresses that a process may listen on, the likeliest first; the container's own only when it comes to them.
    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let local = match self {
            Self::Published => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            Self::Mesh { to, .. } => vec![IpAddr::V4(shadow(to))],
        };
        local.into_iter().chain(std::iter::once_with(own).flatten())
    }

    /// As [`Self::addresses`], in a network namespace of the container's own.
    fn addresses_inside(self, catcher: &Catcher) -> Vec<IpAddr> {
        match self {
            Self::Published => {
                let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                local.into_iter().chain(catcher.own().into_iter().map(IpAddr::V4)).collect()
            }
            Self::Mesh { to, .. } => vec![IpAddr::V4(to)],
        }
    }

    /// Where to connect from, to an address; none for wherever the kernel likes.
    fn source(self, to: IpAddr) -> Option<IpAddr> {
        match self {
            Self::Mesh { from, .. } if to.is_ipv4() => Some(IpAddr::V4(shadow(from))),
            _ => None,
        }
    }

    /// What it is when nobody answers.
    fn silence(self) -> FaultKind {
        match self {
            Self::Published => FaultKind::Refused,
            Self::Mesh { .. } => FaultKind::Internal,
        }
    }

    async fn connect(self, to: SocketAddr) -> io::Result<TcpStream> {
        let Some(source) = self.source(to.ip()) else { return TcpStream::connect(to).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(to).await
    }
}

/// The addresses of the agent's own place in the network; the container's too, unless that has a network namespace of its own.
pub fn own() -> BTreeSet<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let up = interfaces.filter(|interface| {
        interface.flags.contains(InterfaceFlags::IFF_UP)
            && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    });
    up.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        // An address of the link needs its interface, too, and nobody listens there.
        let v6 = || address.as_sockaddr_in6().map(|v6| v6.ip()).filter(|ip| !ip.is_unicast_link_local());
        v4.or_else(|| v6().map(IpAddr::V6))
    })
    .collect()
}

async fn connect(
    catcher: Option<&Rc<Catcher>>,
    way: Way,
    port: u16,
) -> Result<(TcpStream, Option<Seat>), Fault> {
    let mut first = None;
    let addresses = match catcher {
        Some(catcher) => way.addresses_inside(catcher),
        None => way.addresses().collect(),
    };
    for address in addresses {
        let to = SocketAddr::new(address, port);
        let connecting = async {
            match (catcher.and_then(|catcher| catcher.tun()), way, to) {
                (Some(tun), Way::Mesh { from, .. }, SocketAddr::V4(to)) => {
                    tun.connect(from, to).await.map(|(stream, seat)| (stream, Some(seat)))
                }
                (Some(tun), ..) => tun.connect_inside(to).await.map(|stream| (stream, None)),
                (None, ..) => way.connect(to).await.map(|stream| (stream, None)),
            }
        };
        let error = match timeout(tuning::CONNECT, connecting).await {
            Ok(Ok((stream, seat))) => {
                // What a client has sent at once shall arrive at once.
                let _ = stream.set_nodelay(true);
                return Ok((stream, seat));
            }
            Ok(Err(error)) => failed(format_args!("dial tcp {to}: connect"), &error),
            Err(_) => fault(way.silence(), format!("dial tcp {to}: i/o timeout")),
        };
        first.get_or_insert(error);
    }
    Err(first.unwrap_or_else(|| fault(FaultKind::Refused, format!("nobody listens on port {port}"))))
}

/// Both directions, each to its end.
async fn carry(channel: &Channel, stream: &mut TcpStream) -> io::Result<()> {
    let (from, into) = stream.split();
    let both = async { tokio::try_join!(outward(channel, from), inward(channel, into)).map(drop) };
    tokio::select! {
        biased;
        // First: what was broken off must not look like an end.
        () = channel.closed() => {}
        carried = both => return carried,
    }
    // The other side broke it off: so it is for the process. What cannot be set ends as if all were said.
    let _ = stream.set_zero_linger();
    Ok(())
}

async fn outward(channel: &Channel, mut from: tcp::ReadHalf<'_>) -> io::Result<()> {
    loop {
        // Not by `try_read`, which learns only by one more call that there is nothing more.
        let bytes = poll_fn(|context| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut from).poll_read(context, &mut buffer))?;
                Poll::Ready(io::Result::Ok(Bytes::copy_from_slice(buffer.filled())))
            })
        });
        let bytes = bytes.await?;
        if bytes.is_empty() {
            channel.finish(Output::Stdout);
            return Ok(());
        }
        if channel.write(Output::Stdout, bytes).await.is_err() {
            // Nobody reads what the process says; it may still listen.
            return Ok(());
        }
    }
}

async fn inward(channel: &Channel, mut into: tcp::WriteHalf<'_>) -> io::Result<()> {
    while let Some(bytes) = channel.read().await {
        if into.write_all(&bytes).await.is_err() {
            // The process hears no more; what it says still counts, and shows how it ended.
            channel.stop_input();
            return Ok(());
        }
    }
    // It may be gone already.
    let _ = into.shutdown().await;
    Ok(())
}

/// Datagrams to and from whoever has the port. A server that listens on all addresses answers from one of its choice: so a
/// socket for another container, which has an address of its own here, takes answers from any.
struct Exchange {
    socket: UdpSocket,
    to: SocketAddr,
    connected: bool,
    _seat: Option<Seat>,
}

/// A socket that talks to whoever has the port.
async fn bind(catcher: Option<&Rc<Catcher>>, way: Way, port: u16) -> io::Result<Exchange> {
    if let Some(tun) = catcher.and_then(|catcher| catcher.tun()) {
        return bind_inside(tun, way, port).await;
    }
    let to = match (listener(way, port), way) {
        (Some(to), _) => to,
        // Nobody yet, or nobody who may be reached.
        (None, Way::Mesh { to, .. }) => IpAddr::V4(shadow(to)),
        (None, Way::Published) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((way.source(to).unwrap_or(any), 0)).await?;
    let to = SocketAddr::new(to, port);
    let connected = matches!(way, Way::Published);
    if connected {
        socket.connect(to).await?;
    }
    Ok(Exchange { socket, to, connected, _seat: None })
}

/// As [`bind`], in a network namespace of the container's own.
async fn bind_inside(tun: &Tun, way: Way, port: u16) -> io::Result<Exchange> {
    match way {
        Way::Mesh { from, to } => {
            let (socket, seat) = tun.datagrams(from, SocketAddrV4::new(to, port))?;
            let to = seat.address().into();
            Ok(Exchange { socket, to, connected: false, _seat: Some(seat) })
        }
        Way::Published => {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let socket = tun.datagrams_inside(to.ip())?;
            socket.connect(to).await?;
            Ok(Exchange { socket, to, connected: true, _seat: None })
        }
    }
}

/// Where the port's owner receives datagrams. There is no other way to know: nothing refuses them.
fn listener(way: Way, port: u16) -> Option<IpAddr> {
    let mut bound = BTreeSet::new();
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        bound.extend(
            table
                .lines()
                .skip(1)
                .filter_map(local)
                .filter(|local| local.port() == port)
                .map(|local| local.ip()),
        );
    }
    let reaches = |address: &IpAddr| {
        let any = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        bound.contains(address) || bound.contains(&any)
    };
    way.addresses().find(reaches)
}

/// The local address in a line of `/proc/net/udp` or `tcp`: words of memory in hexadecimal digits, in the machine's order.
pub(super) fn local(line: &str) -> Option<SocketAddr> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(v4.into()),
        Err(_) => IpAddr::V6(<[u8; 16]>::try_from(bytes.as_slice()).ok()?.into()),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Datagrams both ways, until the daemon ends it.
async fn exchange(channel: &Channel, socket: &Exchange) -> io::Result<()> {
    tokio::select! {
        received = receive(channel, socket) => received,
        sent = send(channel, socket) => sent,
        () = channel.closed() => Ok(()),
    }
}

async fn receive(channel: &Channel, Exchange { socket, to, .. }: &Exchange) -> io::Result<()> {
    loop {
        socket.readable().await?;
        let received = BUFFER.with_borrow_mut(|buffer| {
            socket.try_recv_from(buffer).map(|(count, from)| {
                if from.port() != to.port() || from.ip() != to.ip() && !from.ip().is_loopback() {
                    return None;
                }
                let mut frame = BytesMut::with_capacity(2 + count);
                frame.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
                frame.put_slice(&buffer[..count]);
                Some(frame.freeze())
            })
        });
        match received {
            Ok(None) => {}
            Ok(Some(frame)) => {
                if channel.write(Output::Stdout, frame).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn send(channel: &Channel, Exchange { socket, to, connected, .. }: &Exchange) -> io::Result<()> {
    let mut waiting = BytesMut::new();
    while let Some(bytes) = channel.read().await {
        waiting.extend_from_slice(&bytes);
        while let Some(datagram) = next(&mut waiting) {
            let sent =
                if *connected { socket.send(&datagram).await } else { socket.send_to(&datagram, to).await };
            match sent {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The next whole datagram: its length (`u16`, big endian), then its bytes, as they go over the line.
pub(crate) fn next(waiting: &mut BytesMut) -> Option<Bytes> {
    let length = usize::from(u16::from_be_bytes([*waiting.first()?, *waiting.get(1)?]));
    if waiting.len() < 2 + length {
        return None;
    }
    waiting.advance(2);
    Some(waiting.split_to(length).freeze())
}

/// Datagrams get lost; the port may have an owner again in a moment.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, WouldBlock};
    matches!(error.kind(), ConnectionRefused | WouldBlock)
        || error.raw_os_error() == Some(nix::libc::EMSGSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_put_together_from_any_pieces() {
        let frames = [&[0, 3][..], b"abc", &[0, 0], &[0, 1], b"x", &[0, 2], b"h"].concat();
        for size in 1..frames.len() {
            let mut waiting = BytesMut::new();
            let mut datagrams = Vec::new();
            for piece in frames.chunks(size) {
                waiting.extend_from_slice(piece);
                datagrams.extend(std::iter::from_fn(|| next(&mut waiting)));
            }
            assert_eq!(datagrams, [&b"abc"[..], b"", b"x"], "{size}");
            assert_eq!(waiting.len(), 3);
        }
    }

    #[test]
    fn the_kernels_table_tells_addresses() {
        if cfg!(target_endian = "big") {
            return;
        }
        let line = |address: &str| local(&format!("  12: {address} 00000000:0000 07 0:0"));
        assert_eq!(line("0100007F:0035"), Some("127.0.0.1:53".parse().unwrap()));
        assert_eq!(line("00000000000000000000000001000000:1F90"), Some("[::1]:8080".parse().unwrap()));
        assert_eq!(line("x:1"), None);
        assert_eq!(local("  sl  local_address"), None);
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(Way::Published, port), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let mesh = Way::Mesh { from: Ipv4Addr::new(172, 18, 0, 2), to: Ipv4Addr::new(172, 18, 0, 3) };
        assert_eq!(listener(mesh, port), None, "nobody but the container itself");
        drop(socket);
        if let Ok(socket) = std::net::UdpSocket::bind("[::1]:0") {
            let port = socket.local_addr().unwrap().port();
            assert_eq!(listener(Way::Published, port), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        }
    }
}
