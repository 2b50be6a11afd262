//! The mutable part of a run.

mod send;

use bytes::Bytes;
use sockerless_agent_wire::{
    Frame, Frames, FromAgent, Hello, Inbox, Launch, Outbox, Position, Resumed, Turns, Violation, limits,
    request::{End, Health},
    streams,
};
use sockerless_ports::link::{Exit, LaunchFailure, LinkError, Output, TerminalSize};
use tokio_util::sync::CancellationToken;

use super::{
    commands::Commands,
    incoming::{Incoming, Item},
    sight::Sight,
};
use crate::{
    channel::{Channels, Slot},
    door::Rejection,
    relay::{Halves, Wanted, Word},
};

/// What is known of a run; connections come and go.
pub struct State {
    /// The line is up.
    pub connected: bool,
    /// Cuts the connection that is there, or is coming up.
    pub cut: CancellationToken,
    /// What waits to be told.
    pub incoming: Incoming,
    /// What the engine wants started, to be sent.
    pub launch: Option<Box<Launch>>,
    /// There was one since the connection began.
    pub launched: bool,
    /// The end is known to the engine; to be sent.
    pub confirm: bool,
    /// Requests under way.
    pub channels: Channels,
    /// Connections to and from other containers.
    pub relay: Halves,
    /// What the agent is told of the mesh, and how the connection stands to that.
    pub mesh: Sight,
    /// The newest state of the health check, to be told.
    health: Option<Health>,
    leaving: bool,
    /// Streams with something to be sent.
    turns: Turns,
    /// The run that the agent is to do next.
    successor: Option<String>,
    successor_due: bool,
    /// The agent has come for that.
    pub hello: Option<Box<Hello>>,
    /// To be sent as the last message.
    pub rejection: Option<Rejection>,
    stdin: Option<Outbox>,
    stdin_closed: bool,
    stdout: Inbox,
    stderr: Inbox,
    commands: Commands,
    size: Option<TerminalSize>,
    size_due: bool,
    started: bool,
    ended: bool,
    /// The engine has been told of the end.
    end_told: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            connected: false,
            cut: CancellationToken::new(),
            launched: false,
            incoming: Incoming::default(),
            launch: None,
            confirm: false,
            channels: Channels::default(),
            relay: Halves::default(),
            mesh: Sight::default(),
            health: None,
            leaving: false,
            turns: Turns::default(),
            successor: None,
            successor_due: false,
            hello: None,
            rejection: None,
            stdin: None,
            stdin_closed: false,
            stdout: Inbox::new(0, 0),
            stderr: Inbox::new(0, 0),
            commands: Commands::default(),
            size: None,
            size_due: false,
            started: false,
            ended: false,
            end_told: false,
        }
    }
}

/// What came of a message.
pub struct Taken {
    /// It was for other runs: nobody here has anything to do thereby.
    pub relayed: bool,
    /// The agent has come for the next run.
    pub succeeded: bool,
}

/// Where the daemon stands.
pub struct Welcome {
    pub streams: Vec<Position>,
    pub session: u64,
    pub channels: Vec<Resumed>,
}

impl State {
    /// A new connection begins where agent and engine stand. Gives what to welcome the agent with.
    pub fn resume(&mut self, hello: &Hello, version: u32, kept: [u64; 2]) -> Result<Welcome, Violation> {
        self.mesh.resume(version);
        self.launched = false;
        self.launch = None;
        self.confirm = false;
        self.rejection = None;
        self.stdout = Inbox::new(kept[0], limits::OUTPUT_WINDOW);
        self.stderr = Inbox::new(kept[1], limits::OUTPUT_WINDOW);
        self.commands.resume(hello.commands);
        self.size_due = self.size.is_some();
        self.successor_due = self.successor.is_some();
        self.turns.clear();
        if let Some(position) = hello.streams.iter().find(|position| position.stream == streams::STDIN) {
            let stdin = self.stdin.get_or_insert_with(|| Outbox::new(position.offset));
            stdin.resume(position.offset, position.credit)?;
            if self.stdin_closed {
                stdin.finish();
            }
            self.turns.add(streams::STDIN);
        }
        let streams = vec![self.stdout.position(streams::STDOUT), self.stderr.position(streams::STDERR)];
        let known = self.channels.known(hello);
        let (session, mut channels) = self.channels.resume(&known, &mut self.turns)?;
        self.relay.resume(&known, self.mesh.is_spoken(), &mut self.turns, &mut channels)?;
        Ok(Welcome { streams, session, channels })
    }

