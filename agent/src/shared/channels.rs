//! All requests of the daemon.

mod own;
mod say;

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use sockerless_agent_wire::{
    Frame, Resumed, Turns, Violation,
    request::{Fault, FaultKind, Reply, Request},
    streams,
};

use self::own::Numbers;
use super::slot::Slot;
use crate::tuning;

/// See the module.
#[derive(Default)]
pub struct Channels {
    /// Those that the daemon knows, by number.
    open: HashMap<u32, Rc<Slot>>,
    /// Execs that nobody has at this moment, by id.
    left: HashMap<String, Rc<Slot>>,
    /// Those of them that have ended, the oldest first.
    ended: VecDeque<String>,
    /// Channels with something to be said about them: a reply, an end, an acknowledgement.
    due: Turns,
    /// Those with something to be acknowledged that may wait.
    later: Turns,
    /// What the daemon asks for, until somebody begins with it.
    asked: VecDeque<(Rc<Slot>, Request)>,
    /// Whose the channels are.
    session: Option<u64>,
    /// The largest number so far.
    newest: u32,
    /// What they hold, bytes.
    total: Rc<Cell<usize>>,
    /// Those that the agent has opened.
    own: Numbers,
}

impl Channels {
    /// What a hello says of them.
    pub fn hello(&mut self) -> (Option<u64>, Vec<(u32, u64, u32)>) {
        let positions = self.open.iter().map(|(number, slot)| {
            let position = slot.inner().input.position(streams::of(*number, streams::INPUT));
            (*number, position.offset, position.credit)
        });
        (self.session, positions.collect())
    }

    /// The daemon's answer to that. Gives the execs that have lost their daemon, and may find another one.
    pub fn resume(
        &mut self,
        session: u64,
        known: &[Resumed],
        turns: &mut Turns,
    ) -> Result<Vec<Rc<Slot>>, Violation> {
        self.due.clear();
        self.later.clear();
        let same = self.session == Some(session);
        let mut orphans = Vec::new();
        let mut before = std::mem::take(&mut self.open);
        if same {
            for resumed in known {
                match before.remove(&resumed.channel) {
                    Some(slot) => {
                        self.go_on(&slot, resumed, turns)?;
                        self.open.insert(resumed.channel, slot);
                    }
                    // Hung up since the hello.
                    None if Numbers::has(resumed.channel) => self.own.hung_up.push_back(resumed.channel),
                    None => return Err(Violation::Unexpected("channel")),
                }
            }
            for (channel, slot) in before {
                if Numbers::has(channel) {
                    self.ask_again(channel, slot);
                } else {
                    self.close(&slot, false);
                }
            }
        } else {
            self.newest = 0;
            for (channel, slot) in before {
                if Numbers::has(channel) {
                    self.ask_again(channel, slot);
                } else if slot.inner().exec.is_some() {
                    self.leave(&slot);
                    orphans.push(slot);
                } else {
                    self.close(&slot, false);
                }
            }
        }
        self.session = Some(session);
        Ok(orphans)
    }

    fn go_on(&mut self, slot: &Slot, resumed: &Resumed, turns: &mut Turns) -> Result<(), Violation> {
        let number = resumed.channel;
        let mut inner = slot.inner();
        inner.attach(number);
        inner.reply_due &= !resumed.replied;
        if let Some(positions) = resumed.outputs {
            for ((_, outbox), (offset, credit)) in inner.outputs().zip(positions) {
                outbox.resume(offset, credit)?;
            }
        }
        for (kind, outbox) in inner.outputs() {
            if outbox.is_ready() {
                turns.add(streams::of(number, kind));
            }
        }
        drop(inner);
        slot.wake();
        self.due.add(number);
        Ok(())
    }

    /// The daemon asks for something. It may ask twice where it does not know that it was heard.
    pub fn ask(&mut self, channel: u32, request: Request) -> Result<(), Violation> {
        self.number(channel)?;
        if !self.open.contains_key(&channel) {
            let slot = Slot::new(channel, &request, &self.total);
            self.open.insert(channel, Rc::clone(&slot));
            self.asked.push_back((slot, request));
        }
        Ok(())
    }

    /// The daemon asks for an exec that another one has left.
    pub fn adopt(&mut self, channel: u32, exec: &str, turns: &mut Turns) -> Result<(), Violation> {
        self.number(channel)?;
        if self.open.contains_key(&channel) {
            return Ok(());
        }
        let slot = self.left.remove(exec).unwrap_or_else(|| {
            // Nobody works on this one, it is its answer.
            let slot = Slot::new(channel, &Request::Processes, &self.total);
            slot.inner().reply = Some(Reply::Failed(Fault {
                kind: FaultKind::NotFound,
                message: format!("there is no exec {exec} in this container"),
            }));
            slot
        });
        self.ended.retain(|ended| ended != exec);
        let resumed = Resumed { channel, replied: false, outputs: None };
        self.go_on(&slot, &resumed, turns)?;
        self.open.insert(channel, slot);
        Ok(())
    }

