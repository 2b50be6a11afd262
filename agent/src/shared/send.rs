//! What goes into the next message to the daemon.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, FromAgent, limits, streams};

use super::State;
use crate::tuning;

impl State {
    /// Little is to be said, and the process is writing much, or more than the daemon acknowledges: better to say more at
    /// once, in a moment. What comes after a pause, such as the echo of a key, is never held up; nor are connections.
    pub fn may_gather(&self) -> bool {
        let due = self.started_due || self.health_due || self.catching_due || self.channels.has_due();
        if due || self.end.is_some() {
            return false;
        }
        let (mut waiting, mut under_way) = (0, 0);
        for stream in self.turns.iter() {
            let more = match stream {
                streams::STDOUT => Some((self.stdout.waiting(), self.stdout.under_way())),
                streams::STDERR => Some((self.stderr.waiting(), self.stderr.under_way())),
                _ => self.channels.in_bulk(stream),
            };
            let Some((more_waiting, more_under_way)) = more else { return false };
            waiting += more_waiting;
            under_way += more_under_way;
            if waiting >= tuning::WORTHWHILE {
                return false;
            }
        }
        waiting > 0 && (under_way > 0 || self.much)
    }

    /// Whether something waits to be said that may.
    pub fn has_later(&self) -> bool {
        self.channels.has_later()
    }

    /// Appends what is to be sent now to a message; with `all`, what may wait, too.
    pub fn send(&mut self, all: bool, message: &mut BytesMut) -> Result<(), FrameError> {
        if std::mem::take(&mut self.started_due)
            && let Some(pid) = self.started
        {
            Frame::control(&FromAgent::Started { pid })?.encode(message);
        }
        if std::mem::take(&mut self.commands_due) {
            Frame::Acknowledge { stream: streams::CONTROL, offset: self.commands, credit: 0 }.encode(message);
        }
        if let Some((offset, credit)) = self.stdin.acknowledgement() {
            Frame::Acknowledge { stream: streams::STDIN, offset, credit }.encode(message);
        }
        if std::mem::take(&mut self.stop_due) {
            Frame::Stop { stream: streams::STDIN }.encode(message);
        }
        if std::mem::take(&mut self.health_due)
            && let Some(health) = &self.health
        {
            Frame::control(&FromAgent::Health(health.clone()))?.encode(message);
        }
        if std::mem::take(&mut self.catching_due)
            && self.mesh
            && let Some(catching) = &self.catching
        {
            Frame::control(&FromAgent::Catching(catching.clone()))?.encode(message);
        }
        self.channels.send(tuning::SAID, message)?;
        let sent = self.send_streams(message)?;
        if sent > 0 {
            self.much = sent >= tuning::MUCH;
        }
        if self.end_due
            && self.stdout.is_empty()
            && self.stderr.is_empty()
            && let Some(end) = &self.end
        {
            Frame::control(end)?.encode(message);
            self.end_due = false;
        }
        if std::mem::take(&mut self.leaving_due) {
            Frame::control(&FromAgent::Leaving)?.encode(message);
        }
        // What goes along costs nothing.
        if all || !message.is_empty() {
            self.channels.send_later(message.len() + tuning::SAID, message);
        }
        Ok(())
    }

    /// Bytes of streams, each in its turn. Gives their number.
    fn send_streams(&mut self, message: &mut BytesMut) -> Result<usize, FrameError> {
        let before = message.len();
        while let left @ 1.. = limits::DATA.saturating_sub(message.len() - before)
            && let Some(stream) = self.turns.take()
        {
            // All get their share of a message when several have much.
            let most = if self.turns.is_empty() { left } else { left.min(tuning::SHARE) };
            let more = match stream {
                streams::STDOUT => Some(self.stdout.send(stream, most, message) && self.stdout.is_ready()),
                streams::STDERR => Some(self.stderr.send(stream, most, message) && self.stderr.is_ready()),
                _ => self.channels.send_stream(stream, most, message)?,
            };
            if more == Some(true) {
                self.turns.add(stream);
            }
        }
        Ok(message.len() - before)
    }
}
