//! One request of the daemon, as its worker sees it.

use std::rc::Rc;

use bytes::Bytes;
use sockerless_agent_wire::{
    Outbox, Size,
    request::{End, Fault, FaultKind, Reply},
    streams,
};

use super::{
    Output, Shared,
    slot::{Inner, Slot},
};
use crate::tuning;

/// The daemon takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes this any more")]
pub struct Closed;

/// What a worker has of its request. When it is dropped the request is over, also where nobody said how.
pub struct Channel {
    slot: Rc<Slot>,
    shared: Rc<Shared>,
}

impl Channel {
    pub(super) fn new(slot: Rc<Slot>, shared: Rc<Shared>) -> Self {
        Self { slot, shared }
    }

    /// The answer, first of all and once.
    pub fn reply(&self, reply: Reply) {
        let mut inner = self.slot.inner();
        inner.reply = Some(reply);
        inner.reply_due = true;
        self.say(&inner);
    }

    /// The whole answer: nothing follows.
    pub fn answer(self, reply: Reply) {
        self.reply(reply);
        self.end(End::Done);
    }

    /// The answer that it cannot be done.
    pub fn fail(self, kind: FaultKind, message: impl Into<String>) {
        self.reply(Reply::Failed(Fault { kind, message: message.into() }));
    }

    /// The next bytes of the input; none at its end. They count as dealt with when the next ones are asked for.
    pub async fn read(&self) -> Option<Bytes> {
        loop {
            let more = self.slot.to_read.notified();
            {
                let mut inner = self.slot.inner();
                let dealt_with = std::mem::take(&mut inner.reading);
                if dealt_with > 0 {
                    inner.input.consume(dealt_with);
                    self.acknowledge(&inner);
                }
                if let Some(((), bytes)) = inner.queue.pop() {
                    inner.reading = bytes.len();
                    return Some(bytes);
                }
                if inner.input.is_finished() || inner.input_stopped || inner.input_over || inner.closed {
                    return None;
                }
            }
            more.await;
        }
    }

    /// No more of the input is wanted; what comes is thrown away.
    pub fn stop_input(&self) {
        let mut inner = self.slot.inner();
        inner.stop_input();
        self.say(&inner);
    }

    /// Adds to an output; waits for room.
    pub async fn write(&self, output: Output, bytes: Bytes) -> Result<(), Closed> {
        self.room(output).await?;
        let mut inner = self.slot.inner();
        if !inner.forsaken {
            inner.outputs[index(output)].push(bytes);
            self.slot.count(&mut inner);
            self.send(&inner, output);
        }
        Ok(())
    }

    /// Waits until an output may grow.
    pub async fn room(&self, output: Output) -> Result<(), Closed> {
        loop {
            let room = self.slot.room.notified();
            {
                let inner = self.slot.inner();
                let outbox = &inner.outputs[index(output)];
                if inner.closed || outbox.is_stopped() {
                    return Err(Closed);
                }
                let held = outbox.held();
                let crowded = self.slot.total.get() >= tuning::CHANNELS && held >= tuning::CHANNEL_LEAST;
                if inner.forsaken || held < inner.window && !crowded {
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// An output is complete; the other one and the input go on.
    pub fn finish(&self, output: Output) {
        let mut inner = self.slot.inner();
        inner.outputs[index(output)].finish();
        self.send(&inner, output);
    }

    /// It is over: no more output comes.
    pub fn end(self, end: End) {
        self.finally(end);
    }

    fn finally(&self, end: End) {
        let mut inner = self.slot.inner();
        if inner.end.is_some() {
            return;
        }
        inner.end = Some(end);
        inner.end_due = true;
        inner.stop_input();
        inner.broken = inner.abrupt && matches!(inner.end, Some(End::Failed(_)));
        if !inner.broken {
            inner.outputs.iter_mut().for_each(Outbox::finish);
        }
        self.send(&inner, Output::Stdout);
        self.send(&inner, Output::Stderr);
        self.say(&inner);
        if let Some(exec) = &inner.exec
            && inner.channel.is_none()
        {
            self.shared.state().channels.ended(exec);
        }
    }

    /// Until the daemon wants no more of it. Of an exec: never, its process goes on.
    pub async fn closed(&self) {
        loop {
            let closed = self.slot.to_close.notified();
            if self.slot.inner().closed {
                return;
            }
            closed.await;
        }
    }

    /// The terminal's size, when it was set anew.
    pub async fn resized(&self) -> Size {
        loop {
            let sized = self.slot.to_size.notified();
            if let Some(size) = self.slot.size.take() {
                return size;
            }
            sized.await;
        }
    }

    /// The daemon is to know of what was dealt with: with the next thing that is said, unless it may be waiting for it.
    fn acknowledge(&self, inner: &Inner) {
        match inner.channel {
            Some(channel) if !inner.input.is_pressing() => {
                let mut state = self.shared.state();
                if state.channels.later(channel) {
                    // The line has to know that it must not sleep for long.
                    self.shared.to_send.notify_one();
                }
            }
            _ => self.say(inner),
        }
    }

    fn say(&self, inner: &Inner) {
        if let Some(channel) = inner.channel {
            self.shared.state().channels.say(channel);
            self.shared.to_send.notify_one();
        }
    }

    fn send(&self, inner: &Inner, output: Output) {
        if let Some(channel) = inner.channel
            && (inner.errors || output == Output::Stdout)
            && inner.outputs[index(output)].is_ready()
        {
            self.shared.state().turns.add(streams::of(channel, kind(output)));
            self.shared.to_send.notify_one();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let fault = || Fault {
            kind: FaultKind::Internal,
            message: "the agent broke off what it was doing".to_owned(),
        };
        let replied = self.slot.inner().reply.as_ref().map(is_last);
        match replied {
            Some(true) => self.finally(End::Done),
            Some(false) => self.finally(End::Failed(fault())),
            None => {
                self.reply(Reply::Failed(fault()));
                self.finally(End::Done);
            }
        }
    }
}

/// After these nothing follows.
fn is_last(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(_) | Reply::Unstarted { .. })
}

fn index(output: Output) -> usize {
    usize::from(output == Output::Stderr)
}

fn kind(output: Output) -> u32 {
    match output {
        Output::Stdout => streams::OUTPUT,
        Output::Stderr => streams::ERRORS,
    }
}
