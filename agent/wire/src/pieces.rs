//! What has come and waits to be read.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces from this size on are kept as they came, bytes. Smaller ones are copied and put together: each would keep the whole
/// message alive in which it came, and cost more than its bytes.
const LARGE: usize = 16 << 10;
/// What small pieces are put together into, bytes.
const GATHERED: usize = 64 << 10;

/// Pieces of one or several streams (told apart by `T`), in the order of their arrival. The streams' credit bounds it.
#[derive(Debug)]
pub struct Pieces<T> {
    whole: VecDeque<(T, Bytes)>,
    /// Small pieces of one stream, behind the others.
    tail: Option<(T, BytesMut)>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { whole: VecDeque::new(), tail: None }
    }
}

impl<T: Copy + PartialEq> Pieces<T> {
    /// Adds a piece.
    pub fn push(&mut self, of: T, bytes: Bytes) {
        if bytes.len() >= LARGE {
            self.close();
            return self.whole.push_back((of, bytes));
        }
        match &mut self.tail {
            Some((tail, gathered)) if *tail == of && gathered.len() + bytes.len() <= GATHERED => {
                gathered.extend_from_slice(&bytes);
            }
            _ if bytes.is_empty() => {}
            _ => {
                self.close();
                self.tail = Some((of, BytesMut::from(&bytes[..])));
            }
        }
    }

    fn close(&mut self) {
        if let Some((of, bytes)) = self.tail.take() {
            self.whole.push_back((of, bytes.freeze()));
        }
    }

    /// The oldest piece.
    pub fn pop(&mut self) -> Option<(T, Bytes)> {
        if self.whole.is_empty() {
            self.close();
        }
        let piece = self.whole.pop_front();
        if self.whole.is_empty() && self.whole.capacity() > 16 {
            self.whole = VecDeque::new();
        }
        piece
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.tail.is_none()
    }

    /// Forgets all; gives the number of bytes.
    pub fn clear(&mut self) -> usize {
        let tail = self.tail.take().map_or(0, |(_, bytes)| bytes.len());
        std::mem::take(&mut self.whole).into_iter().map(|(_, bytes)| bytes.len()).sum::<usize>() + tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_put_together_and_order_is_kept() {
        let mut pieces = Pieces::default();
        for _ in 0..100 {
            pieces.push('a', Bytes::from_static(b"0123456789"));
        }
        pieces.push('b', Bytes::from_static(b"b"));
        pieces.push('a', vec![b'x'; LARGE].into());
        pieces.push('a', Bytes::from_static(b"last"));
        let sizes: Vec<_> =
            std::iter::from_fn(|| pieces.pop()).map(|(of, bytes)| (of, bytes.len())).collect();
        assert_eq!(sizes, [('a', 1000), ('b', 1), ('a', LARGE), ('a', 4)]);
        pieces.push('a', vec![b'x'; LARGE].into());
        pieces.push('b', Bytes::from_static(b"b"));
        assert_eq!(pieces.clear(), LARGE + 1);
        assert_eq!(pieces.pop(), None);
    }
}
