//! The listener that programs' sockets are connected to.

use std::{cell::RefCell, collections::HashMap, io, net::SocketAddr, rc::Rc};

use rustix::io::Errno;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::{AbortHandle, spawn_local},
    time::{Instant, sleep, timeout},
};

use crate::{caller::Socket, tuning};

#[derive(Debug)]
pub(crate) struct Admission {
    address: SocketAddr,
    /// So that the listener's queue is never full: a full one would take a second.
    places: Semaphore,
    arrivals: Rc<RefCell<Arrivals>>,
    task: AbortHandle,
}

/// Both sides of a meeting, by the program's local address: either may come first.
#[derive(Debug, Default)]
struct Arrivals {
    expected: HashMap<SocketAddr, oneshot::Sender<TcpStream>>,
    early: HashMap<SocketAddr, (TcpStream, Instant)>,
}

impl Admission {
    pub(crate) fn open() -> io::Result<Self> {
        let listener = super::open_tcp()?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let arrivals = Rc::<RefCell<Arrivals>>::default();
        let task = spawn_local(accept(listener, Rc::clone(&arrivals))).abort_handle();
        Ok(Self { address, places: Semaphore::new(tuning::ADMISSIONS), arrivals, task })
    }

    /// Connects a program's socket, and gives the other end.
    pub(crate) async fn admit(&self, socket: &Socket) -> Result<TcpStream, Errno> {
        let Ok(_place) = self.places.acquire().await else { return Err(Errno::CANCELED) };
        match socket.connect(self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let local = socket.local()?;
        let arrival = self.arrivals.borrow_mut().expect(local);
        let stream = match arrival {
            Ok(stream) => stream,
            Err(arrival) => match timeout(tuning::ADMIT, arrival).await {
                Ok(Ok(stream)) => stream,
                _ => {
                    self.arrivals.borrow_mut().expected.remove(&local);
                    return Err(Errno::TIMEDOUT);
                }
            },
        };
        // The kernel has told nobody yet that the connection is made, and would tell the program's next `connect`.
        let _ = socket.connect(self.address);
        // What a program writes in pieces shall not wait for an answer to the first.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Arrivals {
    fn expect(&mut self, local: SocketAddr) -> Result<TcpStream, oneshot::Receiver<TcpStream>> {
        if let Some((stream, _)) = self.early.remove(&local) {
            return Ok(stream);
        }
        let (announce, arrival) = oneshot::channel();
        self.expected.insert(local, announce);
        Err(arrival)
    }

    fn arrive(&mut self, from: SocketAddr, stream: TcpStream) {
        let now = Instant::now();
        self.early.retain(|_, (_, at)| now.duration_since(*at) < tuning::STRAY);
        match self.expected.remove(&from) {
            // Given up meanwhile: closed.
            Some(announce) => drop(announce.send(stream)),
            None => drop(self.early.insert(from, (stream, now))),
        }
    }
}

async fn accept(listener: TcpListener, arrivals: Rc<RefCell<Arrivals>>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => arrivals.borrow_mut().arrive(from, stream),
            // Out of descriptors, most likely.
            Err(_) => sleep(tuning::RETRY).await,
        }
    }
}
