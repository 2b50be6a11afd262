//! One request of the daemon, as its worker and the line see it.

use std::{
    cell::{Cell, RefCell, RefMut},
    rc::Rc,
};

use bytes::Bytes;
use sockerless_agent_wire::{
    Inbox, Outbox, Pieces, Size, limits,
    request::{End, Fault, FaultKind, Reply, Request},
    streams,
};
use tokio::sync::Notify;

use super::{Output, Shared};
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
                    self.say(&inner);
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
        inner.outputs.iter_mut().for_each(Outbox::finish);
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

/// What is known of a request.
pub struct Slot {
    inner: RefCell<Inner>,
    /// For the worker: there may be input.
    pub(super) to_read: Notify,
    /// For the worker: outputs may grow.
    pub(super) room: Notify,
    /// For the worker: nobody wants it any more.
    pub(super) to_close: Notify,
    /// For the worker: the terminal has another size.
    pub(super) to_size: Notify,
    pub(super) size: Cell<Option<Size>>,
    /// What all channels hold, bytes.
    total: Rc<Cell<usize>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let counted = self.inner.get_mut().counted;
        self.total.set(self.total.get().saturating_sub(counted));
    }
}

/// See [`Slot`].
pub(super) struct Inner {
    /// Its number; none for an exec that nobody has at this moment.
    pub channel: Option<u32>,
    /// The exec's id, if it is one.
    pub exec: Option<String>,
    pub input: Inbox,
    pub queue: Pieces<()>,
    /// Bytes that the worker is dealing with.
    reading: usize,
    pub input_stopped: bool,
    /// Who sent it has gone.
    pub input_over: bool,
    pub stop_due: bool,
    pub outputs: [Outbox; 2],
    /// There is a second output.
    pub errors: bool,
    /// Of each output.
    pub window: usize,
    /// It is better to send much at once than at once.
    pub bulk: bool,
    pub reply: Option<Reply>,
    pub reply_due: bool,
    pub end: Option<End>,
    pub end_due: bool,
    /// Nobody wants it: the work ends.
    pub closed: bool,
    /// Nobody wants the output of this exec, which goes on.
    pub forsaken: bool,
    /// How often a daemon had it.
    pub attached: u32,
    /// What it holds of the bytes that are counted for all.
    counted: usize,
}

impl Slot {
    /// For a request that was just opened.
    pub(super) fn new(channel: u32, request: &Request, total: &Rc<Cell<usize>>) -> Rc<Self> {
        let limits::Windows { input, output, errors } = limits::windows(request);
        let (exec, size) = match request {
            Request::Exec(exec) => (Some(exec.id.clone()), exec.size),
            _ => (None, None),
        };
        let outbox = || {
            let mut outbox = Outbox::new(0);
            // Nothing is known to be missing yet.
            let _ = outbox.resume(0, output);
            outbox
        };
        Rc::new(Self {
            inner: RefCell::new(Inner {
                channel: Some(channel),
                exec,
                input: Inbox::new(0, input),
                queue: Pieces::default(),
                reading: 0,
                input_stopped: false,
                input_over: false,
                stop_due: false,
                outputs: [outbox(), outbox()],
                errors,
                window: output as usize,
                bulk: !matches!(request, Request::Dial { .. }),
                reply: None,
                reply_due: false,
                end: None,
                end_due: false,
                closed: false,
                forsaken: false,
                attached: 1,
                counted: 0,
            }),
            to_read: Notify::new(),
            room: Notify::new(),
            to_close: Notify::new(),
            to_size: Notify::new(),
            size: Cell::new(size),
            total: Rc::clone(total),
        })
    }

    pub(super) fn inner(&self) -> RefMut<'_, Inner> {
        self.inner.borrow_mut()
    }

    /// How often a daemon had it.
    pub(super) fn attached(&self) -> u32 {
        self.inner().attached
    }

    /// No daemon has asked for this exec since it was attached for that time: its output is thrown away.
    pub(super) fn forsake(&self, attached: u32) {
        let mut inner = self.inner();
        if inner.channel.is_none() && inner.attached == attached {
            inner.forsake();
            self.count(&mut inner);
            drop(inner);
            self.room.notify_waiters();
        }
    }

    /// Counts anew what it holds.
    pub(super) fn count(&self, inner: &mut Inner) {
        let held = inner.outputs.iter().map(Outbox::held).sum();
        let before = std::mem::replace(&mut inner.counted, held);
        self.total.set(self.total.get().saturating_sub(before) + held);
    }

    /// The terminal shall have this size.
    pub(super) fn resize(&self, size: Size) {
        self.size.set(Some(size));
        self.to_size.notify_waiters();
    }

    /// Wakes the worker, whatever it waits for.
    pub(super) fn wake(&self) {
        self.to_read.notify_one();
        self.room.notify_waiters();
        self.to_close.notify_waiters();
    }
}

impl Inner {
    /// Nobody reads the input any more.
    pub fn stop_input(&mut self) {
        if self.input_stopped {
            return;
        }
        self.input_stopped = true;
        self.stop_due = true;
        let waiting = self.queue.clear();
        self.input.consume(waiting + std::mem::take(&mut self.reading));
    }

    /// The outputs that there are.
    pub fn outputs(&mut self) -> impl Iterator<Item = (u32, &mut Outbox)> {
        let count = if self.errors { 2 } else { 1 };
        [streams::OUTPUT, streams::ERRORS].into_iter().zip(self.outputs.iter_mut()).take(count)
    }

    /// Whether all output was sent on this connection.
    pub fn is_sent(&mut self) -> bool {
        self.outputs().all(|(_, outbox)| outbox.is_sent())
    }

    /// Nobody wants the output: it is forgotten, and so is what follows.
    pub fn forsake(&mut self) {
        self.forsaken = true;
        self.renew();
    }

    /// Outputs from which nothing is kept.
    fn renew(&mut self) {
        for outbox in &mut self.outputs {
            *outbox = Outbox::new(0);
            if self.end.is_some() {
                outbox.finish();
            }
        }
    }

    /// Somebody has it (again): from the oldest byte that is kept.
    pub fn attach(&mut self, channel: u32) {
        self.channel = Some(channel);
        self.forsaken = false;
        self.attached += 1;
        let window = u32::try_from(self.window).unwrap_or(u32::MAX);
        for outbox in &mut self.outputs {
            let oldest = outbox.acknowledged();
            // What is kept can be sent.
            let _ = outbox.resume(oldest, window);
        }
        self.reply_due = self.reply.is_some();
        self.end_due = self.end.is_some();
        self.stop_due = self.input_stopped;
    }
}
