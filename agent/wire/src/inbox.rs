//! The receiving end of a stream.

use bytes::{Buf, Bytes};

use crate::{Position, Violation};

/// What has come of a stream, and how much of that was dealt with.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// The byte that is expected.
    next: u64,
    /// Everything before this was dealt with.
    consumed: u64,
    /// What the peer knows to be dealt with; nothing at the beginning of a connection, where only `next` is told, unless
    /// nothing has come at all.
    told: Option<u64>,
    window: u32,
    end: Option<u64>,
}

impl Inbox {
    /// A stream of which the first `offset` bytes were dealt with; at most `window` more are taken before they are, too.
    pub fn new(offset: u64, window: u32) -> Self {
        Self { next: offset, consumed: offset, told: (offset == 0).then_some(0), window, end: None }
    }

    /// Takes bytes; gives those that are new.
    pub fn accept(&mut self, offset: u64, mut bytes: Bytes) -> Result<Bytes, Violation> {
        let end = offset.saturating_add(bytes.len() as u64);
        if offset > self.next {
            return Err(Violation::Gap { expected: self.next, offset });
        }
        let allowed = self.consumed.saturating_add(u64::from(self.window));
        if end > allowed {
            return Err(Violation::Overrun { end, allowed });
        }
        if let Some(last) = self.end
            && end > last
        {
            return Err(Violation::Ended { end: last, offset: end });
        }
        let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(known);
        self.next = self.next.max(end);
        Ok(bytes)
    }

    /// The peer says how long the stream is.
    pub fn finish(&mut self, offset: u64) -> Result<(), Violation> {
        match self.end {
            Some(end) if end == offset => Ok(()),
            Some(end) => Err(Violation::Ended { end, offset }),
            None if offset > self.next => Err(Violation::Gap { expected: self.next, offset }),
            None if offset < self.next => Err(Violation::Ended { end: self.next, offset }),
            None => {
                self.end = Some(offset);
                Ok(())
            }
        }
    }

    /// Whether all of the stream has come.
    pub fn is_finished(&self) -> bool {
        self.end.is_some()
    }

    /// The next `count` bytes were dealt with.
    pub fn consume(&mut self, count: usize) {
        self.consumed = self.consumed.saturating_add(count as u64).min(self.next);
    }

    /// How many bytes were dealt with.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Whether the peer should hear of what was dealt with before there is something else to say: it may wait for that.
    pub fn is_pressing(&self) -> bool {
        self.told.is_none_or(|told| self.consumed - told >= u64::from(self.window / 4).max(1))
    }

    /// What to acknowledge, if that is news to the peer: offset and credit.
    pub fn acknowledgement(&mut self) -> Option<(u64, u32)> {
        if self.told == Some(self.consumed) {
            return None;
        }
        self.told = Some(self.consumed);
        Some((self.consumed, self.window))
    }

    /// Where a new connection begins.
    pub fn position(&mut self, stream: u32) -> Position {
        self.told = (self.next == 0).then_some(0);
        let waiting = u32::try_from(self.next - self.consumed).unwrap_or(self.window);
        Position { stream, offset: self.next, credit: self.window.saturating_sub(waiting) }
    }
}
