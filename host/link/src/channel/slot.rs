//! What is known of one request.

use std::sync::Arc;

use bytes::Bytes;
use sockerless_agent_wire::{Frame, FrameError, FromDaemon, Inbox, Outbox, Pieces, Size, limits, streams};
use sockerless_ports::link::{
    LinkError, Output,
    request::{End, Reply, Request},
};
use tokio::sync::Notify;

/// Where the caller waits.
#[derive(Debug, Default)]
pub struct Bell {
    /// For bytes, or their end.
    pub bytes: Notify,
    /// For room.
    pub room: Notify,
    /// For the reply, or the end.
    pub answer: Notify,
}

impl Bell {
    /// Wakes whoever waits, whatever for.
    pub fn ring(&self) {
        self.bytes.notify_waiters();
        self.room.notify_waiters();
        self.answer.notify_waiters();
    }
}

/// How a channel begins.
pub enum Opening {
    /// With a request.
    Request(Request),
    /// With the id of an exec that was left by another session.
    Exec(String),
}

/// See the module.
pub struct Slot {
    pub bell: Arc<Bell>,
    /// What the agent is asked, until it has answered.
    pub question: Option<Bytes>,
    /// It was asked on this connection, or has said that it knows.
    pub asked: bool,
    /// The outputs begin where the agent's answer says.
    pub adopted: bool,
    pub input: Outbox,
    /// What the agent takes of the input before it has dealt with any.
    pub credit: u32,
    outputs: [Inbox; 2],
    window: u32,
    /// How many outputs there are.
    count: usize,
    waiting: Pieces<Output>,
    /// What the caller is dealing with.
    reading: Option<(Output, usize)>,
    /// The agent has answered; the answer, until it was fetched.
    pub replied: bool,
    pub reply: Option<Reply>,
    pub end: Option<End>,
    /// Nothing comes any more.
    pub over: bool,
    pub size: Option<Size>,
}

impl Slot {
    /// With what the agent is to be asked. An error if that is too long.
    pub fn new(channel: u32, opening: &Opening) -> Result<Self, FrameError> {
        let (windows, adopted) = match opening {
            Opening::Request(request) => (limits::windows(request), false),
            Opening::Exec(_) => {
                let windows = limits::Windows {
                    input: limits::INPUT_WINDOW,
                    output: limits::OUTPUT_WINDOW,
                    errors: true,
                };
                (windows, true)
            }
        };
        let question = Frame::control(&match opening {
            Opening::Request(request) => FromDaemon::Open { channel, request: Box::new(request.clone()) },
            Opening::Exec(exec) => FromDaemon::Adopt { channel, exec: exec.clone() },
        })?;
        let Frame::Control(question) = question else { return Err(FrameError::Kind(0)) };
        let mut input = Outbox::new(0);
        if !adopted {
            // Nothing was sent yet: it cannot be refused.
            let _ = input.resume(0, windows.input);
        }
        Ok(Self {
            bell: Arc::default(),
            question: Some(question),
            asked: false,
            adopted,
            input,
            credit: windows.input,
            outputs: [Inbox::new(0, windows.output), Inbox::new(0, windows.output)],
            window: windows.output,
            count: if windows.errors { 2 } else { 1 },
            waiting: Pieces::default(),
            reading: None,
            replied: false,
            reply: None,
            end: None,
            over: false,
            size: None,
        })
    }

    /// The output of a stream of this kind.
    pub fn output(&mut self, kind: u32) -> Option<&mut Inbox> {
        let index = match kind {
            streams::OUTPUT => 0,
            streams::ERRORS => 1,
            _ => return None,
        };
        self.outputs.get_mut(index).filter(|_| index < self.count)
    }

    /// Where both outputs stand, for a new connection; none if that is not known yet.
    pub fn positions(&mut self) -> Option<[(u64, u32); 2]> {
        if self.adopted && !self.replied {
            return None;
        }
        let [first, second] = &mut self.outputs;
        Some([first, second].map(|inbox| {
            let position = inbox.position(0);
            (position.offset, position.credit)
        }))
    }

    /// The agent has answered.
    pub fn answer(
        &mut self,
        reply: Reply,
        input: (u64, u32),
        outputs: [u64; 2],
    ) -> Result<(), sockerless_agent_wire::Violation> {
        if self.replied {
            return Ok(());
        }
        match &reply {
            Reply::Failed(fault) => self.finally(End::Failed(fault.clone())),
            Reply::Unstarted { code, .. } => self.finally(End::Exited { code: *code }),
            _ if self.adopted => {
                let (offset, credit) = input;
                self.outputs = outputs.map(|offset| Inbox::new(offset, self.window));
                let finished = self.input.is_finished();
                self.input = Outbox::new(offset);
                self.input.resume(offset, credit)?;
                if finished {
                    self.input.finish();
                }
            }
            _ => {}
        }
        self.replied = true;
        self.question = None;
        self.reply = Some(reply);
        Ok(())
    }

    fn finally(&mut self, end: End) {
        self.end = Some(end);
        self.over = true;
    }

    /// Adds what has come.
    pub fn take(&mut self, kind: u32, bytes: Bytes) {
        let output = if kind == streams::ERRORS { Output::Stderr } else { Output::Stdout };
        self.waiting.push(output, bytes);
    }

    /// What was read before was dealt with. True if there is something to acknowledge.
    pub fn dealt_with(&mut self) -> bool {
        let Some((output, count)) = self.reading.take() else { return false };
        self.outputs[usize::from(output == Output::Stderr)].consume(count);
        true
    }

    /// The next bytes; none yet, or none at all.
    pub fn next(&mut self) -> Option<Option<(Output, Bytes)>> {
        if let Some((output, bytes)) = self.waiting.pop() {
            self.reading = Some((output, bytes.len()));
            return Some(Some((output, bytes)));
        }
        self.is_finished().then_some(None)
    }

    fn is_finished(&self) -> bool {
        // What breaks off has no end of its outputs.
        let broken = matches!(self.end, Some(End::Failed(_)));
        self.over || broken || self.outputs.iter().take(self.count).all(Inbox::is_finished)
    }

    /// How it ended, once all output was read.
    pub fn ended(&self) -> Option<End> {
        let read = self.waiting.is_empty() && self.is_finished();
        self.end.clone().filter(|_| read)
    }

    /// What is to be acknowledged: kind of stream, offset, credit.
    pub fn acknowledgements(&mut self) -> impl Iterator<Item = (u32, u64, u32)> {
        let kinds = [streams::OUTPUT, streams::ERRORS].into_iter();
        let inboxes = self.outputs.iter_mut().take(self.count);
        kinds.zip(inboxes).filter_map(|(kind, inbox)| {
            inbox.acknowledgement().map(|(offset, credit)| (kind, offset, credit))
        })
    }

    /// Takes as much input as the agent gave credit for; none if that is nothing.
    pub fn put(&mut self, bytes: &mut Bytes) -> Option<Result<(), LinkError>> {
        if self.over || self.input.is_stopped() || self.input.is_finished() {
            return Some(Err(LinkError::Closed));
        }
        let room = self.input.credit().min(bytes.len());
        if room == 0 {
            return None;
        }
        self.input.push(bytes.split_to(room));
        Some(Ok(()))
    }
}
