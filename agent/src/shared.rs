//! What the agent's tasks share. One thread: nothing is locked, nothing is held across an await.

mod channel;
mod channels;
mod connection;
mod send;
mod slot;
mod state;

use std::{
    cell::{OnceCell, RefCell, RefMut},
    path::PathBuf,
    rc::Rc,
    time::Instant,
};

use bytes::Bytes;
use sockerless_agent_wire::{
    FromAgent, Launch, Position, Resumed, Violation,
    mesh::{Catching, MeshView},
    request::{Health, Request},
};
use tokio::{sync::Notify, task::spawn_local, time::sleep};

use crate::{mesh::Catcher, process::children::Children, tuning};

pub use channel::Channel;
pub use connection::Connection;
pub use state::{Heard, Output, Refusal, State};

/// State, and the places where tasks wait for changes of it.
pub struct Shared {
    state: RefCell<State>,
    /// There may be something to send. One waits.
    pub to_send: Notify,
    /// There may be standard input for the process. One waits.
    pub to_input: Notify,
    /// The daemon may ask for something. One waits.
    to_work: Notify,
    /// Anything else has changed. Many wait.
    changed: Notify,
    /// The agent's children.
    pub children: Children,
    /// What catches the container's connections, once that was wanted.
    pub catcher: OnceCell<Rc<Catcher>>,
    /// Where `hosts` and `resolv.conf` are, if the agent writes them.
    pub etc: OnceCell<PathBuf>,
}

impl Shared {
    /// For a run; `buffer`: bytes of output kept while the line is down.
    pub fn new(run: String, buffer: usize) -> Rc<Self> {
        Rc::new(Self {
            state: RefCell::new(State::new(run, buffer)),
            to_send: Notify::new(),
            to_input: Notify::new(),
            to_work: Notify::new(),
            changed: Notify::new(),
            children: Children::default(),
            catcher: OnceCell::new(),
            etc: OnceCell::new(),
        })
    }

    /// The state; never to be held across an await.
    pub fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Waits until the state has what is asked for.
    pub async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            changed.await;
        }
    }

    /// Wakes whoever has something to do after a message of the daemon.
    pub fn heard(&self, heard: Heard) {
        if heard.all {
            self.notify();
        } else if heard.to_send {
            self.to_send.notify_one();
        }
    }

    /// How connections are caught.
    pub fn set_catching(&self, catching: Catching) {
        {
            let mut state = self.state();
            if state.catching.as_ref() == Some(&catching) {
                return;
            }
            state.catching = Some(catching);
            state.catching_due = true;
        }
        self.to_send.notify_one();
    }

    /// Waits until the daemon has said something new of the mesh.
    pub async fn mesh(&self) -> Rc<MeshView> {
        self.until(|state| state.news.take()).await
    }

    /// Wakes all who wait for a change.
    pub fn notify(&self) {
        self.changed.notify_waiters();
        self.to_input.notify_one();
        self.to_send.notify_one();
        self.to_work.notify_one();
    }

    /// What the daemon asks for next.
    pub async fn asked(self: &Rc<Self>) -> (Channel, Request) {
        loop {
            let more = self.to_work.notified();
            let next = self.state().channels.next();
            if let Some((slot, request)) = next {
                return (Channel::new(slot, Rc::clone(self)), request);
            }
            more.await;
        }
    }

    /// The daemon's answer to a hello: the line is up, and this version is spoken.
    pub fn resume(
        &self,
        version: u32,
        positions: &[Position],
        session: u64,
        channels: &[Resumed],
    ) -> Result<(), Violation> {
        for orphan in self.state().resume(version, positions, session, channels)? {
            spawn_local(async move {
                let attached = orphan.attached();
                sleep(tuning::ADOPTION).await;
                orphan.forsake(attached);
            });
        }
        Ok(())
    }

    /// Where the health check stands.
    pub fn set_health(&self, health: Health) {
        {
            let mut state = self.state();
            if state.health.as_ref() == Some(&health) {
                return;
            }
            state.health = Some(health);
            state.health_due = true;
        }
        self.to_send.notify_one();
    }

    /// Waits until the daemon has said what to start.
    pub async fn launch(&self) -> Box<Launch> {
        self.until(State::take_launch).await
    }

    /// The process runs.
    pub fn started(&self, pid: u32, terminal: Option<std::os::fd::OwnedFd>) {
        self.state().started(pid, terminal);
        self.notify();
    }

    /// There is no process any more, or there never was; to be reported when all output is acknowledged.
    pub fn ended(&self, report: FromAgent) {
        self.state().ended(report);
        self.notify();
    }

    /// Another run takes the place of this one.
    pub fn renew(&self, run: String) {
        self.state().renew(run);
        self.notify();
    }

    /// The cloud wants the agent to go.
    pub fn leaving(&self) {
        self.state().leave();
        self.to_send.notify_one();
    }

    /// Waits until an output may grow.
    pub async fn room(&self, output: Output) {
        self.until(|state| state.has_room(output).then_some(())).await;
    }

    /// Adds output.
    pub fn output(&self, output: Output, bytes: Bytes) {
        self.state().output(output, bytes);
        self.to_send.notify_one();
    }

    /// A signal from the cloud.
    pub fn cloud_sent(&self, signal: i32) {
        {
            let mut state = self.state();
            state.signal(signal);
            if signal == nix::libc::SIGTERM {
                state.terminated.get_or_insert_with(Instant::now);
            }
        }
        self.notify();
    }
}
