//! The rung `loopback`, the last of the ladder: for each port that a peer listens on, a listener on a loopback address that
//! stands for the peer.
//!
//! Nothing is caught: names lead here by `/etc/hosts`, which the agent writes with [`Loopback::seat`]. So only names work, only
//! TCP, and only ports that nothing of the container itself listens on: those are told of as clashes.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    net::{Ipv4Addr, SocketAddrV4},
    rc::Rc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, spawn_local},
    time::{sleep, timeout},
};

use crate::{Fabric, relay::splice, tuning};

/// The container's own place, as far as `/etc/hosts` is concerned.
pub const OWN_SEAT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// Listens for the peers.
pub struct Loopback {
    seats: RefCell<HashMap<Ipv4Addr, Ipv4Addr>>,
    peers: RefCell<HashMap<Ipv4Addr, Task>>,
    serve: Box<dyn Fn(Ipv4Addr, Ipv4Addr) -> Task>,
    clashes: watch::Sender<BTreeSet<SocketAddrV4>>,
}

impl Loopback {
    /// Begins without peers. Within a `LocalSet`.
    pub fn start<F: Fabric>(fabric: Rc<F>) -> Self {
        let clashes = watch::Sender::new(BTreeSet::new());
        let told = clashes.clone();
        let serve = move |peer, seat| {
            Task(spawn_local(serve(Rc::clone(&fabric), peer, seat, told.clone())).abort_handle())
        };
        Self { seats: RefCell::default(), peers: RefCell::default(), serve: Box::new(serve), clashes }
    }

    /// The address that stands for a peer; the same for as long as the agent lives.
    pub fn seat(&self, peer: Ipv4Addr) -> Ipv4Addr {
        let mut seats = self.seats.borrow_mut();
        // 127.0.1.2 and on; there are fewer peers than addresses of loopback.
        let next = u32::from(OWN_SEAT) + 1 + seats.len() as u32;
        *seats.entry(peer).or_insert_with(|| Ipv4Addr::from(next))
    }

    /// The peer that an address stands for.
    pub fn behind(&self, seat: Ipv4Addr) -> Option<Ipv4Addr> {
        self.seats.borrow().iter().find(|(_, known)| **known == seat).map(|(peer, _)| *peer)
    }

    /// From now on these are the peers. Connections that exist are left as they are.
    pub fn replace(&self, peers: &BTreeSet<Ipv4Addr>) {
        let mut served = self.peers.borrow_mut();
        served.retain(|peer, _| peers.contains(peer));
        for peer in peers {
            let seat = self.seat(*peer);
            served.entry(*peer).or_insert_with(|| (self.serve)(*peer, seat));
        }
        let seats: BTreeSet<Ipv4Addr> = peers.iter().map(|peer| self.seat(*peer)).collect();
        tell(&self.clashes, |clashes| clashes.retain(|clash| seats.contains(clash.ip())));
    }

    /// The ports of peers that cannot be reached, by the addresses that stand for them: the container itself listens there.
    pub fn clashes(&self) -> watch::Receiver<BTreeSet<SocketAddrV4>> {
        self.clashes.subscribe()
    }
}

/// A task that ends with this.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell(clashes: &watch::Sender<BTreeSet<SocketAddrV4>>, change: impl FnOnce(&mut BTreeSet<SocketAddrV4>)) {
    clashes.send_if_modified(|known| {
        let before = known.clone();
        change(known);
        *known != before
    });
}

/// Listens wherever the peer does.
async fn serve<F: Fabric>(
    fabric: Rc<F>,
    peer: Ipv4Addr,
    seat: Ipv4Addr,
    clashes: watch::Sender<BTreeSet<SocketAddrV4>>,
) {
    let mut listeners: HashMap<u16, Task> = HashMap::new();
    loop {
        let mut lists = fabric.ports(peer);
        while let Some(ports) = lists.recv().await {
            let ports: BTreeSet<u16> = ports.into_iter().filter(|port| *port != 0).collect();
            listeners.retain(|port, _| ports.contains(port));
            tell(&clashes, |known| {
                known.retain(|clash| *clash.ip() != seat || ports.contains(&clash.port()));
            });
            for port in ports {
                let to = SocketAddrV4::new(peer, port);
                let listen =
                    || listen(Rc::clone(&fabric), to, SocketAddrV4::new(seat, port), clashes.clone());
                listeners.entry(port).or_insert_with(|| Task(spawn_local(listen()).abort_handle()));
            }
        }
        // Its agent was away for a moment, or it is not there yet; its ports stay what they were.
        sleep(tuning::AGAIN_LOOPBACK).await;
    }
}

async fn listen<F: Fabric>(
    fabric: Rc<F>,
    to: SocketAddrV4,
    at: SocketAddrV4,
    clashes: watch::Sender<BTreeSet<SocketAddrV4>>,
) {
    let listener = loop {
        match TcpListener::bind(at).await {
            Ok(listener) => break listener,
            Err(_) => tell(&clashes, |known| known.extend([at])),
        }
        sleep(tuning::AGAIN_LOOPBACK).await;
    };
    tell(&clashes, |known| known.retain(|clash| *clash != at));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn_local(carry(Rc::clone(&fabric), stream, to))),
            // Out of descriptors, most likely.
            Err(_) => sleep(tuning::RETRY).await,
        }
    }
}

async fn carry<F: Fabric>(fabric: Rc<F>, program: TcpStream, to: SocketAddrV4) {
    let _ = program.set_nodelay(true);
    match timeout(tuning::DIAL, fabric.connect(to)).await {
        Ok(Ok(peer)) => splice(program, peer).await,
        // It is connected already: a reset is all that can be told.
        _ => drop(rustix::net::sockopt::set_socket_linger(&program, Some(Duration::ZERO))),
    }
}
