//! Whose turn it is to be sent.

use std::collections::{HashSet, VecDeque};

/// Streams that have something to be sent, each once, in the order in which they came to have it. A stream that still has
/// something after its turn is added anew, behind the others: nobody waits for more than one round, and nobody who has
/// nothing is looked at.
#[derive(Debug, Default)]
pub struct Turns {
    queue: VecDeque<u32>,
    waiting: HashSet<u32>,
}

impl Turns {
    /// The stream has something to be sent.
    pub fn add(&mut self, stream: u32) {
        if self.waiting.insert(stream) {
            self.queue.push_back(stream);
        }
    }

    /// The next stream; it is not waiting any more.
    pub fn take(&mut self) -> Option<u32> {
        let stream = self.queue.pop_front()?;
        self.waiting.remove(&stream);
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            // An idle line keeps little.
            *self = Self::default();
        }
        Some(stream)
    }

    /// All that wait, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.queue.iter().copied()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn each_waits_once_and_comes_in_turn() {
        let mut turns = Turns::default();
        for stream in [5, 6, 5, 7] {
            turns.add(stream);
        }
        assert_eq!(turns.take(), Some(5));
        turns.add(5);
        turns.add(6);
        assert_eq!(turns.iter().collect::<Vec<_>>(), [6, 7, 5]);
        assert_eq!(
            [turns.take(), turns.take(), turns.take(), turns.take()],
            [Some(6), Some(7), Some(5), None]
        );
        assert!(turns.is_empty());
    }
}
