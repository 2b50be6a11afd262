//! Which ports peers may reach.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::addresses::is_shadow;

/// What listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Whether somebody in this network namespace listens on a port for more than the container itself: on all addresses, one of an interface, or the
/// container's own virtual one, and not on 127.0.0.1 or ::1 alone.
///
/// Who connects to [`shadow`](crate::shadow) of the container's own address needs no such look: the kernel refuses what is not exposed.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub fn exposed(port: u16, protocol: Protocol) -> io::Result<bool> {
    let (name, state) = match protocol {
        Protocol::Tcp => ("tcp", LISTENS),
        Protocol::Udp => ("udp", UNCONNECTED),
    };
    for version in ["", "6"] {
        match fs::read_to_string(format!("/proc/net/{name}{version}")) {
            Ok(table) if any(&table, port, state) => return Ok(true),
            Ok(_) => {}
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !version.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// `TCP_LISTEN` and, for UDP, `TCP_CLOSE`, of the kernel's `tcp_states.h`.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

fn any(table: &str, port: u16, state: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next().and_then(local);
        let listens = words.nth(1) == Some(state);
        listens && local.is_some_and(|(ip, at)| at == port && !is_local(ip))
    })
}

/// An address in the kernel's words: each 32 bits in the machine's order.
fn local(word: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for group in address.as_bytes().chunks(8) {
        let group = u32::from_str_radix(std::str::from_utf8(group).ok()?, 16).ok()?;
        bytes.extend(group.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(v4) => Ipv4Addr::from(v4).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).ok()?).to_canonical(),
    };
    Some((ip, port))
}

fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback() && !is_shadow(v4),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn tcp(address: &str) -> (TcpListener, bool) {
        let listener = TcpListener::bind((address, 0)).expect("bound");
        let port = listener.local_addr().expect("bound").port();
        (listener, exposed(port, Protocol::Tcp).expect("readable"))
    }

    #[test]
    fn what_listens_on_localhost_alone_is_not_exposed() {
        assert!(!tcp("127.0.0.1").1);
        assert!(!tcp("127.1.2.3").1);
        assert!(tcp("0.0.0.0").1);
        // The shadow of 172.18.0.2.
        assert!(tcp("127.146.0.2").1);
        if TcpListener::bind(("::1", 0)).is_ok() {
            assert!(!tcp("::1").1);
            assert!(tcp("::").1);
        }
    }

    #[test]
    fn a_connection_is_no_listener_and_protocols_are_apart() {
        let (listener, _) = tcp("0.0.0.0");
        let port = listener.local_addr().expect("bound").port();
        assert!(
            !exposed(port, Protocol::Udp).expect("readable") || UdpSocket::bind(("0.0.0.0", port)).is_err()
        );
        let client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let own = client.local_addr().expect("bound").port();
        assert!(!exposed(own, Protocol::Tcp).expect("readable"));
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
        assert!(exposed(socket.local_addr().expect("bound").port(), Protocol::Udp).expect("readable"));
    }
}
