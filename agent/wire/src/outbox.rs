//! The sending end of a stream.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    Frame, Violation,
    frame::{begin_data, finish_data},
    limits,
};

/// Pieces below this are gathered: a process that writes byte by byte must not cost a buffer per byte.
const SMALL: usize = 16 << 10;
/// What small pieces are gathered into.
const GATHERED: usize = 64 << 10;
/// What a piece costs beside its bytes, at least.
const PIECE: usize = 64;

/// Bytes of a stream that the peer has not acknowledged, in order.
///
/// The caller bounds it: it pushes only while [`Outbox::held`] is below its limit.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Sent on this connection, not acknowledged.
    unacknowledged: VecDeque<Bytes>,
    /// To be sent.
    unsent: VecDeque<Bytes>,
    /// The newest bytes to be sent, while they are few.
    tail: BytesMut,
    /// Everything before this is gone.
    acknowledged: u64,
    /// Everything before this was sent on this connection.
    sent: u64,
    /// The stream's length so far.
    end: u64,
    /// What the peer takes.
    allowed: u64,
    finished: bool,
    finish_sent: bool,
    stopped: bool,
}

impl Outbox {
    /// A stream of which the peer has the first `offset` bytes. Nothing may be sent before [`Outbox::resume`].
    pub fn new(offset: u64) -> Self {
        Self { acknowledged: offset, sent: offset, end: offset, allowed: offset, ..Self::default() }
    }

    /// Appends bytes. After [`Outbox::stop`] or [`Outbox::finish`] they are of no use and dropped.
    pub fn push(&mut self, bytes: Bytes) {
        if self.stopped || self.finished || bytes.is_empty() {
            return;
        }
        if bytes.len() < SMALL {
            return self.extend(&bytes);
        }
        self.end += bytes.len() as u64;
        self.close_tail();
        self.unsent.push_back(bytes);
    }

    /// Appends a copy of bytes: cheaper than [`Outbox::push`] where they are few.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.stopped || self.finished || bytes.is_empty() {
            return;
        }
        if bytes.len() >= SMALL {
            return self.push(Bytes::copy_from_slice(bytes));
        }
        self.end += bytes.len() as u64;
        if self.tail.len() + bytes.len() > GATHERED {
            self.close_tail();
        }
        self.tail.extend_from_slice(bytes);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.unsent.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// There will be no more bytes.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether [`Outbox::finish`] was called.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The peer takes no more: forgets everything.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.unacknowledged = VecDeque::new();
        self.unsent = VecDeque::new();
        self.tail = BytesMut::new();
        self.acknowledged = self.end;
        self.sent = self.end;
    }

    /// Whether the peer takes no more.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the peer has dealt with everything so far.
    pub fn is_empty(&self) -> bool {
        self.acknowledged == self.end
    }

    /// The stream's length so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many more bytes can be pushed and sent at once.
    pub fn credit(&self) -> usize {
        usize::try_from(self.allowed.saturating_sub(self.end)).unwrap_or(usize::MAX)
    }

    /// How many bytes wait to be sent.
    pub fn waiting(&self) -> u64 {
        self.end - self.sent
    }

    /// How many bytes were sent on this connection and not acknowledged.
    pub fn under_way(&self) -> u64 {
        self.sent - self.acknowledged
    }

    /// The oldest byte that is kept.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether [`Outbox::send`] would have something.
    pub fn is_ready(&self) -> bool {
        !self.stopped
            && (self.end.min(self.allowed) > self.sent
                || self.finished && !self.finish_sent && self.sent == self.end)
    }

    /// Whether everything was sent on this connection, the end of the stream, too.
    pub fn is_sent(&self) -> bool {
        self.stopped || self.finish_sent
    }

    /// Bytes of memory that it takes, roughly.
    pub fn held(&self) -> usize {
        let bytes = usize::try_from(self.end - self.acknowledged).unwrap_or(usize::MAX);
        bytes.saturating_add(PIECE * (self.unacknowledged.len() + self.unsent.len()))
    }

    /// Appends the next frame to a message, with at most `most` bytes of payload. False if there is nothing to send now.
    pub fn send(&mut self, stream: u32, most: usize, message: &mut BytesMut) -> bool {
        if self.stopped {
            return false;
        }
        let available = self.end.min(self.allowed).saturating_sub(self.sent);
        let mut left = usize::try_from(available).unwrap_or(usize::MAX).min(most).min(limits::DATA);
        if left == 0 {
            let finish = self.finished && !self.finish_sent && self.sent == self.end;
            if finish {
                Frame::Finish { stream, offset: self.end }.encode(message);
                self.finish_sent = true;
            }
            return finish;
        }
        let start = begin_data(message, stream, self.sent);
        while left > 0 {
            if self.unsent.is_empty() {
                self.close_tail();
            }
            let Some(mut piece) = self.unsent.pop_front() else { break };
            if piece.len() > left {
                let rest = piece.split_off(left);
                self.unsent.push_front(rest);
            }
            message.extend_from_slice(&piece);
            left -= piece.len();
            self.sent += piece.len() as u64;
            self.unacknowledged.push_back(piece);
        }
        finish_data(message, start);
        true
    }

    /// The peer has dealt with the bytes before `offset` and takes `credit` from there. An acknowledgement that comes late
    /// says nothing new.
    pub fn acknowledge(&mut self, offset: u64, credit: u32) -> Result<(), Violation> {
        if self.stopped {
            return Ok(());
        }
        if offset > self.sent {
            return Err(Violation::Unsent { offset, sent: self.sent });
        }
        self.allowed = self.allowed.max(offset.saturating_add(u64::from(credit)));
        self.forget(offset);
        Ok(())
    }

    fn forget(&mut self, offset: u64) {
        while self.acknowledged < offset {
            let Some(mut piece) = self.unacknowledged.pop_front() else { break };
            let surplus = usize::try_from(offset - self.acknowledged).unwrap_or(usize::MAX);
            if piece.len() > surplus {
                self.acknowledged += surplus as u64;
                let _ = piece.split_to(surplus);
                self.unacknowledged.push_front(piece);
            } else {
                self.acknowledged += piece.len() as u64;
            }
        }
        // What a long outage piled up is given back.
        if self.unacknowledged.is_empty() && self.unacknowledged.capacity() > 64 {
            self.unacknowledged = VecDeque::new();
            self.unsent.shrink_to_fit();
        }
    }

    /// A new connection: the peer expects the byte at `offset` and takes `credit` from there; what it has not got is sent
    /// again. That it has the bytes before does not mean that it has dealt with them.
    pub fn resume(&mut self, offset: u64, credit: u32) -> Result<(), Violation> {
        if self.stopped {
            return Ok(());
        }
        if offset < self.acknowledged {
            return Err(Violation::Forgotten { offset, acknowledged: self.acknowledged });
        }
        if offset > self.end {
            return Err(Violation::Unsent { offset, sent: self.end });
        }
        self.close_tail();
        self.unacknowledged.append(&mut self.unsent);
        self.unsent = std::mem::take(&mut self.unacknowledged);
        // What the peer has but has not dealt with stays: the peer may yet lose it.
        let mut has = usize::try_from(offset - self.acknowledged).unwrap_or(usize::MAX);
        while has > 0 {
            let Some(mut piece) = self.unsent.pop_front() else { break };
            if piece.len() > has {
                let rest = piece.split_off(has);
                self.unsent.push_front(rest);
            }
            has -= piece.len();
            self.unacknowledged.push_back(piece);
        }
        self.sent = offset;
        self.allowed = offset.saturating_add(u64::from(credit));
        self.finish_sent = false;
        Ok(())
    }
}
