//! Connections to what the container's processes listen on: of other containers, and of clients of published ports.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    rc::Rc,
    task::{Poll, ready},
};

use bytes::Bytes;
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use sockerless_agent_wire::request::{End, Fault, FaultKind, Protocol, Reply};
use sockerless_mesh::{shadow, tun::Seat};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::{TcpSocket, TcpStream, tcp},
    time::timeout,
};

use super::{
    datagrams::{bind, exchange},
    fault::{failed, fault},
};
use crate::{
    mesh::Catcher,
    shared::{Channel, Output, Shared},
    tuning,
};

thread_local! {
    /// All connections are read into this, one after the other: an idle one costs no buffer.
    pub(super) static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; tuning::PIECE].into());
}

/// From another container's address, or a network's gateway, to the container's own. What listens on 127.0.0.1 alone is not
/// reached, by the kernel, and what trusts 127.0.0.1 does not trust it: both addresses are loopback ones, but others
/// ([`shadow`]).
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Who connects.
    pub from: Ipv4Addr,
    /// The container's own.
    pub to: Ipv4Addr,
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
    pub(super) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(IpAddr::V4(shadow(self.to))).chain(std::iter::once_with(own).flatten())
    }

    /// Where to connect from, to an address; none for wherever the kernel likes.
    pub(super) fn source(self, to: IpAddr) -> Option<IpAddr> {
        to.is_ipv4().then(|| IpAddr::V4(shadow(self.from)))
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
    // What is in a network namespace of its own is reached there alone.
    let tun = catcher.and_then(|catcher| catcher.tun());
    let inside = tun.map(|tun| (tun, SocketAddrV4::new(way.to, port)));
    let addresses = match inside {
        Some((_, to)) => vec![IpAddr::V4(*to.ip())],
        None => way.addresses().collect(),
    };
    let mut first = None;
    for address in addresses {
        let to = SocketAddr::new(address, port);
        let connecting = async {
            match inside {
                Some((tun, to)) => tun.connect(way.from, to).await.map(|(stream, seat)| (stream, Some(seat))),
                None => way.connect(to).await.map(|stream| (stream, None)),
            }
        };
        let error = match timeout(tuning::CONNECT, connecting).await {
            Ok(Ok((stream, seat))) => {
                // What a client has sent at once shall arrive at once.
                let _ = stream.set_nodelay(true);
                return Ok((stream, seat));
            }
            Ok(Err(error)) => failed(format_args!("dial tcp {to}: connect"), &error),
            Err(_) => fault(FaultKind::Internal, format!("dial tcp {to}: i/o timeout")),
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
