//! What goes into the next message to the agent.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, FromDaemon, Size, streams};
use sockerless_ports::link::TerminalSize;

use super::State;
use crate::{door::Rejection, relay::Halves, tuning};

impl State {
    /// Appends what is to be sent now to a message; with `all`, what may wait, too. True if it is the last.
    pub fn send(&mut self, all: bool, message: &mut BytesMut) -> Result<bool, FrameError> {
        if let Some(Rejection { reason, again }) = self.rejection.take() {
            Frame::control(&FromDaemon::Refused { reason, again })?.encode(message);
            return Ok(true);
        }
        // Before the launch: its process may connect at once.
        self.mesh.send(message)?;
        if let Some(launch) = self.launch.take() {
            Frame::control(&FromDaemon::Launch(launch))?.encode(message);
        }
        while let Some((number, signal)) = self.commands.next() {
            Frame::control(&FromDaemon::Signal { number, signal })?.encode(message);
        }
        if std::mem::take(&mut self.size_due)
            && let Some(TerminalSize { columns, rows }) = self.size
        {
            Frame::control(&FromDaemon::Resize(Size { columns, rows }))?.encode(message);
        }
        for (stream, inbox) in [(streams::STDOUT, &mut self.stdout), (streams::STDERR, &mut self.stderr)] {
            if let Some((offset, credit)) = inbox.acknowledgement() {
                Frame::Acknowledge { stream, offset, credit }.encode(message);
            }
        }
        if std::mem::take(&mut self.confirm) {
            Frame::control(&FromDaemon::Confirmed)?.encode(message);
        }
        if std::mem::take(&mut self.successor_due)
            && let Some(run) = self.successor.clone()
        {
            Frame::control(&FromDaemon::Successor { run })?.encode(message);
        }
        self.channels.send(message, &mut self.turns)?;
        self.send_streams(message)?;
        self.relay.send(all, message, &mut self.turns)?;
        Ok(false)
    }

    /// Bytes of streams, each in its turn.
    fn send_streams(&mut self, message: &mut BytesMut) -> Result<(), FrameError> {
        let before = message.len();
        while let left @ 1.. = tuning::INPUT.saturating_sub(message.len() - before)
            && let Some(stream) = self.turns.take()
        {
            // All get their share of a message when several have much.
            let most = if self.turns.is_empty() { left } else { left.min(tuning::SHARE) };
            let more = match (stream, &mut self.stdin) {
                (streams::STDIN, Some(stdin)) => stdin.send(stream, most, message) && stdin.is_ready(),
                (streams::STDIN, None) => false,
                _ if Halves::has(streams::split(stream).0) => {
                    self.relay.send_stream(stream, most, message)?
                }
                _ => self.channels.send_stream(stream, most, message),
            };
            if more {
                self.turns.add(stream);
            }
        }
        Ok(())
    }
}
