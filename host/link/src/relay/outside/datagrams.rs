//! Datagrams to the daemon's machine and back.

use std::io;

use bytes::BytesMut;
use rustix::io::Errno;
use sockerless_agent_wire::datagrams::{Datagrams, put};
use tokio::net::UdpSocket;

use super::Outside;
use crate::tuning;

/// Both ways, until the agent ends it.
pub async fn carry(outside: &Outside, socket: &UdpSocket) -> io::Result<()> {
    tokio::select! {
        received = receive(outside, socket) => received,
        sent = send(outside, socket) => sent,
    }
}

async fn receive(outside: &Outside, socket: &UdpSocket) -> io::Result<()> {
    while outside.room().await.is_some() {
        // Allocated for what came: an idle one costs nothing.
        socket.readable().await?;
        let mut datagram = BytesMut::with_capacity(tuning::DATAGRAM);
        match socket.try_recv_buf(&mut datagram) {
            Ok(length) => {
                // A copy: the buffer may be far larger.
                let mut frame = BytesMut::with_capacity(2 + length);
                put(&mut frame, &datagram);
                outside.send(frame.freeze());
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn send(outside: &Outside, socket: &UdpSocket) -> io::Result<()> {
    let mut datagrams = Datagrams::default();
    while let Some(bytes) = outside.next().await {
        datagrams.push(&bytes);
        while let Some(datagram) = datagrams.next() {
            match socket.send(&datagram).await {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
        outside.dealt_with(bytes.len());
    }
    Ok(())
}

/// Datagrams get lost, those that are too large for the way among them; somebody may have the port in a moment.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, WouldBlock};
    matches!(error.kind(), ConnectionRefused | WouldBlock)
        || error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}
