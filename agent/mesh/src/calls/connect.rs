//! `connect` to a virtual address, or to a name server.

use std::{
    cell::{Cell, RefCell},
    net::{SocketAddr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd},
    pin::pin,
    rc::Rc,
    sync::Arc,
};

use rustix::io::Errno;
use tokio::{
    io::Interest,
    net::TcpStream,
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    Fabric, Refusal,
    addresses::{shadow, v4},
    caller::{Call, Kind, Socket},
    dns,
    kernel::watch,
    mesh::Inner,
    relay::{self, Hold},
    tuning,
};

/// A connection that is being made for a program's socket.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Who waits for it: a call that a signal interrupts comes again.
    waiting: RefCell<Option<Call>>,
    /// The program has heard that it is under way, and does not wait.
    released: Cell<bool>,
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Refused => Errno::CONNREFUSED,
            Refusal::Unreachable => Errno::HOSTUNREACH,
            Refusal::TimedOut => Errno::TIMEDOUT,
        }
    }
}

impl<F: Fabric> Inner<F> {
    pub(crate) async fn connect(self: Rc<Self>, call: Call, socket: i32, to: SocketAddr) {
        let Ok((socket, process)) = call.socket(socket) else { return };
        match socket.kind {
            Kind::Tcp => self.connect_stream(call, socket, process, to).await,
            Kind::Udp => self.connect_datagrams(call, &socket, to),
            Kind::Other => {}
        }
    }

    /// The container's own server behind one of its own addresses.
    pub(crate) fn own(&self, to: SocketAddr) -> Option<SocketAddr> {
        let ip = v4(to.ip()).filter(|ip| self.shared.addresses.is_here(*ip))?;
        Some((shadow(ip), to.port()).into())
    }

    /// A peer; what else is concerned is a name server.
    pub(crate) fn peer(&self, to: SocketAddr) -> Option<SocketAddrV4> {
        let ip = v4(to.ip()).filter(|ip| self.shared.addresses.is_virtual(*ip))?;
        Some(SocketAddrV4::new(ip, to.port()))
    }

    fn connect_datagrams(self: &Rc<Self>, call: Call, socket: &Socket, to: SocketAddr) {
        let connected = match self.own(to) {
            Some(own) => socket.connect(own),
            None => self.relay(to).and_then(|relay| socket.connect(relay.address())),
        };
        if connected.is_ok() {
            self.shared.table.insert_datagrams(socket.inode, Some(to));
        }
        call.answer(connected.map(|()| 0));
    }

    async fn connect_stream(self: Rc<Self>, call: Call, socket: Socket, process: OwnedFd, to: SocketAddr) {
        let inode = socket.inode;
        let table = &self.shared.table;
        if let Some(pending) = self.pending.borrow().get(&inode) {
            if socket.blocks() || !pending.released.get() {
                pending.waiting.replace(Some(call));
            } else {
                call.answer(Err(Errno::ALREADY));
            }
            return;
        }
        if table.tell(inode, call.signature()) {
            // The connection was made while the call was interrupted.
            if !call.answer(Ok(0)) {
                table.untell(inode);
            }
            return;
        }
        if socket.listens() || socket.peer().is_some() {
            return;
        }
        if let Some(own) = self.own(to) {
            let connected = connect_local(socket, own).await;
            call.answer(connected.map(|()| 0));
            return;
        }
        let pending = Rc::new(Pending { waiting: RefCell::new(Some(call)), released: Cell::new(false) });
        self.pending.borrow_mut().insert(inode, Rc::clone(&pending));
        let made = self.make(socket, process, to, &pending).await;
        self.pending.borrow_mut().remove(&inode);
        let Some(made) = made else { return };
        let waiting = pending.waiting.take();
        if let Some(call) = waiting {
            let told = made.is_ok() && table.tell(inode, call.signature());
            if !call.answer(made.map(|()| 0)) && told {
                table.untell(inode);
            }
        }
    }

