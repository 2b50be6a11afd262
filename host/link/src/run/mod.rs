//! One admitted run: what is known of it across connections.

mod commands;
mod incoming;
mod sight;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::relay;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use sockerless_ports::link::{Admission, AgentEvents, Digest, LinkError, RunId, TerminalSize};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

pub use incoming::Item;
pub use state::{State, Taken, Welcome};

/// An admitted run.
pub struct Run {
    pub id: RunId,
    pub ticket: Digest,
    pub events: Arc<dyn AgentEvents>,
    /// Hash of the agent's secret once it is bound. Locked while an agent proves itself, so that only one can be bound.
    pub bound: AsyncMutex<Option<Digest>>,
    /// The run before this one, until its agent has come: what proves that agent there proves it here, too.
    before: Mutex<Option<Arc<Run>>>,
    /// Held by the connection that sends and receives.
    pub socket: Arc<AsyncMutex<()>>,
    /// Held by the connection whose events are told; the next one waits until the last call has returned.
    pub turn: Arc<AsyncMutex<()>>,
    /// A call into the engine is under way that may itself wait for the agent.
    waits: watch::Sender<bool>,
    /// The run was dismissed.
    pub gone: CancellationToken,
    /// There is something to send.
    pub to_send: Notify,
    /// There is something to tell the engine.
    pub to_tell: Notify,
    /// A caller that waits may go on.
    pub room: Notify,
    state: Mutex<State>,
    /// Keeps the writes of several callers apart.
    writing: AsyncMutex<()>,
}

impl Run {
    pub fn new(admission: Admission, events: Arc<dyn AgentEvents>) -> Self {
        Self {
            id: admission.run,
            ticket: admission.ticket,
            events,
            bound: AsyncMutex::new(admission.secret),
            before: Mutex::default(),
            socket: Arc::default(),
            turn: Arc::default(),
            waits: watch::Sender::new(false),
            gone: CancellationToken::new(),
            to_send: Notify::new(),
            to_tell: Notify::new(),
            room: Notify::new(),
            state: Mutex::new(State::default()),
            writing: AsyncMutex::new(()),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent of that run is to do this one.
    pub fn follow(self, before: Option<Arc<Self>>) -> Self {
        Self { before: Mutex::new(before), ..self }
    }

    fn lock_before(&self) -> MutexGuard<'_, Option<Arc<Self>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run whose agent is to do this one.
    pub fn before(&self) -> Option<Arc<Self>> {
        self.lock_before().clone()
    }

    /// The same, when its agent has come.
    pub fn take_before(&self) -> Option<Arc<Self>> {
        self.lock_before().take()
    }

    /// Makes a call into the engine that may itself ask the agent for something: the next connection, over which the answer
    /// may have to come, does not wait for its end. The process writes nothing meanwhile.
    pub async fn waiting_for_agent<T>(&self, call: impl Future<Output = T>) -> T {
        struct Waits<'a>(&'a watch::Sender<bool>);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.send_replace(false);
            }
        }
        self.waits.send_replace(true);
        let _waits = Waits(&self.waits);
        call.await
    }

    /// Waits until all is told that came over the connections before, so that what the engine keeps is all that they brought.
    /// Gives the turn; while a call waits for the agent, a place in the queue for it.
    pub async fn told(&self) -> BoxFuture<'static, OwnedMutexGuard<()>> {
        let mut waits = self.waits.subscribe();
        let mut turn = Arc::clone(&self.turn).lock_owned().boxed();
        tokio::select! {
            biased;
            turn = &mut turn => std::future::ready(turn).boxed(),
            _ = waits.wait_for(|waits| *waits) => turn,
        }
    }

    /// The run was dismissed: nobody waits for anything any more.
    pub fn end(&self) {
        self.gone.cancel();
        self.room.notify_waiters();
        let (mut notes, mut connects) = (Vec::new(), Vec::new());
        {
            let mut state = self.state();
            state.channels.give_up();
            state.relay.give_up();
            state.relay.take_notes(&mut notes, &mut connects);
        }
        relay::deliver(notes);
    }

    /// Repeats an attempt until it gives something, whenever something has changed.
    pub async fn attempt<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Option<Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        loop {
            let changed = self.room.notified();
            if self.gone.is_cancelled() {
                return Err(LinkError::Unknown);
            }
            if let Some(result) = attempt(&mut self.state()) {
                return result;
            }
            changed.await;
        }
    }

    /// See `Link::write_stdin`.
    pub async fn write(&self, mut bytes: Bytes) -> Result<(), LinkError> {
        let _alone = self.writing.lock().await;
        while !bytes.is_empty() {
            self.attempt(|state| state.put(&mut bytes)).await?;
            self.to_send.notify_one();
        }
        Ok(())
    }

    /// See `Link::close_stdin`.
    pub async fn close(&self) -> Result<(), LinkError> {
        let _after_writes = self.writing.lock().await;
        self.state().close_stdin();
        self.to_send.notify_one();
        Ok(())
    }

    /// See `Link::signal`.
    pub async fn signal(&self, signal: i32) -> Result<(), LinkError> {
        self.attempt(|state| state.signal(signal)).await?;
        self.to_send.notify_one();
        Ok(())
    }

    /// See `Link::resize`.
    pub fn resize(&self, size: TerminalSize) -> Result<(), LinkError> {
        self.state().resize(size)?;
        self.to_send.notify_one();
        Ok(())
    }
}
