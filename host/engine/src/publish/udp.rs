//! Sessions of a published UDP port: a client's address is a session until nothing was said for a while.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use sockerless_ports::link::{
    Channel, RunId,
    datagrams::{self, Datagrams},
    request::Protocol,
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::tcp::dial;
use crate::{Engine, tuning};

/// Hands each datagram to its client's session. What is too much is dropped, as networks do.
pub(super) async fn serve(engine: Arc<Engine>, run: RunId, port: u16, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut sessions: HashMap<SocketAddr, mpsc::Sender<Bytes>> = HashMap::new();
    let mut buffer = vec![0; tuning::DATAGRAM];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // A client to whom an answer could not be delivered; nothing that concerns the others.
            Err(error) => {
                tracing::debug!(%run, port, %error, "a published port's socket");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let datagram = Bytes::copy_from_slice(&buffer[..length]);
        let datagram = match sessions.get(&client).map(|session| session.try_send(datagram.clone())) {
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => continue,
            Some(Err(mpsc::error::TrySendError::Closed(datagram))) => datagram,
            None => datagram,
        };
        sessions.retain(|_, session| !session.is_closed());
        if sessions.len() >= tuning::UDP_SESSIONS {
            continue;
        }
        let (sender, receiver) = mpsc::channel(tuning::UDP_QUEUE);
        // There is room: it is the first.
        let _ = sender.try_send(datagram);
        sessions.insert(client, sender);
        let session = Session { socket: Arc::clone(&socket), client, from_client: receiver };
        let (sharing, run) = (Arc::clone(&engine), run.clone());
        engine.spawn(async move {
            if let Some(channel) = dial(&sharing, &run, Protocol::Udp, port).await {
                session.carry(channel.as_ref()).await;
            }
        });
    }
}

struct Session {
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    from_client: mpsc::Receiver<Bytes>,
}

impl Session {
    /// Both ways until the channel or the port is closed, or nothing was said for a while.
    async fn carry(self, channel: &dyn Channel) {
        let Self { socket, client, from_client } = self;
        let heard = watch::Sender::new(Instant::now());
        tokio::select! {
            () = inward(channel, from_client, &heard) => {}
            () = outward(channel, &socket, client, &heard) => {}
            () = silence(heard.subscribe()) => {}
        }
    }
}

async fn inward(
    channel: &dyn Channel,
    mut from_client: mpsc::Receiver<Bytes>,
    heard: &watch::Sender<Instant>,
) {
    while let Some(datagram) = from_client.recv().await {
        heard.send_replace(Instant::now());
        let mut bytes = BytesMut::with_capacity(2 + datagram.len());
        datagrams::put(&mut bytes, &datagram);
        while bytes.len() < tuning::COPY
            && let Ok(more) = from_client.try_recv()
        {
            datagrams::put(&mut bytes, &more);
        }
        if channel.write(bytes.freeze()).await.is_err() {
            return;
        }
    }
}

async fn outward(
    channel: &dyn Channel,
    socket: &UdpSocket,
    client: SocketAddr,
    heard: &watch::Sender<Instant>,
) {
    let mut answers = Datagrams::default();
    while let Some((_, bytes)) = channel.read().await {
        heard.send_replace(Instant::now());
        answers.push(&bytes);
        while let Some(datagram) = answers.next() {
            // One that cannot be delivered is lost, as on any network.
            let _ = socket.send_to(&datagram, client).await;
        }
    }
}

/// Ends when nothing was heard for long enough.
async fn silence(heard: watch::Receiver<Instant>) {
    loop {
        let end = *heard.borrow() + tuning::UDP_IDLE;
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_when_nothing_was_heard_for_its_time() {
        let heard = watch::Sender::new(Instant::now());
        let begin = Instant::now();
        let speak = async {
            tokio::time::sleep(tuning::UDP_IDLE / 2).await;
            heard.send_replace(Instant::now());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = silence(heard.subscribe()) => {}
            () = speak => {}
        }
        assert_eq!(begin.elapsed().as_secs(), (tuning::UDP_IDLE * 3 / 2).as_secs());
    }
}
