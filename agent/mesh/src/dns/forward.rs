//! Asking the name server that the program has asked, from outside of the filter.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    net::UdpSocket,
    time::{sleep, timeout},
};

use crate::tuning;

/// Asks by a datagram. `None` when there is no answer in time.
///
/// # Errors
/// When nobody listens there, or there is no way.
pub(super) async fn ask(query: &[u8], server: SocketAddr) -> io::Result<Option<Vec<u8>>> {
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
    timeout(tuning::FORWARD, answer).await.map_or(Ok(None), |answer| answer.map(Some))
}
