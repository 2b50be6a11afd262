//! All halves of a run.

use std::{
    collections::{HashMap, VecDeque},
    sync::Weak,
};

use sockerless_agent_wire::{
    Frame, FrameError, FromDaemon, Inbox, Resumed, Turns, Violation, limits,
    mesh::{Connected, Reach},
    request::{Fault, FaultKind, Reply, Request},
    streams,
};

use super::{Connect, Half, Note, Peer, Wanted, Word, half::Origin};
use crate::{run::Run, tuning};

/// See the module.
#[derive(Default)]
pub struct Halves {
    open: HashMap<u32, Half>,
    /// How many of them the agent has opened.
    agents: usize,
    /// The number that was given out last.
    last: u32,
    /// Those about which there is something to be said.
    pub(super) due: Turns,
    /// Those that the agent is to close.
    pub(super) closed: VecDeque<u32>,
    /// Those with something to be acknowledged, and those where that may wait.
    pub(super) acknowledge: Turns,
    pub(super) later: Turns,
    /// For other runs.
    notes: Vec<Note>,
    /// What processes want to connect to.
    connects: Vec<Connect>,
    /// Nothing begins any more.
    over: bool,
}

impl Halves {
    /// Whether a channel is a half's.
    pub fn has(channel: u32) -> bool {
        channel >= tuning::RELAYED
    }

    pub(super) fn get(&mut self, channel: u32) -> Option<&mut Half> {
        self.open.get_mut(&channel)
    }

    /// What is to be delivered, and whom the agent's processes want to connect to.
    pub fn take_notes(&mut self, notes: &mut Vec<Note>, connects: &mut Vec<Connect>) {
        notes.append(&mut self.notes);
        connects.append(&mut self.connects);
    }

    /// The agent opens a channel. It may do so twice where it does not know that it was heard.
    pub fn connect(&mut self, channel: u32, wanted: Wanted) -> Result<(), Violation> {
        if !(streams::OF_AGENT..=streams::MOST).contains(&channel) {
            return Err(Violation::Unexpected("channel's number"));
        }
        if self.open.contains_key(&channel) {
            return Ok(());
        }
        if self.agents >= limits::CONNECTIONS {
            return Err(Violation::Unexpected("connection: there are too many"));
        }
        self.agents += 1;
        self.open.insert(channel, Half::opened(limits::MESH_INPUT));
        self.connects.push(Connect { channel, wanted });
        Ok(())
    }

    /// The agent hangs up.
    pub fn hang_up(&mut self, channel: u32) {
        if channel >= streams::OF_AGENT
            && let Some(half) = self.open.remove(&channel)
        {
            self.agents -= 1;
            self.notes.push(half.note(Word::HungUp));
        }
    }

    /// What the agent has opened goes to that half.
    pub(super) fn lead(&mut self, channel: u32, peer: Peer, other: u32) -> bool {
        let half = self.open.get_mut(&channel);
        half.map(|half| (half.peer, half.other) = (peer, other)).is_some()
    }

    /// What one more connection of those that the agent has opened, or is asked for, may have under way.
    pub(super) fn window(&self, agents: bool) -> u32 {
        let count = if agents { self.agents } else { self.open.len() - self.agents };
        tuning::window(count)
    }

    /// The agent is to be asked for a connection; gives its number. An error if there is no place for it.
    pub(super) fn ask(
        &mut self,
        peer: Weak<Run>,
        other: u32,
        reach: impl FnOnce(u32) -> Reach,
    ) -> Result<Option<u32>, FrameError> {
        if self.over || self.open.len() - self.agents >= limits::CONNECTIONS {
            return Ok(None);
        }
        let channel = self.number();
        let window = self.window(false);
        let request = Box::new(Request::Reach(reach(window)));
        let Frame::Control(question) = Frame::control(&FromDaemon::Open { channel, request })? else {
            return Err(FrameError::Kind(0));
        };
        self.last = channel;
        self.open.insert(channel, Half::asked(peer, other, question, limits::MESH_INPUT, window));
        self.due.add(channel);
        Ok(Some(channel))
    }

