//! Exchanges of datagrams: a socket on 127.0.0.1 stands for a peer's port, or for a name server.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::{AbortHandle, spawn_local},
    time::{Instant, sleep_until},
};

use crate::{Datagrams, Fabric, mesh::Inner, tuning, watch::Shared};

pub(crate) struct Relay {
    socket: Rc<UdpSocket>,
    address: SocketAddr,
    /// Who it stands for.
    to: SocketAddr,
    /// By the address of the program's socket.
    flows: Rc<RefCell<HashMap<SocketAddr, Flow>>>,
    used: Cell<Instant>,
    shared: Arc<Shared>,
    task: Cell<Option<AbortHandle>>,
}

#[derive(Clone)]
struct Flow {
    to_peer: mpsc::Sender<Bytes>,
    used: Rc<Cell<Instant>>,
}

impl Relay {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn in_use(&self) -> bool {
        !self.flows.borrow().is_empty() || self.used.get().elapsed() < tuning::FLOW
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.shared.table.remove_relay(self.address.port());
    }
}

impl<F: Fabric> Inner<F> {
    /// What stands for an address.
    pub(crate) fn relay(self: &Rc<Self>, to: SocketAddr) -> Result<Rc<Relay>, Errno> {
        if let Some(relay) = self.relays.borrow().get(&to) {
            relay.used.set(Instant::now());
            return Ok(Rc::clone(relay));
        }
        let open = || {
            let socket = super::open_udp()?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((UdpSocket::from_std(socket)?, address))
        };
        let (socket, address) =
            open().map_err(|error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let relay = Rc::new(Relay {
            socket: Rc::new(socket),
            address,
            to,
            flows: Rc::default(),
            used: Cell::new(Instant::now()),
            shared: Arc::clone(&self.shared),
            task: Cell::default(),
        });
        self.shared.table.insert_relay(address.port(), to);
        let task = spawn_local(receive(Rc::downgrade(self), Rc::downgrade(&relay), Rc::clone(&relay.socket)));
        relay.task.set(Some(task.abort_handle()));
        self.relays.borrow_mut().insert(to, Rc::clone(&relay));
        Ok(relay)
    }

    /// A datagram of a program's socket.
    pub(crate) fn outgoing(self: &Rc<Self>, relay: &Rc<Relay>, from: SocketAddr, data: Bytes) {
        let now = Instant::now();
        relay.used.set(now);
        let Some(peer) = self.peer(relay.to) else {
            let (mesh, socket, to) = (Rc::clone(self), Rc::clone(&relay.socket), relay.to);
            spawn_local(async move {
                if let Some(answer) = mesh.resolver.answer(&data, to).await {
                    // Who is gone needs no answer.
                    let _ = socket.send_to(&answer, from).await;
                }
            });
            return;
        };
        let flow = relay.flows.borrow().get(&from).cloned();
        if let Some(flow) = flow {
            flow.used.set(now);
            match flow.to_peer.try_send(data) {
                // Full is lost, as a network would.
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                // The peer's side has ended; the next one begins anew.
                Err(mpsc::error::TrySendError::Closed(_)) => drop(relay.flows.borrow_mut().remove(&from)),
            }
            return;
        }
        let Some(Datagrams { to_peer, from_peer }) = self.fabric.datagrams(peer) else { return };
        // The first of a new channel fits.
        let _ = to_peer.try_send(data);
        let flow = Flow { to_peer, used: Rc::new(Cell::new(now)) };
        relay.flows.borrow_mut().insert(from, flow.clone());
        let (flows, socket) = (Rc::clone(&relay.flows), Rc::clone(&relay.socket));
        spawn_local(async move {
            bring_back(&flow.used, from_peer, &socket, from).await;
            // Only its own: another may have begun since.
            flows.borrow_mut().retain(|key, known| *key != from || !Rc::ptr_eq(&known.used, &flow.used));
        });
    }
}

/// What programs send that are connected to the relay.
async fn receive<F: Fabric>(mesh: Weak<Inner<F>>, relay: Weak<Relay>, socket: Rc<UdpSocket>) {
    let mut buffer = Vec::new();
    loop {
        // Fails only with the runtime.
        if socket.readable().await.is_err() {
            return;
        }
        buffer.reserve(tuning::DATAGRAM);
        let received = socket.try_recv_buf_from(&mut buffer);
        let (Some(mesh), Some(relay)) = (mesh.upgrade(), relay.upgrade()) else { return };
        if let Ok((_, from)) = received {
            mesh.outgoing(&relay, from, Bytes::copy_from_slice(&buffer));
        }
        // An idle relay keeps no buffer.
        buffer = Vec::new();
    }
}

/// What the peer sends, until there has been nothing either way for a while.
async fn bring_back(
    used: &Cell<Instant>,
    mut from_peer: mpsc::Receiver<Bytes>,
    socket: &UdpSocket,
    program: SocketAddr,
) {
    loop {
        let end = used.get() + tuning::FLOW;
        tokio::select! {
            datagram = from_peer.recv() => {
                let Some(datagram) = datagram else { return };
                used.set(Instant::now());
                // A socket that is closed loses it.
                let _ = socket.send_to(&datagram, program).await;
            }
            () = sleep_until(end) => {
                if used.get() + tuning::FLOW <= Instant::now() {
                    return;
                }
            }
        }
    }
}
