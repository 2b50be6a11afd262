//! Channels that the agent opens.

use std::{collections::VecDeque, rc::Rc};

use bytes::BytesMut;
use sockerless_agent_wire::{
    Frame, FrameError, FromAgent, limits,
    mesh::{Connected, Target},
    streams,
};

use super::Channels;
use crate::shared::slot::{Own, Slot};

/// Their numbers.
#[derive(Default)]
pub(super) struct Numbers {
    /// The one that was taken last.
    last: u32,
    /// How many are open.
    count: usize,
    /// Those that the daemon is to forget.
    pub hung_up: VecDeque<u32>,
    /// Whether the daemon knows of a mesh; none before it was there.
    spoken: Option<bool>,
}

impl Numbers {
    /// Whether a channel is one of the agent's.
    pub fn has(channel: u32) -> bool {
        channel >= streams::OF_AGENT
    }
}

impl Channels {
    /// Opens one; none if there are too many.
    pub fn connect(&mut self, target: Option<Target>) -> Option<Rc<Slot>> {
        if self.own.count >= limits::CONNECTIONS {
            return None;
        }
        let channel = self.number_of_own();
        self.own.last = channel;
        self.own.count += 1;
        let slot = Slot::own(channel, target, &self.total);
        self.open.insert(channel, Rc::clone(&slot));
        self.due.add(channel);
        if self.own.spoken == Some(false) {
            self.refuse_own();
        }
        Some(slot)
    }

    /// A line is up to a daemon that knows of a mesh, or does not.
    pub fn speak(&mut self, mesh: bool) {
        self.own.spoken = Some(mesh);
        if !mesh {
            self.own.hung_up.clear();
            self.refuse_own();
        }
    }

    fn number_of_own(&self) -> u32 {
        let mut channel = self.own.last;
        loop {
            let next = (streams::OF_AGENT..streams::MOST).contains(&channel);
            channel = if next { channel + 1 } else { streams::OF_AGENT };
            if !self.open.contains_key(&channel) {
                return channel;
            }
        }
    }

    /// The daemon has answered. It may do so twice.
    pub fn connected(&mut self, channel: u32, outcome: Connected) {
        let Some(slot) = self.open.get(&channel) else { return };
        {
            let mut inner = slot.inner();
            let Some(own) = inner.own.as_mut().filter(|own| own.outcome.is_none()) else { return };
            own.outcome = Some(outcome);
            if let Connected::Open { credit } = outcome {
                inner.window = credit as usize;
                // Nothing was sent yet: it cannot be refused.
                let _ = inner.outputs[0].resume(0, credit);
            }
        }
        slot.wake();
    }

    /// The daemon says that the other end is gone.
    pub fn disconnected(&mut self, channel: u32, reset: bool) {
        let Some(slot) = self.open.get(&channel) else { return };
        let left = {
            let mut inner = slot.inner();
            let Some(own) = &mut inner.own else { return };
            own.gone = Some(reset);
            own.left
        };
        slot.wake();
        if left {
            self.hang_up(channel);
        }
    }

    /// Nobody wants it any more.
    pub fn hang_up(&mut self, channel: u32) {
        if let Some(slot) = self.open.remove(&channel) {
            self.own.count -= 1;
            slot.inner().channel = None;
            if self.own.spoken == Some(true) {
                self.own.hung_up.push_back(channel);
            }
        }
    }

    /// Nothing is read or written any more; what was written has yet to arrive.
    pub fn leave_own(&mut self, channel: u32) {
        let Some(slot) = self.open.get(&channel) else { return };
        let over = match &mut slot.inner().own {
            Some(own) => {
                own.left = true;
                own.gone.is_some()
            }
            None => false,
        };
        if over {
            self.hang_up(channel);
        }
    }

    /// The daemon does not know of this one: it is asked (again), unless it had answered.
    pub(super) fn ask_again(&mut self, channel: u32, slot: Rc<Slot>) {
        let answered = {
            let mut inner = slot.inner();
            let answered = inner.own.as_ref().is_none_or(|own| own.outcome.is_some());
            if let Some(own) = &mut inner.own {
                own.ask_due = !answered;
                if answered {
                    own.gone = Some(true);
                }
            }
            if answered {
                inner.channel = None;
            }
            answered
        };
        if answered {
            self.own.count -= 1;
            slot.wake();
        } else {
            self.open.insert(channel, slot);
            self.due.add(channel);
        }
    }

    /// Who waits for a connection waits in vain.
    fn refuse_own(&self) {
        for slot in self.open.values() {
            if let Some(own @ Own { outcome: None, .. }) = &mut slot.inner().own {
                (own.ask_due, own.outcome) = (false, Some(Connected::Unreachable));
            } else {
                continue;
            }
            slot.wake();
        }
    }

    pub(super) fn hang_up_all(&mut self, most: usize, message: &mut BytesMut) -> Result<(), FrameError> {
        while message.len() < most
            && let Some(channel) = self.own.hung_up.pop_front()
        {
            Frame::control(&FromAgent::HangUp { channel })?.encode(message);
        }
        Ok(())
    }
}
