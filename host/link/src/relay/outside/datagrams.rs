//! Datagrams: over the line each is its length (`u16`, big endian) and its bytes.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
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
        let mut frame = BytesMut::with_capacity(2 + tuning::DATAGRAM);
        frame.put_u16(0);
        match socket.try_recv_buf(&mut frame) {
            Ok(length) => {
                frame[..2].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
                // A copy: the buffer may be far larger.
                outside.send(Bytes::copy_from_slice(&frame));
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn send(outside: &Outside, socket: &UdpSocket) -> io::Result<()> {
    let mut waiting = BytesMut::new();
    while let Some(bytes) = outside.next().await {
        waiting.extend_from_slice(&bytes);
        while let Some(datagram) = next(&mut waiting) {
            match socket.send(&datagram).await {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
        outside.dealt_with(bytes.len());
    }
    Ok(())
}

fn next(waiting: &mut BytesMut) -> Option<Bytes> {
    let length = usize::from(u16::from_be_bytes([*waiting.first()?, *waiting.get(1)?]));
    if waiting.len() < 2 + length {
        return None;
    }
    waiting.advance(2);
    Some(waiting.split_to(length).freeze())
}

/// Datagrams get lost; somebody may have the port in a moment.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, WouldBlock};
    matches!(error.kind(), ConnectionRefused | WouldBlock)
}