    fn number(&self) -> u32 {
        let mut number = self.last;
        loop {
            number = if (tuning::RELAYED..streams::OF_AGENT - 1).contains(&number) {
                number + 1
            } else {
                tuning::RELAYED
            };
            if !self.open.contains_key(&number) {
                return number;
            }
        }
    }

    /// Takes a frame of a half's stream. Whether there is something to be sent to the agent thereby.
    pub fn take(&mut self, frame: Frame, turns: &mut Turns) -> Result<bool, Violation> {
        let stream = match &frame {
            Frame::Data { stream, .. }
            | Frame::Finish { stream, .. }
            | Frame::Acknowledge { stream, .. }
            | Frame::Stop { stream } => *stream,
            Frame::Control(_) | Frame::Alive => return Ok(false),
        };
        let (channel, kind) = streams::split(stream);
        // Frames of one that was closed mean nothing any more.
        let Some(half) = self.open.get_mut(&channel) else { return Ok(false) };
        let note = match (frame, kind) {
            (Frame::Data { offset, bytes, .. }, streams::OUTPUT) => {
                let new = half.output.accept(offset, bytes)?;
                half.take(new)
            }
            (Frame::Finish { offset, .. }, streams::OUTPUT) => {
                let before = half.output.is_finished();
                half.output.finish(offset)?;
                (!before).then(|| half.note(Word::Finish))
            }
            (Frame::Acknowledge { offset, credit, .. }, streams::INPUT) => {
                half.changed(|input| input.acknowledge(offset, credit))?
            }
            (Frame::Stop { .. }, streams::INPUT) => {
                let dealt_with = half.changed::<Violation>(|input| {
                    input.stop();
                    Ok(())
                })?;
                self.notes.extend(dealt_with);
                Some(half.note(Word::Stop))
            }
            _ => return Err(Violation::NoStream(stream)),
        };
        self.notes.extend(note);
        let ready = half.is_ready();
        if ready {
            turns.add(streams::of(channel, streams::INPUT));
        }
        Ok(ready)
    }

    /// The agent has answered what it was asked.
    pub fn answered(&mut self, channel: u32, reply: Reply) {
        let Some(half) = self.open.get_mut(&channel) else { return };
        let Origin::Daemon { question, .. } = &mut half.origin else { return };
        if question.take().is_none() {
            return;
        }
        let outcome = match reply {
            // The credit is put in by the half that this goes to.
            Reply::Ready => {
                return self.notes.push(half.note(Word::Connected(Connected::Open { credit: 0 })));
            }
            Reply::Failed(Fault { kind: FaultKind::Refused, .. }) => Connected::Refused,
            _ => Connected::TimedOut,
        };
        self.drop_asked(channel, Word::Connected(outcome));
    }

    /// The agent has said how the connection ended.
    pub fn ended(&mut self, channel: u32, reset: bool) {
        if self.open.get(&channel).is_some_and(|half| !half.is_agents() && half.is_answered()) {
            self.drop_asked(channel, Word::Gone(reset));
        }
    }

    /// One that the agent was asked for is over.
    fn drop_asked(&mut self, channel: u32, word: Word) {
        if let Some(half) = self.open.remove(&channel) {
            self.notes.push(half.note(word));
            self.closed.push_back(channel);
        }
    }

