//! What is said to an agent about the halves of its run, and their bytes.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, FromDaemon, Turns, streams};

use super::{Halves, half::Origin};
use crate::tuning;

impl Halves {
    /// Appends what is to be said, as far as the message goes; with `all`, what may wait, too.
    pub fn send(&mut self, all: bool, message: &mut BytesMut, turns: &mut Turns) -> Result<(), FrameError> {
        while message.len() < tuning::SAID
            && let Some(channel) = self.closed.pop_front()
        {
            Frame::control(&FromDaemon::Close { channel, known: true })?.encode(message);
        }
        while message.len() < tuning::SAID
            && let Some(channel) = self.due.take()
        {
            self.say(channel, message, turns)?;
        }
        self.acknowledge(message, false);
        // What goes along costs nothing.
        if all || !message.is_empty() {
            self.acknowledge(message, true);
        }
        Ok(())
    }

    /// Whether something waits to be said that may.
    pub fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    fn acknowledge(&mut self, message: &mut BytesMut, later: bool) {
        while message.len() < tuning::SAID {
            let turns = if later { &mut self.later } else { &mut self.acknowledge };
            let Some(channel) = turns.take() else { return };
            let Some(half) = self.get(channel) else { continue };
            if let Some((offset, credit)) = half.output.acknowledgement() {
                let stream = streams::of(channel, streams::OUTPUT);
                Frame::Acknowledge { stream, offset, credit }.encode(message);
            }
        }
    }

    fn say(&mut self, channel: u32, message: &mut BytesMut, turns: &mut Turns) -> Result<(), FrameError> {
        let Some(half) = self.get(channel) else { return Ok(()) };
        match &mut half.origin {
            Origin::Daemon { question, .. } => {
                if !half.known
                    && let Some(question) = question
                {
                    Frame::Control(question.clone()).encode(message);
                    half.known = true;
                }
            }
            Origin::Agent { outcome, outcome_due, .. } => {
                if std::mem::take(outcome_due)
                    && let Some(outcome) = *outcome
                {
                    Frame::control(&FromDaemon::Connected { channel, outcome })?.encode(message);
                }
            }
        }
        if half.is_ready() {
            turns.add(streams::of(channel, streams::INPUT));
        }
        if std::mem::take(&mut half.deaf_due) {
            Frame::Stop { stream: streams::of(channel, streams::OUTPUT) }.encode(message);
        }
        self.say_gone(channel, message)
    }

    /// Says that the other half is gone, after all that came before.
    fn say_gone(&mut self, channel: u32, message: &mut BytesMut) -> Result<(), FrameError> {
        let Some(half) = self.get(channel) else { return Ok(()) };
        if let Origin::Agent { gone: Some(reset), gone_due, .. } = &mut half.origin
            && (if *reset { half.input.waiting() == 0 } else { half.input.is_sent() })
            && std::mem::take(gone_due)
        {
            Frame::control(&FromDaemon::Disconnected { channel, reset: *reset })?.encode(message);
        }
        Ok(())
    }

    /// Appends the next bytes towards the agent. True if there are more.
    pub fn send_stream(
        &mut self,
        stream: u32,
        most: usize,
        message: &mut BytesMut,
    ) -> Result<bool, FrameError> {
        let (channel, _) = streams::split(stream);
        let Some(half) = self.get(channel).filter(|half| half.known) else { return Ok(false) };
        half.input.send(stream, most, message);
        let more = half.input.is_ready();
        self.say_gone(channel, message)?;
        Ok(more)
    }
}
