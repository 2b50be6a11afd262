//! Connections between containers: what one agent sends is handed to the line of the other, without a task or a buffer in
//! between.
//!
//! Each connection has two [`Half`]s, one in the state of each run. What comes from one agent becomes [`Note`]s while that
//! run's state is locked, and is delivered to the other run after that: only ever one state is locked. Notes from one run
//! are delivered by the task that receives from its agent, so they arrive in order. What an agent may send is bounded by
//! what the other one has dealt with: a connection holds no more than its window, whoever is slow.
//!
//! A connection out of the mesh has this daemon for its other end ([`outside`]), a task of its own.

mod half;
mod join;
mod outside;
mod say;
mod table;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use sockerless_agent_wire::mesh::Connected;

use self::outside::Outside;
pub use self::{
    half::Half,
    join::{Connect, Wanted, join},
    table::Halves,
};
use crate::run::Run;

/// What one half has for the other.
#[derive(Debug)]
pub enum Word {
    /// To be sent on.
    Bytes(Bytes),
    /// No more come.
    Finish,
    /// The other agent has dealt with so many.
    DealtWith(u64),
    /// The other agent takes no more.
    Stop,
    /// How the connection came about; to the half that its agent opened.
    Connected(Connected),
    /// The process that was connected to has ended the connection, in both directions, or it was broken off (true); to the
    /// half that its agent opened.
    Gone(bool),
    /// Who has opened the connection wants no more of it; to the half that its agent was asked for.
    HungUp,
}

/// Who has a half.
#[derive(Clone)]
pub enum Peer {
    Run(Weak<Run>),
    /// This daemon itself, which carries the connection on to somewhere out of the mesh.
    Outside(Weak<Outside>),
}

/// A word, and whom it is for.
pub struct Note {
    pub to: Peer,
    pub channel: u32,
    pub word: Word,
}

/// Delivers notes, in order. No state may be locked.
pub fn deliver(notes: impl IntoIterator<Item = Note>) {
    let mut notes = notes.into_iter().peekable();
    while let Some(note) = notes.next() {
        // Nobody misses what is for somebody who is gone.
        match &note.to {
            Peer::Run(run) => {
                let Some(run) = run.upgrade() else { continue };
                let mut to_send = false;
                {
                    // One lock and one wake-up for all that a message brings: of many connections most lead to the same run.
                    let mut state = run.state();
                    let mut next = Some(note);
                    while let Some(Note { channel, word, .. }) = next {
                        to_send |= state.overhear(channel, word);
                        next = notes.next_if(|note| note.is_for(&run));
                    }
                }
                if to_send {
                    run.to_send.notify_one();
                }
            }
            Peer::Outside(outside) => {
                outside.upgrade().iter().for_each(|outside| outside.overhear(&note.word));
            }
        }
    }
}

impl Note {
    fn is_for(&self, run: &Arc<Run>) -> bool {
        matches!(&self.to, Peer::Run(to) if std::ptr::eq(to.as_ptr(), Arc::as_ptr(run)))
    }
}
