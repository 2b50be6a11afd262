//! What the agent knows, across connections.

mod take;

use std::{collections::VecDeque, os::fd::OwnedFd, rc::Rc, time::Instant};

use bytes::Bytes;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sockerless_agent_wire::{
    FromAgent, Hello, Inbox, Key, Launch, Outbox, Size, Turns, VERSIONS, limits,
    mesh::{Catching, MeshView},
    request::Health,
    streams,
};

use super::channels::Channels;
use crate::{process::terminal, say, tuning};

/// One of the process's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Stdout,
    Stderr,
}

/// Who has something to do after a message of the daemon.
#[derive(Debug, Default, Clone, Copy)]
pub struct Heard {
    /// Everybody may.
    pub all: bool,
    /// The line has something to send.
    pub to_send: bool,
}

/// Why the daemon does not want this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: String,
    /// It may in a while.
    pub again: bool,
}

/// See the module.
pub struct State {
    /// `<container id>.<generation>`.
    run: String,
    /// A hello is due on the connection that is there.
    pub greet: bool,
    /// The run that the daemon wants in place of this one.
    pub successor: Option<String>,
    /// The line is up.
    pub connected: bool,
    /// The daemon knows the secret: the ticket is used up.
    pub welcomed: bool,
    /// The daemon wants no more of this agent, for good.
    pub refused: Option<String>,
    /// The daemon knows the end.
    pub confirmed: bool,
    /// When the cloud sent its first SIGTERM.
    pub terminated: Option<Instant>,
    /// The process and all its descendants are gone.
    pub gone: bool,
    /// The terminal's size, as last asked for.
    pub size: Option<Size>,
    pub(super) stdout: Outbox,
    pub(super) stderr: Outbox,
    pub(super) stdin: Inbox,
    input: VecDeque<Bytes>,
    input_stopped: bool,
    pub(super) stop_due: bool,
    launch: Option<Box<Launch>>,
    /// A launch was taken.
    busy: bool,
    process: Option<Pid>,
    terminal: Option<OwnedFd>,
    pub(super) started: Option<u32>,
    pub(super) started_due: bool,
    /// The last message with output had much of it.
    pub(super) much: bool,
    pub(super) end: Option<FromAgent>,
    pub(super) end_due: bool,
    /// Came before there was a process.
    early: Vec<i32>,
    /// The daemon's last command that was carried out.
    pub(super) commands: u64,
    pub(super) commands_due: bool,
    /// Streams with something to be sent.
    pub(super) turns: Turns,
    pub(super) channels: Channels,
    pub(super) health: Option<Health>,
    pub(super) health_due: bool,
    /// Whom the container may reach, as last heard, and if it is news.
    pub view: Option<Rc<MeshView>>,
    pub(super) news: Option<Rc<MeshView>>,
    pub(super) catching: Option<Catching>,
    pub(super) catching_due: bool,
    /// The daemon knows of a mesh.
    pub(super) mesh: bool,
    /// The cloud wants the agent to go.
    leaving: bool,
    pub(super) leaving_due: bool,
    buffer: usize,
}

impl State {
    pub(super) fn new(run: String, buffer: usize) -> Self {
        Self {
            run,
            greet: false,
            successor: None,
            connected: false,
            welcomed: false,
            refused: None,
            confirmed: false,
            terminated: None,
            gone: false,
            size: None,
            stdout: Outbox::new(0),
            stderr: Outbox::new(0),
            stdin: Inbox::new(0, limits::INPUT_WINDOW),
            input: VecDeque::new(),
            input_stopped: false,
            stop_due: false,
            launch: None,
            busy: false,
            process: None,
            terminal: None,
            started: None,
            started_due: false,
            much: false,
            end: None,
            end_due: false,
            early: Vec::new(),
            commands: 0,
            commands_due: false,
            turns: Turns::default(),
            channels: Channels::default(),
            health: None,
            health_due: false,
            view: None,
            news: None,
            catching: None,
            catching_due: false,
            mesh: false,
            leaving: false,
            leaving_due: false,
            buffer,
        }
    }

