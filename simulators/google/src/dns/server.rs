//! The name server's listeners.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Dns;
use super::answer::answer;
use super::wire::{self, Message};
use crate::limits;

/// Answers by UDP and TCP on one port; ends when it is dropped.
pub struct NameServer {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl NameServer {
    /// Begins to answer on loopback.
    ///
    /// # Errors
    /// When no port is free for both.
    pub async fn start(dns: &Dns) -> io::Result<Self> {
        let (udp, tcp) = bind().await?;
        let address = tcp.local_addr()?;
        let mut serving = JoinSet::new();
        serving.spawn(datagrams(dns.clone(), udp));
        serving.spawn(connections(dns.clone(), tcp));
        Ok(Self { address, _serving: serving })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that is free for both.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::other("never tried");
    for _ in 0..limits::DNS_PORT_TRIES {
        let tcp = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn reply(dns: &Dns, message: &[u8], most: usize) -> Option<Vec<u8>> {
    match wire::read(message) {
        Message::Noise => None,
        Message::Refused(id, code) => Some(wire::refusal(id, code)),
        Message::Question(question) => Some(wire::write(&question, &answer(&dns.served(), &question), most)),
    }
}

async fn datagrams(dns: Dns, socket: UdpSocket) {
    let mut buffer = vec![0; limits::DNS_DATAGRAM_READ];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if let Some(reply) = reply(&dns, &buffer[..length], limits::DNS_DATAGRAM)
                    && let Err(error) = socket.send_to(&reply, from).await
                {
                    tracing::debug!(%error, "an answer by UDP");
                }
            }
            // An earlier answer met a closed port.
            Err(error) => tracing::debug!(%error, "UDP"),
        }
    }
}

async fn connections(dns: Dns, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(limits::DNS_CONNECTIONS));
    let mut serving = JoinSet::new();
    loop {
        // Never closed.
        let Ok(seat) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let dns = dns.clone();
                serving.spawn(async move {
                    if let Err(error) = converse(&dns, stream).await {
                        tracing::debug!(%error, "a connection to the name server");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the name server cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while serving.try_join_next().is_some() {}
    }
}

/// Questions one after the other, each with its length before it (RFC 1035, section 4.2.2).
async fn converse(dns: &Dns, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let question = tokio::time::timeout(limits::DNS_IDLE, async {
            let length = stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await?;
            io::Result::Ok(message)
        });
        let message = match question.await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            // It may come again.
            Err(_) => return Ok(()),
        };
        let Some(reply) = reply(dns, &message, usize::from(u16::MAX)) else { return Ok(()) };
        let mut framed = u16::try_from(reply.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        framed.extend(reply);
        stream.write_all(&framed).await?;
    }
}
