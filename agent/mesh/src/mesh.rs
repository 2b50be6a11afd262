//! The runtime's part: calls that take time, or the fabric.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
    sync::Arc,
};

use tokio::{
    sync::mpsc,
    task::{AbortHandle, spawn_local},
    time::sleep,
};

use crate::{
    Addresses, Fabric,
    caller::Call,
    calls::{Pending, Unheard},
    dns::Resolver,
    relay::{Admission, Relay},
    table::Table,
    tuning,
    watch::{Shared, Wanted, Watch},
};

/// The mesh of one container. Caught calls fail with `ENOSYS` once it is dropped; connections that exist go on.
#[derive(Debug)]
pub struct Mesh {
    watch: Watch,
    tasks: [AbortHandle; 2],
}

impl Mesh {
    /// Starts the thread that takes caught calls, and the tasks that answer them. Called once, within a `LocalSet`.
    ///
    /// # Errors
    /// When there is no thread, or no port on 127.0.0.1.
    pub fn start<F: Fabric>(fabric: Rc<F>, addresses: Addresses) -> io::Result<Self> {
        let resolver = Resolver::new(Rc::clone(&fabric), addresses.clone());
        let shared = Arc::new(Shared { addresses, table: Table::default() });
        let (hand, mut calls) = mpsc::unbounded_channel();
        let watch = Watch::start(Arc::clone(&shared), hand)?;
        let inner = Rc::new(Inner {
            fabric,
            shared,
            admission: Admission::open()?,
            relays: RefCell::default(),
            pending: RefCell::default(),
            unheard: Unheard::default(),
            resolver,
        });
        let sweep = spawn_local(sweep(Rc::downgrade(&inner))).abort_handle();
        let serve = spawn_local(async move {
            while let Some((call, wanted)) = calls.recv().await {
                spawn_local(inner.clone().handle(call, wanted));
            }
        });
        Ok(Self { watch, tasks: [sweep, serve.abort_handle()] })
    }

    /// Takes the calls that a filter catches, until the last process under it is gone.
    ///
    /// # Errors
    /// When the thread cannot be told.
    pub fn watch(&self, listener: OwnedFd) -> io::Result<()> {
        self.watch.add(listener)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub(crate) struct Inner<F> {
    pub(crate) fabric: Rc<F>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) admission: Admission,
    /// For each address that programs send datagrams to, what stands for it on this machine.
    pub(crate) relays: RefCell<HashMap<SocketAddr, Rc<Relay>>>,
    /// Connections under way, by the program's socket.
    pub(crate) pending: RefCell<HashMap<u64, Rc<Pending>>>,
    pub(crate) unheard: Unheard,
    pub(crate) resolver: Resolver<F>,
}

impl<F: Fabric> Inner<F> {
    async fn handle(self: Rc<Self>, call: Call, wanted: Wanted) {
        match wanted {
            Wanted::Connect(socket, to) => self.connect(call, socket, to).await,
            Wanted::Bind(socket, to) => self.bind(call, socket, to),
            Wanted::Send { socket, messages, flags } => self.send(call, socket, &messages, flags),
            Wanted::Receive { socket, from, flags } => self.receive(call, socket, from, flags).await,
        }
    }
}

/// Forgets sockets that are closed, and relays that nobody uses.
async fn sweep<F: Fabric>(inner: Weak<Inner<F>>) {
    loop {
        sleep(tuning::SWEEP).await;
        let Some(inner) = inner.upgrade() else { return };
        let connected = inner.shared.table.sweep();
        inner.relays.borrow_mut().retain(|to, relay| connected.contains(to) || relay.in_use());
    }
}
