//! Connections of the container's processes.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{SocketAddr, SocketAddrV4},
    rc::Rc,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{Flow, Inner, packet, rest, table::Fate};
use crate::{
    Fabric, Refusal,
    dns::{self, serve_stream},
    relay::splice,
    tuning,
};
use packet::Header;

/// What is done with a connection once it is accepted, by the seat that it comes from.
pub(super) type Arrivals = RefCell<HashMap<SocketAddrV4, Box<dyn FnOnce(TcpStream)>>>;

/// Why there is no connection.
enum Failed {
    Refused,
    Unreachable,
    /// Nothing is said; the program gives up when it likes.
    Silent,
}

impl<F: Fabric> Inner<F> {
    /// A packet opens a connection: connects where it leads, and lets it go on.
    pub(super) fn open(self: &Rc<Self>, header: Header, opening: Vec<u8>) {
        let flow = self.table.outgoing(&header);
        let inner = Rc::clone(self);
        spawn_local(async move {
            match inner.reach(&flow, header.to).await {
                Ok(carry) => {
                    inner.arrivals.borrow_mut().insert(flow.seat, carry);
                    inner.table.meet(&flow, inner.listener);
                    inner.go_on(&header, opening);
                    // It may not want to any more.
                    sleep(tuning::ADMIT).await;
                    if inner.arrivals.borrow_mut().remove(&flow.seat).is_some() {
                        inner.table.remove(&flow);
                    }
                }
                Err(failed) => {
                    inner.table.remove(&flow);
                    let answer = match failed {
                        Failed::Refused => packet::reset(&header, &opening),
                        Failed::Unreachable => packet::unreachable(&header, &opening),
                        Failed::Silent => None,
                    };
                    if let Some(answer) = answer {
                        inner.write(&answer);
                    }
                }
            }
        });
    }

    fn go_on(&self, header: &Header, mut opening: Vec<u8>) {
        if let Fate::Redirect { from, to } = self.table.fate(header) {
            header.redirect(&mut opening, from, to);
            self.write(&opening);
        }
    }

    async fn reach(
        self: &Rc<Self>,
        flow: &Rc<Flow>,
        to: SocketAddrV4,
    ) -> Result<Box<dyn FnOnce(TcpStream)>, Failed> {
        let (inner, flow) = (Rc::clone(self), Rc::clone(flow));
        if to.port() == dns::PORT {
            return Ok(Box::new(move |program| {
                spawn_local(async move {
                    serve_stream(&inner.resolver, program, to.into()).await;
                    rest(Rc::clone(&inner.table), flow);
                });
            }));
        }
        if self.addresses.is_virtual(*to.ip()) {
            let peer = match timeout(tuning::DIAL, self.fabric.connect(to)).await {
                Ok(Ok(peer)) => peer,
                Ok(Err(Refusal::Refused)) => return Err(Failed::Refused),
                Ok(Err(Refusal::Unreachable)) => return Err(Failed::Unreachable),
                Ok(Err(Refusal::TimedOut)) | Err(_) => return Err(Failed::Silent),
            };
            return Ok(Box::new(move |program| {
                spawn_local(async move {
                    splice(program, peer).await;
                    rest(Rc::clone(&inner.table), flow);
                });
            }));
        }
        let outside = match timeout(tuning::DIAL, TcpStream::connect(to)).await {
            Ok(Ok(outside)) => outside,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(Failed::Silent),
        };
        let _ = outside.set_nodelay(true);
        Ok(Box::new(move |program| {
            spawn_local(async move {
                splice(program, outside).await;
                rest(Rc::clone(&inner.table), flow);
            });
        }))
    }
}

fn failed(error: &io::Error) -> Failed {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, PermissionDenied};
    match error.kind() {
        ConnectionRefused => Failed::Refused,
        HostUnreachable | NetworkUnreachable | PermissionDenied => Failed::Unreachable,
        _ => Failed::Silent,
    }
}

/// Takes the connections that are led to the agent.
pub(super) async fn accept<F: Fabric>(inner: Rc<Inner<F>>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, SocketAddr::V4(seat))) => {
                let _ = stream.set_nodelay(true);
                // One that nobody has announced is closed: a process of the container's has found the listener.
                let carry = inner.arrivals.borrow_mut().remove(&seat);
                if let Some(carry) = carry {
                    carry(stream);
                }
            }
            Ok(_) => {}
            // Out of descriptors, most likely.
            Err(_) => sleep(tuning::RETRY).await,
        }
    }
}
