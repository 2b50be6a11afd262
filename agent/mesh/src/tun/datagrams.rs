//! Datagrams of the container's processes.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    rc::Rc,
};

use bytes::Bytes;
use tokio::{net::UdpSocket, sync::mpsc, task::spawn_local, time::timeout};

use super::{Inner, packet};
use crate::{Datagrams, Fabric, dns, tuning};
use packet::Header;

impl<F: Fabric> Inner<F> {
    /// A datagram goes to a name server, a peer or outside.
    pub(super) fn exchange(self: &Rc<Self>, header: &Header, packet: &[u8]) {
        let (near, far) = (header.from, header.to);
        let Some(data) = header.data(packet).map(Bytes::copy_from_slice) else { return };
        if far.port() == dns::PORT {
            let inner = Rc::clone(self);
            spawn_local(async move {
                if let Some(answer) = inner.resolver.answer(&data, far.into()).await {
                    inner.bring(far, near, &answer);
                }
            });
            return;
        }
        if far.ip().is_multicast() || far.ip().is_broadcast() {
            return;
        }
        let known = self.exchanges.borrow().get(&(near, far)).cloned();
        if let Some(known) = known {
            match known.try_send(data) {
                // Full is lost, as a network would.
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                // It has just ended; the next one begins anew.
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    drop(self.exchanges.borrow_mut().remove(&(near, far)))
                }
            }
            return;
        }
        let (out, waiting) = mpsc::channel(tuning::WAITING_DATAGRAMS);
        // The first of a new channel fits.
        let _ = out.try_send(data);
        self.exchanges.borrow_mut().insert((near, far), out);
        let inner = Rc::clone(self);
        spawn_local(async move {
            if inner.addresses.is_virtual(*far.ip()) {
                if let Some(peer) = inner.fabric.datagrams(far) {
                    inner.with_peer(peer, waiting, near, far).await;
                }
            } else {
                // Nobody can be told.
                let _ = inner.with_outside(waiting, near, far).await;
            }
            inner.exchanges.borrow_mut().remove(&(near, far));
        });
    }

    /// Gives the container a datagram.
    fn bring(&self, from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
        if let Some(packet) = packet::datagram(from, to, data) {
            self.write(&packet);
        }
    }

    /// Until there has been nothing either way for a while.
    async fn with_peer(
        &self,
        mut peer: Datagrams,
        mut waiting: mpsc::Receiver<Bytes>,
        near: SocketAddrV4,
        far: SocketAddrV4,
    ) {
        let mut one = async || {
            tokio::select! {
                data = waiting.recv() => peer.to_peer.send(data?).await.ok(),
                data = peer.from_peer.recv() => {
                    self.bring(far, near, &data?);
                    Some(())
                }
            }
        };
        while let Ok(Some(())) = timeout(tuning::FLOW, one()).await {}
    }

    /// As [`Self::with_peer`].
    async fn with_outside(
        &self,
        mut waiting: mpsc::Receiver<Bytes>,
        near: SocketAddrV4,
        far: SocketAddrV4,
    ) -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(far).await?;
        let mut buffer = Vec::new();
        loop {
            let one = async {
                tokio::select! {
                    data = waiting.recv() => match data {
                        // Refused is a loss, as for who does not connect.
                        Some(data) => drop(socket.send(&data).await),
                        None => return Err(io::ErrorKind::BrokenPipe.into()),
                    },
                    ready = socket.readable() => {
                        ready?;
                        buffer.clear();
                        buffer.reserve(tuning::DATAGRAM);
                        if socket.try_recv_buf(&mut buffer).is_ok() {
                            self.bring(far, near, &buffer);
                        }
                        // An idle exchange keeps no buffer.
                        buffer = Vec::new();
                    }
                }
                io::Result::Ok(())
            };
            match timeout(tuning::FLOW, one).await {
                Ok(done) => done?,
                Err(_) => return Ok(()),
            }
        }
    }
}
