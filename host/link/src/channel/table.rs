//! All requests of a run.

mod say;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use sockerless_agent_wire::{
    Frame, FrameError, Hello, Resumed, Size, Turns, Violation, limits,
    request::{End, Reply},
    streams,
};

use super::slot::{Bell, Opening, Slot};
use crate::tuning;

/// Something to say about a channel.
enum Due {
    /// What the agent is to do.
    Question(u32),
    Resize(u32),
    Close {
        channel: u32,
        known: bool,
    },
}

/// See the module.
pub struct Channels {
    /// Tells these channels apart from those of an earlier daemon.
    session: u64,
    open: BTreeMap<u32, Slot>,
    /// The number that was given out last, and the largest one.
    last: u32,
    newest: u32,
    due: VecDeque<Due>,
    /// Channels with something to acknowledge.
    acknowledge: Turns,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            // The standard library's own randomness: nobody gains by guessing it.
            session: RandomState::new().hash_one(()),
            open: BTreeMap::new(),
            last: 0,
            newest: 0,
            due: VecDeque::new(),
            acknowledge: Turns::default(),
        }
    }
}

impl Channels {
    /// Begins one, if there is a place for it; gives its number.
    pub fn open(&mut self, opening: &Opening) -> Option<Result<(u32, Arc<Bell>), FrameError>> {
        (self.open.len() < limits::CHANNELS).then(|| self.begin(opening))
    }

    fn begin(&mut self, opening: &Opening) -> Result<(u32, Arc<Bell>), FrameError> {
        let number = self.number();
        let slot = Slot::new(number, opening)?;
        self.last = number;
        self.newest = self.newest.max(number);
        let bell = Arc::clone(&slot.bell);
        self.open.insert(number, slot);
        self.due.push_back(Due::Question(number));
        Ok((number, bell))
    }

    /// The next number that is free.
    fn number(&self) -> u32 {
        let mut number = self.last;
        loop {
            number = if number >= tuning::RELAYED - 1 { 1 } else { number + 1 };
            if !self.open.contains_key(&number) {
                return number;
            }
        }
    }

    /// The caller wants no more of it.
    pub fn close(&mut self, channel: u32) {
        let Some(slot) = self.open.remove(&channel) else { return };
        if slot.asked {
            self.due.push_back(Due::Close { channel, known: slot.end.is_some() });
        }
    }

    /// The channel with this number.
    pub fn get(&mut self, channel: u32) -> Option<&mut Slot> {
        self.open.get_mut(&channel)
    }

    /// The caller has dealt with what it read.
    pub fn dealt_with(&mut self, channel: u32) {
        self.acknowledge.add(channel);
    }

    /// The terminal shall have another size.
    pub fn resize(&mut self, channel: u32, size: Size) {
        if let Some(slot) = self.open.get_mut(&channel) {
            slot.size = Some(size);
            self.due.push_back(Due::Resize(channel));
        }
    }

    /// What a hello says of channels of this session: where the agent stands in their inputs (offset, credit).
    pub fn known(&self, hello: &Hello) -> HashMap<u32, (u64, u32)> {
        let same = hello.session == Some(self.session);
        let channels = hello.channels.iter().filter(|_| same);
        channels.map(|(number, offset, credit)| (*number, (*offset, *credit))).collect()
    }

    /// A new connection. Gives session and channels for the welcome.
    pub fn resume(
        &mut self,
        known: &HashMap<u32, (u64, u32)>,
        turns: &mut Turns,
    ) -> Result<(u64, Vec<Resumed>), Violation> {
        self.due.clear();
        self.acknowledge.clear();
        let mut resumed = Vec::new();
        for (number, slot) in &mut self.open {
            let channel = *number;
            slot.asked = false;
            match known.get(number) {
                Some((offset, credit)) => {
                    slot.asked = true;
                    let outputs = slot.positions();
                    resumed.push(Resumed { channel, replied: slot.replied, outputs });
                    self.acknowledge.add(channel);
                    if outputs.is_some() {
                        slot.input.resume(*offset, *credit)?;
                        turns.add(streams::of(channel, streams::INPUT));
                    }
                }
                // The agent has another life behind it than this daemon knows.
                None if slot.replied => {
                    slot.over = true;
                    slot.bell.ring();
                    continue;
                }
                None => {
                    if !slot.adopted {
                        slot.input.resume(0, slot.credit)?;
                    }
                    self.due.push_back(Due::Question(channel));
                }
            }
            if slot.size.is_some() {
                self.due.push_back(Due::Resize(channel));
            }
        }
        Ok((self.session, resumed))
    }

