//! A bound port.

use std::{io, net::SocketAddr, sync::Arc};

use sockerless_ports::link::{RunId, request::Protocol};
use socket2::{Domain, Protocol as Transport, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::{Published, tcp, udp};
use crate::{Engine, tuning};

/// A port that is held, and listens.
pub(super) struct Socket {
    pub published: Published,
    listener: Listener,
}

enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    /// Binds and listens. Has to be called within the runtime. Errors: the kernel's.
    pub fn bind(published: Published) -> io::Result<Self> {
        let Published { protocol, address, host_port, .. } = published;
        let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let (kind, transport) = match protocol {
            Protocol::Tcp => (Type::STREAM, Transport::TCP),
            Protocol::Udp => (Type::DGRAM, Transport::UDP),
        };
        let socket = socket2::Socket::new(domain, kind, Some(transport))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        let place = SocketAddr::new(address, host_port).into();
        let listener = match protocol {
            Protocol::Tcp => {
                // Connections of an earlier run that are still dying must not hold the port.
                socket.set_reuse_address(true)?;
                socket.bind(&place)?;
                socket.listen(tuning::BACKLOG)?;
                Listener::Tcp(TcpListener::from_std(socket.into())?)
            }
            Protocol::Udp => {
                socket.bind(&place)?;
                Listener::Udp(UdpSocket::from_std(socket.into())?)
            }
        };
        Ok(Self { published, listener })
    }

    /// Lets the world in, until the future is dropped.
    pub async fn serve(self, engine: Arc<Engine>, run: RunId) {
        match self.listener {
            Listener::Tcp(listener) => tcp::serve(engine, run, self.published.port, listener).await,
            Listener::Udp(socket) => udp::serve(engine, run, self.published.port, socket).await,
        }
    }
}