    /// Another run takes the place of this one, of which nothing is kept.
    pub(super) fn renew(&mut self, run: String) {
        self.channels.clear();
        let next = Self::new(run, self.buffer);
        *self = Self {
            welcomed: self.welcomed,
            refused: self.refused.take(),
            terminated: self.terminated,
            greet: true,
            ..next
        };
    }

    /// The first message of a connection.
    pub fn hello(&mut self, ticket: &Key, secret: &Key) -> Hello {
        self.greet = false;
        let (session, channels) = self.channels.hello();
        Hello {
            versions: VERSIONS,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run.clone(),
            ticket: (!self.welcomed).then(|| ticket.clone()),
            secret: secret.clone(),
            idle: !self.busy && self.launch.is_none(),
            streams: vec![self.stdin.position(streams::STDIN)],
            commands: self.commands,
            session,
            channels,
        }
    }

    pub(super) fn take_launch(&mut self) -> Option<Box<Launch>> {
        let launch = self.launch.take()?;
        self.busy = true;
        Some(launch)
    }

    pub(super) fn started(&mut self, pid: u32, terminal: Option<OwnedFd>) {
        self.process = i32::try_from(pid).ok().map(Pid::from_raw);
        self.terminal = terminal;
        self.started = Some(pid);
        self.started_due = true;
        if let (Some(terminal), Some(size)) = (&self.terminal, self.size) {
            terminal::resize(terminal, size);
        }
        for signal in std::mem::take(&mut self.early) {
            self.signal(signal);
        }
    }

    /// Whether the process runs.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The process was collected: its number may soon be another's.
    pub fn collected(&mut self) {
        self.process = None;
        self.terminal = None;
    }

    pub(super) fn ended(&mut self, report: FromAgent) {
        self.end = Some(report);
        self.end_due = true;
        self.stop_input();
    }

    /// The cloud wants the agent to go: to be said.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.leaving_due = true;
    }

    /// Sends a signal to the process; before there is one, notes it.
    pub fn signal(&mut self, number: i32) {
        match (self.process, Signal::try_from(number)) {
            (_, Err(_)) => say!("signal {number} cannot be sent"),
            (Some(process), Ok(signal)) => {
                if let Err(error) = kill(process, signal) {
                    say!("{signal} could not be sent: {error}");
                }
            }
            (None, Ok(_))
                if self.started.is_none() && self.end.is_none() && !self.early.contains(&number) =>
            {
                self.early.push(number)
            }
            (None, Ok(_)) => {}
        }
    }

    /// Bounded beside the process: the streams that are up by themselves, all together while the line is down.
    pub(super) fn has_room(&self, output: Output) -> bool {
        let held = match output {
            Output::Stdout => self.stdout.held(),
            Output::Stderr => self.stderr.held(),
        };
        self.stdout.held() + self.stderr.held() < self.buffer && (!self.connected || held < tuning::CONNECTED)
    }

    pub(super) fn output(&mut self, output: Output, bytes: Bytes) {
        let (outbox, stream) = match output {
            Output::Stdout => (&mut self.stdout, streams::STDOUT),
            Output::Stderr => (&mut self.stderr, streams::STDERR),
        };
        outbox.push(bytes);
        if outbox.is_ready() {
            self.turns.add(stream);
        }
    }

    /// The process, or the agent, takes no more standard input.
    pub fn stop_input(&mut self) {
        self.input_stopped = true;
        self.stop_due = true;
        let waiting = self.input.drain(..).map(|bytes| bytes.len()).sum();
        self.stdin.consume(waiting);
    }

    /// Standard input that waits for the process; `Some(None)` at its end.
    pub fn next_input(&mut self) -> Option<Option<Bytes>> {
        match self.input.pop_front() {
            Some(bytes) => Some(Some(bytes)),
            None if self.input_stopped || self.stdin.is_finished() => Some(None),
            None => None,
        }
    }

    /// The process's pipe has taken this much.
    pub fn input_taken(&mut self, count: usize) {
        if !self.input_stopped {
            self.stdin.consume(count);
        }
    }
}