    /// Takes the frames of a message from the agent.
    pub fn take_all(&mut self, frames: Frames) -> Result<Taken, Violation> {
        let mut relayed = true;
        for frame in frames {
            relayed &= match frame? {
                frame @ (Frame::Data { stream, .. }
                | Frame::Finish { stream, .. }
                | Frame::Acknowledge { stream, .. }
                | Frame::Stop { stream })
                    if Halves::has(streams::split(stream).0) =>
                {
                    !self.relay.take(frame, &mut self.turns)?
                }
                frame => {
                    self.take(frame)?;
                    false
                }
            };
        }
        Ok(Taken { relayed, succeeded: self.hello.is_some() })
    }

    /// Takes a frame that is not of a connection between containers.
    fn take(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Data { stream: stream @ (streams::STDOUT | streams::STDERR), offset, bytes } => {
                let output = if stream == streams::STDOUT { Output::Stdout } else { Output::Stderr };
                let length = bytes.len() as u64;
                let new = self.inbox(output).accept(offset, bytes)?;
                if !new.is_empty() {
                    self.incoming.output(output, offset + length - new.len() as u64, new);
                }
                Ok(())
            }
            Frame::Acknowledge { stream: streams::CONTROL, offset, .. } => {
                self.commands.done(offset);
                Ok(())
            }
            Frame::Acknowledge { stream: streams::STDIN, offset, credit } => {
                let stdin = self.stdin.as_mut().ok_or(Violation::NoStream(streams::STDIN))?;
                stdin.acknowledge(offset, credit)?;
                self.turns.add(streams::STDIN);
                Ok(())
            }
            Frame::Stop { stream: streams::STDIN } => {
                self.stdin.as_mut().ok_or(Violation::NoStream(streams::STDIN))?.stop();
                Ok(())
            }
            Frame::Control(json) => self.hear(FromAgent::parse(&json)?),
            Frame::Alive => Ok(()),
            frame => self.channels.take(frame, &mut self.turns),
        }
    }

    fn hear(&mut self, message: FromAgent) -> Result<(), Violation> {
        match message {
            FromAgent::Hello(hello) if self.successor.is_some() => self.hello = Some(hello),
            FromAgent::Hello(_) => return Err(Violation::Unexpected("hello")),
            FromAgent::Started { pid } => {
                if !self.started {
                    self.started = true;
                    self.incoming.push(Item::Started(pid));
                }
            }
            FromAgent::Failed { code, message } => self.end(Item::Failed(LaunchFailure { code, message })),
            FromAgent::Exited { code, signal, out_of_memory, time } => {
                self.end(Item::Exited(Exit { code, signal, out_of_memory, time }));
            }
            FromAgent::Opened { channel, reply, .. } if Halves::has(channel) => {
                self.relay.answered(channel, reply);
            }
            FromAgent::Ended { channel, end } if Halves::has(channel) => {
                self.relay.ended(channel, end != End::Done);
            }
            FromAgent::Opened { channel, reply, input, outputs } => {
                self.channels.opened(channel, reply, input, outputs, &mut self.turns)?;
            }
            FromAgent::Ended { channel, end } => self.channels.ended(channel, end),
            FromAgent::Health(health) => {
                if self.health.replace(health).is_none() {
                    self.incoming.push(Item::Health);
                }
            }
            FromAgent::Connect { channel, target } if self.mesh.is_spoken() => {
                self.relay.connect(channel, Wanted::Container(target))?;
            }
            FromAgent::ConnectApi { channel } if self.mesh.is_spoken() => {
                self.relay.connect(channel, Wanted::Api)?;
            }
            FromAgent::HangUp { channel } => self.relay.hang_up(channel),
            FromAgent::Catching(catching) => self.incoming.push(Item::Catching(catching)),
            FromAgent::Connect { .. } | FromAgent::ConnectApi { .. } => {
                return Err(Violation::Unexpected("word of the mesh"));
            }
            FromAgent::Leaving => {
                if !std::mem::replace(&mut self.leaving, true) {
                    self.incoming.push(Item::Leaving);
                }
            }
        }
        Ok(())
    }

    /// Takes what another run has for a connection. Whether there is something to be sent thereby.
    pub fn overhear(&mut self, channel: u32, word: Word) -> bool {
        self.relay.overhear(channel, word, &mut self.turns)
    }

    fn end(&mut self, item: Item) {
        if !self.ended {
            self.ended = true;
            self.incoming.push(item);
        }
        // The confirmation was lost with an earlier connection.
        self.confirm = self.end_told;
    }

    /// The engine has been told of the end.
    pub fn end_told(&mut self) {
        self.end_told = true;
        self.confirm = true;
    }

    /// The state of the health check that is to be told.
    pub fn take_health(&mut self) -> Option<Health> {
        self.health.take()
    }

    /// The caller of a channel has dealt with what it read before. True if there is something to acknowledge.
    pub fn dealt_with(&mut self, channel: u32) -> bool {
        let dealt_with = self.channels.get(channel).is_some_and(Slot::dealt_with);
        if dealt_with {
            self.channels.dealt_with(channel);
        }
        dealt_with
    }

    /// A channel's input has grown, or is complete.
    pub fn has_input(&mut self, channel: u32) {
        self.turns.add(streams::of(channel, streams::INPUT));
    }

    /// The engine keeps the next `count` bytes.
    pub fn kept(&mut self, output: Output, count: usize) {
        self.inbox(output).consume(count);
    }

    fn inbox(&mut self, output: Output) -> &mut Inbox {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }

    /// The agent is to do that run next.
    pub fn succeed(&mut self, run: String) {
        self.successor = Some(run);
        self.successor_due = true;
    }

    /// Takes as much standard input as the agent gave credit for; none if that is nothing.
    pub fn put(&mut self, bytes: &mut Bytes) -> Option<Result<(), LinkError>> {
        if self.ended || self.stdin_closed {
            return Some(Err(LinkError::Closed));
        }
        let stdin = self.stdin.as_mut()?;
        if stdin.is_stopped() {
            return Some(Err(LinkError::Closed));
        }
        let room = stdin.credit().min(bytes.len());
        if room == 0 {
            return None;
        }
        stdin.push(bytes.split_to(room));
        self.turns.add(streams::STDIN);
        Some(Ok(()))
    }

    /// No more standard input.
    pub fn close_stdin(&mut self) {
        self.stdin_closed = true;
        if let Some(stdin) = &mut self.stdin {
            stdin.finish();
            self.turns.add(streams::STDIN);
        }
    }

    /// Queues a signal; none if there is no room.
    pub fn signal(&mut self, signal: i32) -> Option<Result<(), LinkError>> {
        if self.ended {
            return Some(Err(LinkError::Closed));
        }
        self.commands.push(signal).then_some(Ok(()))
    }

    /// Notes the terminal's size.
    pub fn resize(&mut self, size: TerminalSize) -> Result<(), LinkError> {
        if self.ended {
            return Err(LinkError::Closed);
        }
        self.size = Some(size);
        self.size_due = true;
        Ok(())
    }
}
