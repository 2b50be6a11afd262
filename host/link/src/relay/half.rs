//! One end of a connection between two containers, as one of the two runs has it.

use std::sync::Weak;

use bytes::Bytes;
use sockerless_agent_wire::{Inbox, Outbox, mesh::Connected};

use super::{Note, Peer, Word};
use crate::run::Run;

/// See the module. Of what its agent sends nothing is kept here: it goes to the other half, and counts as dealt with when the
/// other agent has dealt with it.
pub struct Half {
    /// Who has the other half.
    pub peer: Peer,
    /// The other half's number there.
    pub other: u32,
    pub origin: Origin,
    /// Towards the agent.
    pub input: Outbox,
    /// From the agent.
    pub output: Inbox,
    /// The agent knows of it, on this connection.
    pub known: bool,
    /// Nobody takes what the agent sends.
    pub deaf: bool,
    pub deaf_due: bool,
}

/// Who opened the channel.
pub enum Origin {
    /// The agent: for a process that connects. Kept until the agent hangs up.
    Agent {
        outcome: Option<Connected>,
        outcome_due: bool,
        /// The other half is gone; whether it was broken off.
        gone: Option<bool>,
        gone_due: bool,
    },
    /// This daemon: to a process that listens. What the agent is asked, until it has answered.
    Daemon { question: Option<Bytes>, credit: u32 },
}

impl Half {
    /// That the agent has opened; nothing may come before it was answered.
    pub fn opened(credit: u32) -> Self {
        let origin = Origin::Agent { outcome: None, outcome_due: false, gone: None, gone_due: false };
        Self { known: true, ..Self::new(Peer::Run(Weak::new()), 0, origin, credit, 0) }
    }

    /// That the agent is asked for.
    pub fn asked(peer: Weak<Run>, other: u32, question: Bytes, credit: u32, window: u32) -> Self {
        Self::new(Peer::Run(peer), other, Origin::Daemon { question: Some(question), credit }, credit, window)
    }

    fn new(peer: Peer, other: u32, origin: Origin, credit: u32, window: u32) -> Self {
        let mut input = Outbox::new(0);
        // Nothing was sent yet: it cannot be refused.
        let _ = input.resume(0, credit);
        let output = Inbox::new(0, window);
        Self { peer, other, origin, input, output, known: false, deaf: false, deaf_due: false }
    }

    /// For the other half.
    pub fn note(&self, word: Word) -> Note {
        Note { to: self.peer.clone(), channel: self.other, word }
    }

    /// Whether the agent opened it.
    pub fn is_agents(&self) -> bool {
        matches!(self.origin, Origin::Agent { .. })
    }

    /// The agent has said how the connection came about.
    pub fn is_answered(&self) -> bool {
        match &self.origin {
            Origin::Agent { outcome, .. } => outcome.is_some(),
            Origin::Daemon { question, .. } => question.is_none(),
        }
    }

    /// Whether there are bytes, or their end, to be sent now.
    pub fn is_ready(&self) -> bool {
        self.known && self.input.is_ready()
    }

    /// Takes bytes from the agent.
    pub fn take(&mut self, bytes: Bytes) -> Option<Note> {
        if bytes.is_empty() {
            return None;
        }
        if self.deaf {
            self.output.consume(bytes.len());
            return None;
        }
        Some(self.note(Word::Bytes(bytes)))
    }

    /// What was sent to the agent has changed in some way; gives what it has dealt with thereby.
    pub fn changed<E>(
        &mut self,
        change: impl FnOnce(&mut Outbox) -> Result<(), E>,
    ) -> Result<Option<Note>, E> {
        let before = self.input.acknowledged();
        change(&mut self.input)?;
        let count = self.input.acknowledged() - before;
        Ok((count > 0).then(|| self.note(Word::DealtWith(count))))
    }
}