    fn number(&mut self, channel: u32) -> Result<(), Violation> {
        if channel == 0 || Numbers::has(channel) {
            return Err(Violation::Unexpected("channel's number"));
        }
        self.newest = self.newest.max(channel);
        Ok(())
    }

    /// The daemon closes a channel; `known`: it knows how it ended.
    pub fn forget(&mut self, channel: u32, known: bool) {
        if let Some(slot) = self.open.remove(&channel) {
            self.close(&slot, known);
        }
    }

    fn close(&mut self, slot: &Rc<Slot>, known: bool) {
        let is_exec = slot.inner().exec.is_some();
        if is_exec && !known {
            {
                let mut inner = slot.inner();
                inner.forsake();
                slot.count(&mut inner);
                inner.input_over = true;
            }
            self.leave(slot);
        } else {
            let mut inner = slot.inner();
            inner.channel = None;
            inner.closed = true;
        }
        slot.wake();
    }

    /// Keeps an exec for who may ask for it.
    fn leave(&mut self, slot: &Rc<Slot>) {
        let (exec, over) = {
            let mut inner = slot.inner();
            inner.channel = None;
            (inner.exec.clone().unwrap_or_default(), inner.end.is_some())
        };
        self.left.insert(exec.clone(), Rc::clone(slot));
        if over {
            self.ended(&exec);
        }
    }

    /// An exec that nobody has is over; only so many of those are remembered.
    pub fn ended(&mut self, exec: &str) {
        self.ended.push_back(exec.to_owned());
        while self.ended.len() > tuning::REMEMBERED {
            if let Some(oldest) = self.ended.pop_front() {
                self.left.remove(&oldest);
            }
        }
    }

    /// There is something to be said about a channel.
    pub fn say(&mut self, channel: u32) {
        self.due.add(channel);
    }

    /// There is something to acknowledge on a channel, with what is said next. True if nobody waited for that.
    pub fn later(&mut self, channel: u32) -> bool {
        let before = self.later.is_empty();
        self.later.add(channel);
        before
    }

    /// Whether there is.
    pub fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    /// What the daemon asks for next.
    pub fn next(&mut self) -> Option<(Rc<Slot>, Request)> {
        self.asked.pop_front()
    }

    /// All end.
    pub fn clear(&mut self) {
        let all = std::mem::take(self);
        for slot in all.open.into_values().chain(all.left.into_values()) {
            let mut inner = slot.inner();
            inner.channel = None;
            inner.closed = true;
            if let Some(own) = &mut inner.own {
                own.gone = Some(true);
            }
            drop(inner);
            slot.wake();
        }
    }

    /// The channel of a stream; none for one that was closed, whose frames mean nothing any more.
    pub fn of(&self, stream: u32) -> Result<Option<(&Rc<Slot>, u32)>, Violation> {
        let (channel, kind) = streams::split(stream);
        if kind == streams::CONTROL || channel > self.newest && !Numbers::has(channel) {
            return Err(Violation::NoStream(stream));
        }
        Ok(self.open.get(&channel).map(|slot| (slot, kind)))
    }

    /// The channel with this number.
    pub fn get(&self, channel: u32) -> Option<&Rc<Slot>> {
        self.open.get(&channel)
    }

    /// Takes a frame of a channel's stream from the daemon.
    pub fn take(&mut self, frame: Frame, turns: &mut Turns) -> Result<(), Violation> {
        let stream = match &frame {
            Frame::Data { stream, .. }
            | Frame::Finish { stream, .. }
            | Frame::Acknowledge { stream, .. }
            | Frame::Stop { stream } => *stream,
            Frame::Control(_) | Frame::Alive => return Ok(()),
        };
        let Some((slot, kind)) = self.of(stream)? else { return Ok(()) };
        let mut inner = slot.inner();
        match (frame, kind) {
            (Frame::Data { offset, bytes, .. }, streams::INPUT) => {
                let new = inner.input.accept(offset, bytes)?;
                if inner.input_stopped {
                    inner.input.consume(new.len());
                } else {
                    inner.queue.push((), new);
                }
                slot.wake_reader();
            }
            (Frame::Finish { offset, .. }, streams::INPUT) => {
                inner.input.finish(offset)?;
                slot.wake_reader();
            }
            (Frame::Acknowledge { offset, credit, .. }, _) => {
                let outbox = inner.outputs().find(|(of, _)| *of == kind).map(|(_, outbox)| outbox);
                let outbox = outbox.ok_or(Violation::NoStream(stream))?;
                outbox.acknowledge(offset, credit)?;
                if outbox.is_ready() {
                    turns.add(stream);
                }
                slot.count(&mut inner);
                slot.wake_writer();
            }
            (Frame::Stop { .. }, _) => {
                let outbox = inner.outputs().find(|(of, _)| *of == kind).map(|(_, outbox)| outbox);
                outbox.ok_or(Violation::NoStream(stream))?.stop();
                slot.count(&mut inner);
                slot.wake_writer();
            }
            _ => return Err(Violation::NoStream(stream)),
        }
        Ok(())
    }
}
