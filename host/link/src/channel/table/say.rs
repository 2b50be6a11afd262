//! What is said about channels, and their bytes.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, FromDaemon, Turns, streams};

use super::{Channels, Due};
use crate::tuning;

impl Channels {
    /// Appends what is to be said about channels, as far as the message goes. True if there is more.
    pub fn send(&mut self, message: &mut BytesMut, turns: &mut Turns) -> Result<bool, FrameError> {
        while message.len() < tuning::SAID
            && let Some(due) = self.due.pop_front()
        {
            self.say(due, message, turns)?;
        }
        while message.len() < tuning::SAID
            && let Some(channel) = self.acknowledge.take()
        {
            let Some(slot) = self.open.get_mut(&channel) else { continue };
            for (kind, offset, credit) in slot.acknowledgements() {
                let stream = streams::of(channel, kind);
                Frame::Acknowledge { stream, offset, credit }.encode(message);
            }
        }
        Ok(!self.due.is_empty() || !self.acknowledge.is_empty())
    }

    fn say(&mut self, due: Due, message: &mut BytesMut, turns: &mut Turns) -> Result<(), FrameError> {
        match due {
            Due::Question(channel) => {
                let Some(slot) = self.open.get_mut(&channel) else { return Ok(()) };
                if let Some(question) = &slot.question {
                    Frame::Control(question.clone()).encode(message);
                }
                slot.asked = true;
                if slot.input.is_ready() {
                    turns.add(streams::of(channel, streams::INPUT));
                }
            }
            Due::Resize(channel) => {
                if let Some(size) = self.open.get(&channel).and_then(|slot| slot.size) {
                    Frame::control(&FromDaemon::ResizeChannel { channel, size })?.encode(message);
                }
            }
            Due::Close { channel, known } => {
                Frame::control(&FromDaemon::Close { channel, known })?.encode(message);
            }
        }
        Ok(())
    }

    /// Appends the next bytes of a channel's input. True if there are more.
    pub fn send_stream(&mut self, stream: u32, most: usize, message: &mut BytesMut) -> bool {
        let (channel, _) = streams::split(stream);
        let Some(slot) = self.open.get_mut(&channel).filter(|slot| slot.asked) else { return false };
        slot.input.send(stream, most, message);
        slot.input.is_ready()
    }
}
