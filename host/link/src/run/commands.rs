//! Numbered commands to the agent: carried out exactly once, across cuts and restarts of the daemon.

use std::collections::VecDeque;

use crate::tuning;

/// Signals that the agent has not acknowledged.
#[derive(Debug, Default)]
pub struct Commands {
    waiting: VecDeque<i32>,
    /// How many of them were sent on this connection.
    sent: usize,
    /// The first one's number, known once the agent has said how far it is.
    first: Option<u64>,
}

impl Commands {
    /// Adds one; false if there is no room. As the kernel does, a signal that waits already is not queued twice.
    pub fn push(&mut self, signal: i32) -> bool {
        if self.waiting.iter().skip(self.sent).any(|waiting| *waiting == signal) {
            return true;
        }
        let room = self.waiting.len() < tuning::COMMANDS;
        if room {
            self.waiting.push_back(signal);
        }
        room
    }

    /// The agent has carried out those up to `number`.
    pub fn done(&mut self, number: u64) {
        let Some(first) = &mut self.first else { return };
        while *first <= number && self.waiting.pop_front().is_some() {
            *first += 1;
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// A new connection to an agent that has carried out those up to `number`.
    pub fn resume(&mut self, number: u64) {
        self.done(number);
        self.sent = 0;
        self.first = Some(number.saturating_add(1));
    }

    /// The next one to send, with its number.
    pub fn next(&mut self) -> Option<(u64, i32)> {
        let signal = *self.waiting.get(self.sent)?;
        let number = self.first? + self.sent as u64;
        self.sent += 1;
        Some((number, signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_was_not_acknowledged_is_sent_again_with_the_same_number() {
        let mut commands = Commands::default();
        assert!(commands.push(15));
        assert_eq!(commands.next(), None, "nothing is numbered before the agent has come");
        commands.resume(3);
        assert!(commands.push(1));
        assert!(commands.push(1));
        assert_eq!(commands.next(), Some((4, 15)));
        assert_eq!(commands.next(), Some((5, 1)));
        assert_eq!(commands.next(), None);
        commands.resume(4);
        assert_eq!(commands.next(), Some((5, 1)));
        assert_eq!(commands.next(), None);
        assert!(commands.push(1));
        assert_eq!(commands.next(), Some((6, 1)), "the first was on its way");
        commands.done(6);
        commands.resume(6);
        assert_eq!(commands.next(), None);
    }
}
