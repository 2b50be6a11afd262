//! What waits to be told to the engine.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use sockerless_ports::link::{Catching, Exit, LaunchFailure, Output};

use crate::tuning;

/// One thing to tell.
#[derive(Debug)]
pub enum Item {
    Started(u32),
    Failed(LaunchFailure),
    Exited(Exit),
    /// The newest is in the run's state.
    Health,
    Leaving,
    Catching(Catching),
    Output {
        output: Output,
        offset: u64,
        bytes: Bytes,
    },
}

/// In the order of arrival. The streams' credit bounds it.
#[derive(Debug, Default)]
pub struct Incoming {
    items: VecDeque<Item>,
    /// Small pieces of one output that follow the items.
    gathered: Option<(Output, u64, BytesMut)>,
}

impl Incoming {
    /// Adds what is not output.
    pub fn push(&mut self, item: Item) {
        self.close();
        self.items.push_back(item);
    }

    /// Adds output; small pieces that wait are put together.
    pub fn output(&mut self, output: Output, offset: u64, bytes: Bytes) {
        if let Some((gathering, _, gathered)) = &mut self.gathered
            && *gathering == output
            && bytes.len() < tuning::LARGE
            && gathered.len() + bytes.len() <= tuning::GATHERED
        {
            gathered.extend_from_slice(&bytes);
            return;
        }
        self.close();
        if bytes.len() < tuning::LARGE && !self.items.is_empty() {
            self.gathered = Some((output, offset, BytesMut::from(&bytes[..])));
        } else {
            self.items.push_back(Item::Output { output, offset, bytes });
        }
    }

    fn close(&mut self) {
        if let Some((output, offset, bytes)) = self.gathered.take() {
            self.items.push_back(Item::Output { output, offset, bytes: bytes.freeze() });
        }
    }

    /// The next thing to tell.
    pub fn pop(&mut self) -> Option<Item> {
        if self.items.is_empty() {
            self.close();
        }
        let item = self.items.pop_front();
        if self.items.is_empty() && self.items.capacity() > 64 {
            self.items = VecDeque::new();
        }
        item
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_that_wait_are_told_as_one_and_order_is_kept() {
        let mut incoming = Incoming::default();
        let mut offsets = [0u64, 0];
        let mut put = |incoming: &mut Incoming, output: Output, bytes: Bytes| {
            let offset = &mut offsets[usize::from(output == Output::Stderr)];
            let at = *offset;
            *offset += bytes.len() as u64;
            incoming.output(output, at, bytes);
        };
        for _ in 0..1000 {
            put(&mut incoming, Output::Stdout, Bytes::from_static(b"0123456789"));
        }
        put(&mut incoming, Output::Stderr, Bytes::from_static(b"e"));
        put(&mut incoming, Output::Stdout, vec![b'x'; tuning::LARGE].into());
        put(&mut incoming, Output::Stdout, Bytes::from_static(b"last"));
        incoming.push(Item::Started(1));
        let mut told = vec![];
        while let Some(item) = incoming.pop() {
            told.push(match item {
                Item::Output { output, offset, bytes } => (output == Output::Stdout, offset, bytes.len()),
                _ => (true, 0, 0),
            });
        }
        let large = tuning::LARGE;
        assert_eq!(
            told,
            [
                (true, 0, 10),
                (true, 10, 9_990),
                (false, 0, 1),
                (true, 10_000, large),
                (true, 10_000 + large as u64, 4),
                (true, 0, 0)
            ]
        );
    }
}
