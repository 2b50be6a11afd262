//! Asking name servers, from outside of the mesh; one that is a container itself, through it.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UdpSocket},
    time::{sleep, timeout},
};

use super::Resolver;
use crate::{
    Datagrams, Fabric,
    addresses::{shadow, v4},
    tuning,
};

/// A connection to a name server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Where a name server is.
enum Place {
    Outside(SocketAddr),
    Peer(SocketAddrV4),
}

impl<F: Fabric> Resolver<F> {
    fn place(&self, server: SocketAddr) -> Place {
        match v4(server.ip()) {
            Some(ip) if self.addresses.is_own(ip) => Place::Outside((shadow(ip), server.port()).into()),
            Some(ip) if self.addresses.is_virtual(ip) => Place::Peer(SocketAddrV4::new(ip, server.port())),
            _ => Place::Outside(server),
        }
    }

    /// Asks by a datagram, one server after the other. `None` when there is no answer in time.
    ///
    /// # Errors
    /// When nobody listens there, or there is no way.
    pub(super) async fn ask(&self, query: &[u8], asked: SocketAddr) -> io::Result<Option<Vec<u8>>> {
        let mut servers = self.servers(asked).into_iter().peekable();
        let mut last = Ok(None);
        while let Some(server) = servers.next() {
            let patience = if servers.peek().is_some() { tuning::NEXT_SERVER } else { tuning::FORWARD };
            last = match self.place(server) {
                Place::Outside(server) => ask(query, server, patience).await,
                Place::Peer(peer) => match self.fabric.datagrams(peer) {
                    Some(peer) => Ok(ask_peer(query, peer, patience).await),
                    None => Err(io::ErrorKind::HostUnreachable.into()),
                },
            };
            if matches!(last, Ok(Some(_))) {
                break;
            }
        }
        last
    }

    /// Connects to the first server that takes it.
    ///
    /// # Errors
    /// When none does.
    pub(super) async fn connect(&self, asked: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let mut last = io::ErrorKind::HostUnreachable.into();
        for server in self.servers(asked) {
            let connected: io::Result<Box<dyn Stream>> = match self.place(server) {
                Place::Outside(server) => match timeout(tuning::FORWARD, TcpStream::connect(server)).await {
                    Ok(connected) => connected.map(|stream| Box::new(stream) as _),
                    Err(elapsed) => Err(elapsed.into()),
                },
                Place::Peer(peer) => match timeout(tuning::FORWARD, self.fabric.connect(peer)).await {
                    Ok(Ok(stream)) => Ok(Box::new(stream) as _),
                    Ok(Err(_)) => Err(io::ErrorKind::ConnectionRefused.into()),
                    Err(elapsed) => Err(elapsed.into()),
                },
            };
            match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn ask_peer(query: &[u8], mut peer: Datagrams, patience: Duration) -> Option<Vec<u8>> {
    // The first of a new channel fits.
    let _ = peer.to_peer.try_send(Bytes::copy_from_slice(query));
    let answer = async {
        loop {
            let answer = peer.from_peer.recv().await?;
            if answer.get(..2) == query.get(..2) {
                return Some(answer.to_vec());
            }
        }
    };
    timeout(patience, answer).await.ok().flatten()
}

async fn ask(query: &[u8], server: SocketAddr, patience: Duration) -> io::Result<Option<Vec<u8>>> {
    let any = if server.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    // A port of its own, and answers from this server alone.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let answer = async {
        let mut answer = Vec::new();
        loop {
            answer.clear();
            tokio::select! {
                ready = socket.readable() => ready?,
                // That nobody listens there makes nothing readable.
                () = sleep(tuning::REFUSED) => match socket.take_error()? {
                    Some(error) => return Err(error),
                    None => continue,
                },
            }
            answer.reserve(tuning::DATAGRAM);
            match socket.try_recv_buf(&mut answer) {
                Ok(_) if answer.get(..2) == query.get(..2) => return Ok(answer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    timeout(patience, answer).await.map_or(Ok(None), |answer| answer.map(Some))
}
