//! What goes into the next message to the daemon.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, limits, streams};

use super::State;
use crate::tuning;

impl State {
    /// Little is to be said, and the process is writing much, or more than the daemon acknowledges: better to say more at
    /// once, in a moment. What comes after a pause, such as the echo of a key, is never held up.
    pub fn may_gather(&self) -> bool {
        let waiting = self.stdout.waiting() + self.stderr.waiting();
        let under_way = self.stdout.under_way() + self.stderr.under_way();
        (1..tuning::WORTHWHILE).contains(&waiting)
            && (under_way > 0 || self.much)
            && !self.started_due
            && self.end.is_none()
    }

    /// Appends what is to be sent now to a message.
    pub fn send(&mut self, message: &mut BytesMut) -> Result<(), FrameError> {
        if std::mem::take(&mut self.started_due)
            && let Some(pid) = self.started
        {
            Frame::control(&sockerless_agent_wire::FromAgent::Started { pid })?.encode(message);
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
        // Both outputs get their share of a message when both have much.
        let before = message.len();
        self.stderr.send(streams::STDERR, limits::DATA / 2, message);
        let left = limits::DATA.saturating_sub(message.len() - before);
        self.stdout.send(streams::STDOUT, left, message);
        let sent = message.len() - before;
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
        Ok(())
    }
}