    /// The channel of a stream; none for one that was closed, whose frames mean nothing any more.
    fn of(&mut self, stream: u32) -> Result<Option<(&mut Slot, u32)>, Violation> {
        let (channel, kind) = streams::split(stream);
        if channel > self.newest || kind == streams::CONTROL {
            return Err(Violation::NoStream(stream));
        }
        Ok(self.open.get_mut(&channel).map(|slot| (slot, kind)))
    }

    /// Takes a frame of a channel's stream from the agent.
    pub fn take(&mut self, frame: Frame, turns: &mut Turns) -> Result<(), Violation> {
        match frame {
            Frame::Data { stream, offset, bytes } => {
                let Some((slot, kind)) = self.of(stream)? else { return Ok(()) };
                let inbox = slot.output(kind).ok_or(Violation::NoStream(stream))?;
                let new = inbox.accept(offset, bytes)?;
                slot.take(kind, new);
                slot.bell.bytes.notify_waiters();
            }
            Frame::Finish { stream, offset } => {
                let Some((slot, kind)) = self.of(stream)? else { return Ok(()) };
                slot.output(kind).ok_or(Violation::NoStream(stream))?.finish(offset)?;
                slot.bell.bytes.notify_waiters();
                slot.bell.answer.notify_waiters();
            }
            Frame::Acknowledge { stream, offset, credit } => {
                let Some((slot, streams::INPUT)) = self.of(stream)? else { return Ok(()) };
                slot.input.acknowledge(offset, credit)?;
                if slot.input.is_ready() {
                    turns.add(stream);
                }
                slot.bell.room.notify_waiters();
            }
            Frame::Stop { stream } => {
                let Some((slot, streams::INPUT)) = self.of(stream)? else { return Ok(()) };
                slot.input.stop();
                slot.bell.room.notify_waiters();
            }
            Frame::Control(_) | Frame::Alive => {}
        }
        Ok(())
    }

    /// The agent has answered.
    pub fn opened(
        &mut self,
        channel: u32,
        reply: Reply,
        input: (u64, u32),
        outputs: [u64; 2],
        turns: &mut Turns,
    ) -> Result<(), Violation> {
        if let Some(slot) = self.open.get_mut(&channel) {
            slot.answer(reply, input, outputs)?;
            slot.bell.ring();
            if slot.input.is_ready() {
                turns.add(streams::of(channel, streams::INPUT));
            }
        }
        Ok(())
    }

    /// The agent has said how a channel ended.
    pub fn ended(&mut self, channel: u32, end: End) {
        if let Some(slot) = self.open.get_mut(&channel) {
            slot.end.get_or_insert(end);
            slot.bell.ring();
        }
    }

    /// Nothing comes any more on any channel.
    pub fn give_up(&mut self) {
        for slot in self.open.values_mut() {
            slot.over = true;
            slot.bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use sockerless_ports::link::request::Request;

    use super::*;

    #[test]
    fn numbers_are_used_again_when_all_were_used_and_only_so_many_at_once() {
        let mut channels = Channels::default();
        let mut open = || channels.open(&Opening::Request(Request::Sample)).map(|opened| opened.unwrap().0);
        assert_eq!((open(), open()), (Some(1), Some(2)));
        channels.last = tuning::RELAYED - 2;
        channels.close(1);
        let mut open = || channels.open(&Opening::Request(Request::Sample)).map(|opened| opened.unwrap().0);
        assert_eq!([open(), open(), open()], [Some(tuning::RELAYED - 1), Some(1), Some(3)]);
        for _ in 4..limits::CHANNELS {
            open().unwrap();
        }
        assert_eq!(open(), None);
        channels.close(2);
        assert!(channels.open(&Opening::Exec("e".to_owned())).is_some());
    }
}
