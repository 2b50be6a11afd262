//! What is known of one request.

use std::{
    cell::{Cell, RefCell, RefMut},
    rc::Rc,
    task::{Context, Waker},
};

use sockerless_agent_wire::{
    Inbox, Outbox, Pieces, Size, limits,
    mesh::{Connected, Target},
    request::{End, Reply, Request},
    streams,
};
use tokio::sync::Notify;

/// See the module.
pub struct Slot {
    inner: RefCell<Inner>,
    /// For the worker: there may be input.
    pub(super) to_read: Notify,
    /// For the worker: outputs may grow.
    pub(super) room: Notify,
    /// For the worker: nobody wants it any more.
    pub(super) to_close: Notify,
    /// For who polls: there may be input, or outputs may grow.
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// For the worker: the terminal has another size.
    pub(super) to_size: Notify,
    pub(super) size: Cell<Option<Size>>,
    /// What all channels hold, bytes.
    pub(super) total: Rc<Cell<usize>>,
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
    pub reading: usize,
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
    /// What the agent has to know if it has opened the channel.
    pub own: Option<Own>,
    /// A failure is no end of the outputs: who reads them must not take them for complete.
    pub abrupt: bool,
    /// Such a failure.
    pub broken: bool,
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

/// Of a channel that the agent has opened.
pub(super) struct Own {
    /// To another container, or none to the daemon's API.
    pub target: Option<Target>,
    /// The daemon has yet to be asked.
    pub ask_due: bool,
    pub outcome: Option<Connected>,
    /// The other end is gone; whether it was broken off.
    pub gone: Option<bool>,
    /// Nobody here has it any more, but what it has sent has yet to arrive.
    pub left: bool,
}

impl Slot {
    /// For a request that was just opened.
    pub(super) fn new(channel: u32, request: &Request, total: &Rc<Cell<usize>>) -> Rc<Self> {
        let windows = limits::windows(request);
        let slot = Self::with(channel, &windows, total);
        {
            let mut inner = slot.inner();
            if let Request::Exec(exec) = request {
                inner.exec = Some(exec.id.clone());
                slot.size.set(exec.size);
            }
            inner.abrupt = matches!(request, Request::Reach(_));
            inner.bulk = !inner.abrupt;
        }
        slot
    }

    /// For a connection that the agent opens.
    pub(super) fn own(channel: u32, target: Option<Target>, total: &Rc<Cell<usize>>) -> Rc<Self> {
        // What the daemon takes it says with its answer.
        let windows = limits::Windows { input: limits::MESH_INPUT, output: 0, errors: false };
        let slot = Self::with(channel, &windows, total);
        let own = Own { target, ask_due: true, outcome: None, gone: None, left: false };
        slot.inner().own = Some(own);
        slot
    }

    fn with(channel: u32, windows: &limits::Windows, total: &Rc<Cell<usize>>) -> Rc<Self> {
        let limits::Windows { input, output, errors } = *windows;
        let outbox = || {
            let mut outbox = Outbox::new(0);
            // Nothing is known to be missing yet.
            let _ = outbox.resume(0, output);
            outbox
        };
        Rc::new(Self {
            inner: RefCell::new(Inner {
                channel: Some(channel),
                exec: None,
                input: Inbox::new(0, input),
                queue: Pieces::default(),
                reading: 0,
                input_stopped: false,
                input_over: false,
                stop_due: false,
                outputs: [outbox(), outbox()],
                errors,
                window: output as usize,
                bulk: false,
                own: None,
                abrupt: false,
                broken: false,
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
            reader: Cell::default(),
            writer: Cell::default(),
            size: Cell::default(),
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
            self.wake_writer();
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

    /// Wakes who waits for input.
    pub(super) fn wake_reader(&self) {
        self.to_read.notify_one();
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Wakes who waits for outputs to grow.
    pub(super) fn wake_writer(&self) {
        self.room.notify_waiters();
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    /// This one polls for input.
    pub(super) fn set_reader(&self, context: &Context<'_>) {
        self.reader.set(Some(context.waker().clone()));
    }

    /// This one polls for outputs to grow.
    pub(super) fn set_writer(&self, context: &Context<'_>) {
        self.writer.set(Some(context.waker().clone()));
    }

    /// Wakes the worker, whatever it waits for.
    pub(super) fn wake(&self) {
        self.wake_reader();
        self.wake_writer();
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
        let broken = self.broken;
        self.outputs().all(|(_, outbox)| outbox.is_sent() || broken && outbox.waiting() == 0)
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
