//! What a caller has of its request.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_agent_wire::Size;
use sockerless_ports::link::{
    Channel, LinkError, Output, TerminalSize,
    request::{End, Fault, FaultKind, Reply},
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::slot::{Bell, Opening, Slot};
use crate::run::{Run, State};

/// See [`Channel`].
struct Handle {
    run: Arc<Run>,
    number: u32,
    bell: Arc<Bell>,
    /// Keeps the writes of several callers apart.
    writing: AsyncMutex<()>,
}

/// Asks a run's agent for something; gives its reply.
pub async fn open(run: Arc<Run>, opening: Opening) -> Result<(Reply, Box<dyn Channel>), LinkError> {
    let opened = run.attempt(|state| state.channels.open(&opening).map(Ok)).await?;
    let (number, bell) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let fault =
                Fault { kind: FaultKind::Invalid, message: format!("the request is too long: {error}") };
            return Ok((Reply::Failed(fault.clone()), Box::new(Refused(fault))));
        }
    };
    let handle = Handle { run, number, bell, writing: AsyncMutex::new(()) };
    handle.run.to_send.notify_one();
    let reply = handle
        .attempt(&handle.bell.answer, |slot| match slot.reply.take() {
            Some(reply) => Some(Ok(reply)),
            None => slot.over.then_some(Err(LinkError::Closed)),
        })
        .await?;
    Ok((reply, Box::new(handle)))
}

impl Handle {
    /// Repeats an attempt until it gives something, whenever that place was notified.
    async fn attempt<T>(
        &self,
        place: &Notify,
        mut attempt: impl FnMut(&mut Slot) -> Option<Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        loop {
            let changed = place.notified();
            if self.run.gone.is_cancelled() {
                return Err(LinkError::Unknown);
            }
            match self.run.state().channels.get(self.number).map(&mut attempt) {
                Some(Some(result)) => return result,
                Some(None) => {}
                None => return Err(LinkError::Closed),
            }
            changed.await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State, u32)) {
        change(&mut self.run.state(), self.number);
        self.run.to_send.notify_one();
    }
}

#[async_trait]
impl Channel for Handle {
    async fn read(&self) -> Option<(Output, Bytes)> {
        let dealt_with = self.run.state().dealt_with(self.number);
        if dealt_with {
            self.run.to_send.notify_one();
        }
        self.attempt(&self.bell.bytes, |slot| slot.next().map(Ok)).await.ok().flatten()
    }

    async fn write(&self, mut bytes: Bytes) -> Result<(), LinkError> {
        let _alone = self.writing.lock().await;
        while !bytes.is_empty() {
            self.attempt(&self.bell.room, |slot| slot.put(&mut bytes)).await?;
            self.change(State::has_input);
        }
        Ok(())
    }

    fn finish(&self) {
        self.change(|state, number| {
            if let Some(slot) = state.channels.get(number) {
                slot.input.finish();
            }
            state.has_input(number);
        });
    }

    fn resize(&self, TerminalSize { columns, rows }: TerminalSize) {
        self.change(|state, number| state.channels.resize(number, Size { columns, rows }));
    }

    async fn end(&self) -> Result<End, LinkError> {
        self.attempt(&self.bell.answer, |slot| match slot.ended() {
            Some(end) => Some(Ok(end)),
            None => (slot.over && slot.end.is_none()).then_some(Err(LinkError::Closed)),
        })
        .await
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.change(|state, number| state.channels.close(number));
        // Somebody may wait for its place.
        self.run.room.notify_waiters();
    }
}

/// A request that never left this daemon.
struct Refused(Fault);

#[async_trait]
impl Channel for Refused {
    async fn read(&self) -> Option<(Output, Bytes)> {
        None
    }

    async fn write(&self, _: Bytes) -> Result<(), LinkError> {
        Err(LinkError::Closed)
    }

    fn finish(&self) {}

    fn resize(&self, _: TerminalSize) {}

    async fn end(&self) -> Result<End, LinkError> {
        Ok(End::Failed(self.0.clone()))
    }
}
