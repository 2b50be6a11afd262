//! Two streams as one.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::tuning;

thread_local! {
    /// Everything is read into this, one after the other: an idle connection costs no buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; tuning::PIECE].into());
}

/// Carries bytes both ways, each way to its own end. An error on either side is a reset of the other.
pub(crate) async fn splice(mut program: TcpStream, mut peer: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut out, mut back) = (Way::default(), Way::default());
    let carried: io::Result<()> = poll_fn(|context| {
        let out = out.poll(context, &mut program, &mut peer)?;
        let back = back.poll(context, &mut peer, &mut program)?;
        if out.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await;
    if carried.is_err() {
        // The program is to see a broken connection, not an end. One that is closed already sees nothing.
        let _ = rustix::net::sockopt::set_socket_linger(&program, Some(Duration::ZERO));
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Read, and not taken yet by the other side.
    rest: Vec<u8>,
    taken: usize,
    unflushed: bool,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Everything is read; the rest has to be written, and the end told.
    Ending,
    Ended,
}

impl Way {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        into: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        for _ in 0..tuning::SHARE {
            while self.taken < self.rest.len() {
                let count = ready!(Pin::new(&mut *into).poll_write(context, &self.rest[self.taken..]))?;
                self.taken += some(count)?;
                self.unflushed = true;
            }
            self.rest = Vec::new();
            self.taken = 0;
            match self.state {
                State::Open => {}
                State::Ending => {
                    ready!(Pin::new(&mut *into).poll_shutdown(context))?;
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
            match BUFFER.with_borrow_mut(|buffer| self.carry(context, from, into, buffer)) {
                Poll::Ready(carried) => carried?,
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *into).poll_flush(context))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        // Others have their turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads one piece and writes as much of it as the other side takes.
    fn carry(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        into: &mut (impl AsyncWrite + Unpin),
        buffer: &mut [u8],
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(from).poll_read(context, &mut buffer))?;
        let mut filled = buffer.filled();
        if filled.is_empty() {
            self.state = State::Ending;
        }
        while !filled.is_empty() {
            match Pin::new(&mut *into).poll_write(context, filled) {
                Poll::Ready(count) => {
                    filled = &filled[some(count?)?..];
                    self.unflushed = true;
                }
                Poll::Pending => {
                    self.rest = filled.to_vec();
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn some(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}
