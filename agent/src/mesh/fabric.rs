//! The line as the way to other containers.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    rc::Rc,
};

use bytes::{Bytes, BytesMut};
use sockerless_agent_wire::{
    datagrams::{self, put},
    mesh::{Connected, PORTS, Target},
    request::Protocol,
};
use sockerless_mesh::{Datagrams, Fabric, Refusal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    task::spawn_local,
    time::timeout,
};

use super::Names;
use crate::{
    shared::{Connection, Shared},
    tuning,
};

/// See the module.
pub struct Line {
    shared: Rc<Shared>,
    names: Rc<Names>,
}

impl Line {
    /// With what the daemon says of names.
    pub fn new(shared: Rc<Shared>, names: Rc<Names>) -> Self {
        Self { shared, names }
    }
}

fn target(protocol: Protocol, to: SocketAddrV4) -> Target {
    Target { protocol, address: *to.ip(), port: to.port() }
}

impl Fabric for Line {
    type Stream = Connection;

    async fn connect(&self, to: SocketAddrV4) -> Result<Connection, Refusal> {
        self.shared.connect(target(Protocol::Tcp, to)).await.map_err(|outcome| match outcome {
            Connected::Refused => Refusal::Refused,
            Connected::TimedOut => Refusal::TimedOut,
            Connected::Unreachable | Connected::Open { .. } => Refusal::Unreachable,
        })
    }

    fn datagrams(&self, to: SocketAddrV4) -> Option<Datagrams> {
        if !self.names.has(*to.ip()) {
            return None;
        }
        let (to_peer, outward) = mpsc::channel(tuning::DATAGRAMS);
        let (inward, from_peer) = mpsc::channel(tuning::DATAGRAMS);
        let shared = Rc::clone(&self.shared);
        spawn_local(async move {
            let connecting = shared.connect(target(Protocol::Udp, to));
            // What is sent to nobody is lost, as UDP has it.
            let Ok(Ok(connection)) = timeout(tuning::CONNECT, connecting).await else { return };
            let (read, write) = tokio::io::split(connection);
            tokio::select! {
                () = send(outward, write) => {}
                () = receive(read, inward) => {}
            }
        });
        Some(Datagrams { to_peer, from_peer })
    }

    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        self.names.addresses(name)
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        self.names.of(address)
    }

    fn name_servers(&self, asked: SocketAddr) -> Vec<SocketAddr> {
        self.names.servers(asked.ip())
    }

    fn ports(&self, peer: Ipv4Addr) -> mpsc::Receiver<Vec<u16>> {
        let (tell, told) = mpsc::channel(1);
        let shared = Rc::clone(&self.shared);
        spawn_local(async move {
            let target = Target { protocol: Protocol::Tcp, address: peer, port: PORTS };
            let asking = async {
                let Ok(mut connection) = shared.connect(target).await else { return };
                let mut waiting = datagrams::Datagrams::default();
                while let Ok(1..) = connection.read_buf(waiting.buffer()).await {
                    while let Some(list) = waiting.next() {
                        let ports = list.chunks_exact(2).map(|port| u16::from_be_bytes([port[0], port[1]]));
                        if tell.send(ports.collect()).await.is_err() {
                            return;
                        }
                    }
                }
            };
            tokio::select! {
                () = asking => {}
                () = tell.closed() => {}
            }
        });
        told
    }
}

async fn send(mut from: mpsc::Receiver<Bytes>, mut into: WriteHalf<Connection>) {
    let mut frame = BytesMut::new();
    while let Some(datagram) = from.recv().await {
        put(&mut frame, &datagram);
        if into.write_all(&frame).await.is_err() {
            return;
        }
        frame.clear();
    }
}

async fn receive(mut from: ReadHalf<Connection>, into: mpsc::Sender<Bytes>) {
    let mut waiting = datagrams::Datagrams::default();
    while let Ok(1..) = from.read_buf(waiting.buffer()).await {
        while let Some(datagram) = waiting.next() {
            match into.try_send(datagram) {
                // Nobody has taken the ones before: lost, as UDP has it.
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}
