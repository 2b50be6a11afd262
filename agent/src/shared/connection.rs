//! A connection to another container or to the daemon, as its user has it.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use sockerless_agent_wire::{
    mesh::{Connected, Target},
    streams,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Shared,
    slot::{Inner, Slot},
};
use crate::tuning;

/// Bytes both ways, each direction with an end of its own. Dropping it before both have ended breaks it off; after that,
/// what is under way still arrives.
pub struct Connection {
    slot: Rc<Slot>,
    shared: Rc<Shared>,
    /// Taken from the slot, not read yet.
    rest: Bytes,
    /// All was read.
    read: bool,
}

impl Shared {
    /// Connects to another container, whenever the line is up; who does not want to wait for ever drops the future.
    pub async fn connect(self: &Rc<Self>, target: Target) -> Result<Connection, Connected> {
        self.open(Some(target)).await
    }

    /// Connects to the daemon's API in the same way.
    pub async fn connect_api(self: &Rc<Self>) -> Result<Connection, Connected> {
        self.open(None).await
    }

    async fn open(self: &Rc<Self>, target: Option<Target>) -> Result<Connection, Connected> {
        // The container has as many as it can have.
        let slot = self.state().channels.connect(target).ok_or(Connected::TimedOut)?;
        self.to_send.notify_one();
        let connection =
            Connection { slot: Rc::clone(&slot), shared: Rc::clone(self), rest: Bytes::new(), read: false };
        loop {
            let changed = slot.room.notified();
            let outcome = match &slot.inner().own {
                Some(own) => own.outcome.or(own.gone.map(|_| Connected::Unreachable)),
                None => None,
            };
            match outcome {
                Some(Connected::Open { .. }) => return Ok(connection),
                Some(refused) => return Err(refused),
                None => changed.await,
            }
        }
    }
}

impl Connection {
    fn consume(&self, inner: &mut Inner, count: usize) {
        inner.input.consume(count);
        let Some(channel) = inner.channel else { return };
        let mut state = self.shared.state();
        let at_once = inner.input.is_pressing();
        if at_once {
            state.channels.say(channel);
        }
        // The line has to know that it must not sleep for long.
        if at_once || state.channels.later(channel) {
            self.shared.to_send.notify_one();
        }
    }

    fn send(&self, inner: &Inner) {
        if let Some(channel) = inner.channel
            && inner.outputs[0].is_ready()
        {
            self.shared.state().turns.add(streams::of(channel, streams::OUTPUT));
            self.shared.to_send.notify_one();
        }
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Whether it was broken off by the other side.
fn is_broken(inner: &Inner) -> bool {
    inner.own.as_ref().is_none_or(|own| own.gone == Some(true))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let slot = Rc::clone(&self.slot);
        let mut inner = slot.inner();
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            if self.rest.is_empty() {
                match inner.queue.pop() {
                    Some(((), bytes)) => self.rest = bytes,
                    None => break,
                }
            }
            let count = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..count]);
            self.rest.advance(count);
        }
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.consume(&mut inner, count);
            return Poll::Ready(Ok(()));
        }
        if inner.input.is_finished() {
            self.read = true;
            return Poll::Ready(Ok(()));
        }
        if is_broken(&inner) {
            return Poll::Ready(Err(reset()));
        }
        slot.set_reader(context);
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.slot.inner();
        if is_broken(&inner) || inner.outputs[0].is_stopped() || inner.outputs[0].is_finished() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let held = inner.outputs[0].held();
        let crowded = self.slot.total.get() >= tuning::CHANNELS && held >= tuning::CHANNEL_LEAST;
        let room = inner.window.saturating_sub(held);
        if room == 0 || crowded {
            self.slot.set_writer(context);
            return Poll::Pending;
        }
        let count = room.min(bytes.len());
        inner.outputs[0].extend(&bytes[..count]);
        self.slot.count(&mut inner);
        self.send(&inner);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.slot.inner();
        inner.outputs[0].finish();
        self.send(&inner);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (channel, whole) = {
            let inner = self.slot.inner();
            let output = &inner.outputs[0];
            (inner.channel, self.read && (output.is_finished() || output.is_stopped()))
        };
        let Some(channel) = channel else { return };
        let mut state = self.shared.state();
        if whole {
            state.channels.leave_own(channel);
        } else {
            state.channels.hang_up(channel);
        }
        drop(state);
        self.shared.to_send.notify_one();
    }
}