    /// Takes what the other half has. Whether there is something to be sent to the agent thereby.
    pub fn overhear(&mut self, channel: u32, word: Word, turns: &mut Turns) -> bool {
        let credit = self.window(true);
        let Some(half) = self.open.get_mut(&channel) else { return false };
        match word {
            Word::Bytes(bytes) => half.input.push(bytes),
            Word::Finish => half.input.finish(),
            Word::DealtWith(count) => {
                half.output.consume(usize::try_from(count).unwrap_or(usize::MAX));
                if half.output.is_pressing() {
                    self.acknowledge.add(channel);
                    return true;
                }
                // The line has to know that it must not sleep for long.
                let first = self.later.is_empty();
                self.later.add(channel);
                return first;
            }
            Word::Stop => {
                (half.deaf, half.deaf_due) = (true, true);
                self.due.add(channel);
                return true;
            }
            Word::Connected(connected) => {
                let Origin::Agent { outcome, outcome_due, .. } = &mut half.origin else { return false };
                if outcome.is_some() {
                    return false;
                }
                let connected = match connected {
                    Connected::Open { .. } => {
                        half.output = Inbox::new(0, credit);
                        Connected::Open { credit }
                    }
                    other => other,
                };
                (*outcome, *outcome_due) = (Some(connected), true);
                self.due.add(channel);
                return true;
            }
            Word::Gone(reset) => {
                let Origin::Agent { outcome, outcome_due, gone, gone_due } = &mut half.origin else {
                    return false;
                };
                match outcome {
                    None => (*outcome, *outcome_due) = (Some(Connected::Unreachable), true),
                    Some(_) => {
                        (*gone, *gone_due) = (Some(reset), true);
                        // What comes before it may wait for the process to read; that its writing is in vain need not.
                        half.deaf_due |= reset && !half.deaf;
                        half.deaf |= reset;
                    }
                }
                self.due.add(channel);
                return true;
            }
            Word::HungUp => {
                if half.is_agents() {
                    return false;
                }
                let known = half.known;
                self.open.remove(&channel);
                if known {
                    self.closed.push_back(channel);
                }
                return known;
            }
        }
        let ready = half.is_ready();
        if ready {
            turns.add(streams::of(channel, streams::INPUT));
        }
        ready
    }

    /// A new connection, to an agent that knows of these channels (number, offset and credit of their inputs), and of the
    /// mesh at all. Adds to the channels of the welcome.
    pub fn resume(
        &mut self,
        known: &HashMap<u32, (u64, u32)>,
        mesh: bool,
        turns: &mut Turns,
        resumed: &mut Vec<Resumed>,
    ) -> Result<(), Violation> {
        self.due.clear();
        self.closed.clear();
        self.acknowledge.clear();
        self.later.clear();
        let mut lost = Vec::new();
        for (channel, half) in &mut self.open {
            let channel = *channel;
            match known.get(&channel) {
                Some((offset, credit)) => {
                    half.known = true;
                    let note = half.changed(|input| input.resume(*offset, *credit))?;
                    self.notes.extend(note);
                    let position = half.output.position(0);
                    let outputs = Some([(position.offset, position.credit), (0, 0)]);
                    resumed.push(Resumed { channel, replied: half.is_answered(), outputs });
                    self.acknowledge.add(channel);
                    half.deaf_due = half.deaf;
                    if let Origin::Agent { outcome, outcome_due, gone, gone_due } = &mut half.origin {
                        (*outcome_due, *gone_due) = (outcome.is_some(), gone.is_some());
                    }
                    self.due.add(channel);
                    if half.is_ready() {
                        turns.add(streams::of(channel, streams::INPUT));
                    }
                }
                // The agent has hung up, or has another life behind it than this daemon knows, or will never know.
                None if half.is_agents() || half.is_answered() || !mesh => lost.push(channel),
                None => {
                    half.known = false;
                    if let Origin::Daemon { credit, .. } = half.origin {
                        half.input.resume(0, credit)?;
                    }
                    self.due.add(channel);
                }
            }
        }
        for channel in lost {
            if channel >= streams::OF_AGENT {
                self.hang_up(channel);
            } else if let Some(half) = self.open.remove(&channel) {
                self.notes.push(half.note(Word::Gone(true)));
            }
        }
        Ok(())
    }

    /// The run is over.
    pub fn give_up(&mut self) {
        self.over = true;
        self.agents = 0;
        for half in std::mem::take(&mut self.open).into_values() {
            let word = if half.is_agents() { Word::HungUp } else { Word::Gone(true) };
            self.notes.push(half.note(word));
        }
    }
}