    /// Makes a connection; `None` when nobody waits for it any more.
    async fn make(
        self: &Rc<Self>,
        socket: Socket,
        process: OwnedFd,
        to: SocketAddr,
        pending: &Pending,
    ) -> Option<Result<(), Errno>> {
        let Some(peer) = self.peer(to) else {
            return Some(self.join(socket, to).await.map(|stream| {
                let mesh = Rc::clone(self);
                let inode = stream.1;
                spawn_local(async move {
                    dns::serve_stream(&mesh.resolver, stream.0, to).await;
                    mesh.shared.table.end_stream(inode);
                });
            }));
        };
        let mut dial = pin!(timeout(tuning::DIAL, self.fabric.connect(peer)));
        let haste = if socket.blocks() { tuning::DIAL } else { tuning::HASTE };
        let dialled = tokio::select! {
            dialled = &mut dial => dialled,
            () = end(process) => return None,
            () = sleep(haste) => match Hold::begin(&socket) {
                Ok(hold) => {
                    pending.released.set(true);
                    if let Some(call) = pending.waiting.take() {
                        // One that is interrupted comes again, and hears that it is under way.
                        call.answer(Err(Errno::INPROGRESS));
                    }
                    if let Ok(Ok(stream)) = dial.await {
                        self.complete(hold, socket, stream, to).await;
                    }
                    return None;
                }
                // Then it waits.
                Err(_) => dial.await,
            },
        };
        let stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(refusal)) => return Some(Err(refusal.into())),
            Err(_) => return Some(Err(Errno::TIMEDOUT)),
        };
        let joined = self.join(socket, to).await;
        Some(joined.map(|(ours, inode)| self.carry(inode, ours, stream)))
    }

    fn carry(&self, inode: u64, ours: TcpStream, peer: F::Stream) {
        let shared = Arc::clone(&self.shared);
        spawn_local(async move {
            relay::splice(ours, peer).await;
            shared.table.end_stream(inode);
        });
    }

    /// Ends a connection's beginning that the program does not wait for.
    async fn complete(&self, hold: Hold, socket: Socket, stream: F::Stream, to: SocketAddr) {
        let inode = socket.inode;
        // The program may ask as soon as it is connected.
        self.shared.table.insert_stream(inode, to);
        match hold.complete().await {
            Ok(ours) => self.carry(inode, ours, stream),
            // The program is refused.
            Err(_) => self.shared.table.remove_stream(inode),
        }
    }

    /// Connects the program's socket to us.
    async fn join(&self, socket: Socket, to: SocketAddr) -> Result<(TcpStream, u64), Errno> {
        let inode = socket.inode;
        let ours = self.admission.admit(&socket).await?;
        self.shared.table.insert_stream(inode, to);
        // From here on the program's close is the socket's end.
        drop(socket);
        Ok((ours, inode))
    }
}

/// Connects to this machine; a socket that does not block hears how it goes from the kernel.
async fn connect_local(socket: Socket, to: SocketAddr) -> Result<(), Errno> {
    match socket.connect(to) {
        Err(Errno::INPROGRESS) if socket.blocks() => {}
        connected => return connected,
    }
    let watched = watch(socket.as_fd(), Interest::WRITABLE).map_err(errno)?;
    match timeout(tuning::DIAL, watched.writable()).await {
        Ok(ready) => ready.map_err(errno).and_then(|_| socket.error()),
        Err(_) => Err(Errno::TIMEDOUT),
    }
}

/// Waits until a thread, or its process, has ended.
async fn end(process: OwnedFd) {
    match watch(process.as_fd(), Interest::READABLE) {
        Ok(process) => {
            // Readable once and for all, or not to be watched any more.
            let _ = process.readable().await;
        }
        // Without it the dial's own time is the limit.
        Err(_) => std::future::pending().await,
    }
}

pub(crate) fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
