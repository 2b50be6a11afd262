//! Exchanges of datagrams with what the container's processes have a port for.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4},
    rc::Rc,
};

use bytes::BytesMut;
use sockerless_agent_wire::datagrams::{Datagrams, put};
use sockerless_mesh::{shadow, tun::Seat};
use tokio::net::UdpSocket;

use super::dial::{BUFFER, Way};
use crate::{
    mesh::Catcher,
    shared::{Channel, Output},
};

/// Datagrams to and from whoever has the port. A server that listens on all addresses answers from one of its choice: so the
/// socket, which has an address of its own here, takes answers from any.
pub(super) struct Exchange {
    socket: UdpSocket,
    to: SocketAddr,
    _seat: Option<Seat>,
}

/// A socket that talks to whoever has the port.
pub(super) async fn bind(catcher: Option<&Rc<Catcher>>, way: Way, port: u16) -> io::Result<Exchange> {
    if let Some(tun) = catcher.and_then(|catcher| catcher.tun()) {
        let (socket, seat) = tun.datagrams(way.from, SocketAddrV4::new(way.to, port))?;
        let to = seat.address().into();
        return Ok(Exchange { socket, to, _seat: Some(seat) });
    }
    // Nobody yet, or nobody who may be reached, is awaited where others would be.
    let to = listener(way, port).unwrap_or_else(|| IpAddr::V4(shadow(way.to)));
    let socket = UdpSocket::bind((way.source(to).unwrap_or(Ipv6Addr::UNSPECIFIED.into()), 0)).await?;
    Ok(Exchange { socket, to: SocketAddr::new(to, port), _seat: None })
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
pub(super) async fn exchange(channel: &Channel, socket: &Exchange) -> io::Result<()> {
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
                put(&mut frame, &buffer[..count]);
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

async fn send(channel: &Channel, Exchange { socket, to, .. }: &Exchange) -> io::Result<()> {
    let mut datagrams = Datagrams::default();
    while let Some(bytes) = channel.read().await {
        datagrams.push(&bytes);
        while let Some(datagram) = datagrams.next() {
            match socket.send_to(&datagram, to).await {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
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
    fn the_owner_of_a_port_is_found_unless_it_is_for_the_container_alone() {
        let way = Way { from: Ipv4Addr::new(172, 18, 0, 2), to: Ipv4Addr::new(172, 18, 0, 3) };
        for (at, expected) in [
            (Ipv4Addr::LOCALHOST, None),
            (shadow(way.to), Some(shadow(way.to))),
            (Ipv4Addr::UNSPECIFIED, Some(shadow(way.to))),
        ] {
            let socket = std::net::UdpSocket::bind((at, 0)).unwrap();
            let port = socket.local_addr().unwrap().port();
            assert_eq!(listener(way, port), expected.map(IpAddr::V4), "{at}");
        }
    }
}
