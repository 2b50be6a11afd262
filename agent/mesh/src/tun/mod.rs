//! The rung `tun`: the container's processes are in a network namespace of their own, whose one device leads to the agent.
//!
//! The namespace's own kernel does TCP. A packet that opens a connection waits until the agent has connected where it leads:
//! to a peer by the fabric, or outside (the internet, the cloud's metadata server) from where the agent is. Then the
//! connection is led to a listener of the agent's in the namespace ([`table`]); refused is refused. Datagrams are taken from
//! the packets themselves. What comes from peers is connected by sockets of the agent's in the namespace, and has the
//! peer's address.
//!
//! What differs from the rung `seccomp`: programs of any kind are caught, also those that make calls by `io_uring`, and nothing
//! that a program does is stopped. But all that leaves the container goes through the agent; there is no IPv6; `ping` gets
//! no answer; and nobody can connect to the container but through the agent.

mod datagrams;
mod netlink;
mod packet;
mod space;
mod streams;
mod table;

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    rc::Rc,
};

use bytes::Bytes;
use rustix::net::SocketType;
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    sync::mpsc,
    task::{AbortHandle, spawn_local},
    time::sleep,
};

use crate::{Addresses, Fabric, dns::Resolver, kernel, tuning};
use packet::{Header, TCP, UDP};
use space::{AGENT, Made, Space};
use streams::Arrivals;
use table::{Fate, Flow, Table};

pub use table::Seat;

/// The network namespace of one container, and what leads out of it and into it.
pub struct Tun {
    space: Rc<Space>,
    table: Rc<Table>,
    addresses: Addresses,
    tasks: [AbortHandle; 2],
}

/// What all packets need.
struct Inner<F> {
    fabric: Rc<F>,
    addresses: Addresses,
    resolver: Resolver<F>,
    table: Rc<Table>,
    device: AsyncFd<OwnedFd>,
    /// Of the agent, in the namespace.
    listener: SocketAddrV4,
    /// Connections that are about to come to it.
    arrivals: Arrivals,
    /// Exchanges of datagrams: the container's end, and the other.
    exchanges: RefCell<HashMap<(SocketAddrV4, SocketAddrV4), mpsc::Sender<Bytes>>>,
}

impl Tun {
    /// Makes the namespace. Once, within a `LocalSet`.
    ///
    /// # Errors
    /// Where it cannot be had, with what is missing.
    pub fn start<F: Fabric>(fabric: Rc<F>, addresses: Addresses) -> io::Result<Self> {
        let Made { space, device, listener } = Space::make()?;
        let here = match listener.local_addr()? {
            SocketAddr::V4(here) => here,
            SocketAddr::V6(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let listener = TcpListener::from_std(listener)?;
        let table = Rc::new(Table::default());
        let inner = Rc::new(Inner {
            resolver: Resolver::new(Rc::clone(&fabric), addresses.clone()),
            fabric,
            addresses: addresses.clone(),
            table: Rc::clone(&table),
            device: kernel::watch(device.as_fd(), Interest::READABLE)?,
            listener: here,
            arrivals: Arrivals::default(),
            exchanges: RefCell::default(),
        });
        let packets = spawn_local(Rc::clone(&inner).packets()).abort_handle();
        let accept = spawn_local(streams::accept(inner, listener)).abort_handle();
        let tun = Self { space: Rc::new(space), table, addresses, tasks: [packets, accept] };
        tun.replace()?;
        Ok(tun)
    }

    /// For a process that is to be in the namespace.
    ///
    /// # Errors
    /// Without descriptors.
    pub fn namespace(&self) -> io::Result<OwnedFd> {
        self.space.namespace()
    }

    /// The folder of the namespace's own `/proc/net`.
    #[must_use]
    pub fn tables(&self) -> PathBuf {
        self.space.tables.clone()
    }

    /// The networks have changed.
    ///
    /// # Errors
    /// Of the kernel, for addresses that it does not take.
    pub fn replace(&self) -> io::Result<()> {
        self.space.replace(self.addresses.all())
    }

    /// Connects to a port of the container's, for a peer.
    ///
    /// # Errors
    /// As of connect(2); nobody listens on 127.0.0.1 for others.
    pub async fn connect(&self, peer: Ipv4Addr, to: SocketAddrV4) -> io::Result<(TcpStream, Seat)> {
        let socket = self.space.socket(SocketType::STREAM, (AGENT, 0).into())?;
        let seat = self.sit(TCP, peer, to);
        let socket = TcpSocket::from_std_stream(socket.into());
        let stream = socket.connect(seat.address().into()).await?;
        Ok((stream, seat))
    }

    /// A socket for an exchange of datagrams with a port of the container's, for a peer: they go to the seat and come from it.
    ///
    /// # Errors
    /// Without descriptors.
    pub fn datagrams(&self, peer: Ipv4Addr, to: SocketAddrV4) -> io::Result<(UdpSocket, Seat)> {
        let socket = self.space.socket(SocketType::DGRAM, (AGENT, 0).into())?;
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
        Ok((socket, self.sit(UDP, peer, to)))
    }

    fn sit(&self, protocol: u8, peer: Ipv4Addr, to: SocketAddrV4) -> Seat {
        let flow = self.table.incoming(protocol, peer, to);
        Seat { flow, table: Rc::downgrade(&self.table), ended: rest }
    }
}

impl Drop for Tun {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Forgets a flow when its last packets are gone.
fn rest(table: Rc<Table>, flow: Rc<Flow>) {
    flow.over.set(true);
    spawn_local(async move {
        sleep(tuning::REST).await;
        table.remove(&flow);
    });
}

impl<F: Fabric> Inner<F> {
    /// Takes packets of the namespace for ever.
    async fn packets(self: Rc<Self>) {
        let mut buffer = vec![0; tuning::MTU as usize];
        loop {
            // Fails only with the runtime.
            let Ok(mut ready) = self.device.readable().await else { return };
            for _ in 0..tuning::PACKETS {
                match rustix::io::read(self.device.get_ref(), &mut buffer[..]) {
                    Ok(count) => self.packet(&mut buffer[..count]),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    // The device is gone.
                    Err(_) => return,
                }
            }
            drop(ready);
            tokio::task::yield_now().await;
        }
    }

    fn packet(self: &Rc<Self>, packet: &mut [u8]) {
        let Some(header) = Header::parse(packet) else { return };
        if header.opens {
            self.table.give_way(&header);
        }
        match self.table.fate(&header) {
            Fate::Redirect { from, to } => {
                header.redirect(packet, from, to);
                self.write(packet);
            }
            Fate::Wait => {}
            Fate::Unknown if *header.from.ip() == AGENT => {}
            Fate::Unknown if header.protocol == UDP => self.exchange(&header, packet),
            Fate::Unknown if header.opens => self.open(header, packet.to_vec()),
            // What is left of a connection that nobody knows any more.
            Fate::Unknown => {}
        }
    }

    /// Into the namespace. What it does not take is lost, and sent again by who needs it.
    fn write(&self, packet: &[u8]) {
        let _ = rustix::io::write(self.device.get_ref(), packet);
    }
}
