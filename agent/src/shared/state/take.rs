//! What the daemon says.

use std::rc::Rc;

use sockerless_agent_wire::{Frame, FromDaemon, MESH, Outbox, Position, Resumed, Violation, streams};

use super::State;
use crate::{
    process::terminal,
    shared::{Heard, slot::Slot},
};

impl State {
    /// The daemon's answer: the line is up. Gives the execs that have lost their daemon.
    pub fn resume(
        &mut self,
        version: u32,
        positions: &[Position],
        session: u64,
        channels: &[Resumed],
    ) -> Result<Vec<Rc<Slot>>, Violation> {
        self.turns.clear();
        for Position { stream, offset, credit } in positions {
            self.outbox(*stream)?.resume(*offset, *credit)?;
            self.turns.add(*stream);
        }
        let orphans = self.channels.resume(session, channels, &mut self.turns)?;
        self.mesh = version >= MESH;
        self.channels.speak(self.mesh);
        self.catching_due = self.catching.is_some();
        self.connected = true;
        self.welcomed = true;
        self.started_due = self.started.is_some();
        self.end_due = self.end.is_some();
        self.stop_due = self.input_stopped;
        self.commands_due = false;
        self.health_due = self.health.is_some();
        self.leaving_due = self.leaving;
        Ok(orphans)
    }

    /// Takes a frame from the daemon.
    pub fn take(&mut self, frame: Frame, heard: &mut Heard) -> Result<(), Violation> {
        match frame {
            Frame::Data { stream, .. }
            | Frame::Finish { stream, .. }
            | Frame::Acknowledge { stream, .. }
            | Frame::Stop { stream }
                if stream > streams::STDERR =>
            {
                self.channels.take(frame, &mut self.turns)?;
                heard.to_send |= !self.turns.is_empty();
                return Ok(());
            }
            _ => heard.all = true,
        }
        match frame {
            Frame::Data { stream: streams::STDIN, offset, bytes } => {
                let new = self.stdin.accept(offset, bytes)?;
                if self.input_stopped {
                    self.stdin.consume(new.len());
                } else if !new.is_empty() {
                    self.input.push_back(new);
                }
            }
            Frame::Finish { stream: streams::STDIN, offset } => self.stdin.finish(offset)?,
            Frame::Acknowledge { stream: stream @ ..=streams::STDERR, offset, credit } => {
                let outbox = self.outbox(stream)?;
                outbox.acknowledge(offset, credit)?;
                if outbox.is_ready() {
                    self.turns.add(stream);
                }
            }
            Frame::Stop { stream: stream @ ..=streams::STDERR } => self.outbox(stream)?.stop(),
            Frame::Data { stream, .. }
            | Frame::Finish { stream, .. }
            | Frame::Acknowledge { stream, .. }
            | Frame::Stop { stream } => return Err(Violation::NoStream(stream)),
            Frame::Alive => {}
            Frame::Control(json) => match FromDaemon::parse(&json)? {
                FromDaemon::Launch(launch) if !self.busy => self.launch = Some(launch),
                FromDaemon::Launch(_) => {}
                FromDaemon::Signal { number, signal } => {
                    if number > self.commands {
                        self.commands = number;
                        self.signal(signal);
                    }
                    self.commands_due = true;
                }
                FromDaemon::Resize(size) => {
                    self.size = Some(size);
                    if let Some(terminal) = &self.terminal {
                        terminal::resize(terminal, size);
                    }
                }
                FromDaemon::Confirmed => self.confirmed = true,
                FromDaemon::Open { channel, request } => self.channels.ask(channel, *request)?,
                FromDaemon::Adopt { channel, exec } => {
                    self.channels.adopt(channel, &exec, &mut self.turns)?;
                }
                FromDaemon::Close { channel, known } => self.channels.forget(channel, known),
                FromDaemon::ResizeChannel { channel, size } => {
                    if let Some(slot) = self.channels.get(channel) {
                        slot.resize(size);
                    }
                }
                FromDaemon::Successor { run } => self.successor = Some(run),
                FromDaemon::Mesh(view) => {
                    let view = Rc::from(view);
                    self.news = Some(Rc::clone(&view));
                    self.view = Some(view);
                }
                FromDaemon::Connected { channel, outcome } => self.channels.connected(channel, outcome),
                FromDaemon::Disconnected { channel, reset } => self.channels.disconnected(channel, reset),
                FromDaemon::Welcome { .. } | FromDaemon::Refused { .. } => {
                    return Err(Violation::Unexpected("answer to a hello"));
                }
            },
        }
        Ok(())
    }

    fn outbox(&mut self, stream: u32) -> Result<&mut Outbox, Violation> {
        match stream {
            streams::STDOUT => Ok(&mut self.stdout),
            streams::STDERR => Ok(&mut self.stderr),
            other => Err(Violation::NoStream(other)),
        }
    }
}
