//! The keys that let a client go while the process goes on: a pure scanner over its input.

use bytes::Bytes;

use crate::{Error, ErrorKind, Result};

/// Docker's default: ctrl-p, ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Looks for the detach keys in what a client writes. Bytes that may be the beginning of the
/// keys are held back until it is known that they are not.
#[derive(Debug, Clone)]
pub struct DetachScanner {
    keys: Vec<u8>,
    held: usize,
}

/// What a piece of input comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// What goes on to the process.
    pub forward: Vec<u8>,
    /// The keys were pressed: nothing after them counts.
    pub detached: bool,
}

impl DetachScanner {
    /// From Docker's notation, `ctrl-p,ctrl-q` or `a,b`; none or empty for the default.
    /// Errors: 400 in dockerd's words.
    pub fn parse(keys: Option<&str>) -> Result<Self> {
        let Some(text) = keys.filter(|keys| !keys.is_empty()) else {
            return Ok(Self { keys: DEFAULT.to_vec(), held: 0 });
        };
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        let invalid = || Error::new(ErrorKind::Invalid, format!("Invalid detach keys ({text}) provided"));
        Ok(Self { keys: keys.ok_or_else(invalid)?, held: 0 })
    }

    /// The keys themselves.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// The next piece of input without the keys, where there are such, and whether they were pressed.
    pub(crate) fn pass(keys: &mut Option<Self>, input: Bytes) -> (Bytes, bool) {
        match keys {
            Some(keys) => {
                let scanned = keys.scan(&input);
                (Bytes::from(scanned.forward), scanned.detached)
            }
            None => (input, false),
        }
    }

    /// Takes the next piece of input.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut forward = Vec::with_capacity(input.len() + self.held);
        for &byte in input {
            // Not the keys after all: the first held byte goes on, the rest may still begin them.
            while self.held > 0 && self.keys[self.held] != byte {
                forward.push(self.keys[0]);
                let held = &self.keys[1..self.held];
                self.held =
                    (0..=held.len()).rev().find(|length| held.ends_with(&self.keys[..*length])).unwrap_or(0);
                forward.extend_from_slice(&held[..held.len() - self.held]);
            }
            if self.keys[self.held] != byte {
                forward.push(byte);
                continue;
            }
            self.held += 1;
            if self.held == self.keys.len() {
                self.held = 0;
                return Scanned { forward, detached: true };
            }
        }
        Scanned { forward, detached: false }
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return Some(*byte);
    }
    let control = text.strip_prefix("ctrl-")?;
    match control.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_keys_detach_wherever_the_input_is_cut() {
        let mut scanner = DetachScanner::parse(None).unwrap();
        assert_eq!(scanner.scan(b"ls\x10"), Scanned { forward: b"ls".to_vec(), detached: false });
        assert_eq!(scanner.scan(b"\x11rest"), Scanned { forward: Vec::new(), detached: true });
    }

    #[test]
    fn half_of_the_keys_is_input() {
        let mut scanner = DetachScanner::parse(Some("a,a,b")).unwrap();
        assert_eq!(scanner.scan(b"aaac").forward, b"aaac");
        assert!(scanner.scan(b"aaab").detached);
    }

    #[test]
    fn malformed_keys_are_refused() {
        for bad in ["ctrl-", "ctrl-!", "ab", "a,,b", "ctrl-p,"] {
            let message = format!("Invalid detach keys ({bad}) provided");
            assert_eq!(DetachScanner::parse(Some(bad)).unwrap_err().message, message);
        }
    }

    proptest! {
        #[test]
        fn the_scanner_finds_what_a_search_over_the_whole_input_finds(
            keys in "[ab]{1,3}",
            input in "[abc]{0,40}",
            cut in 0..40usize,
        ) {
            let notation: Vec<String> = keys.chars().map(String::from).collect();
            let mut scanner = DetachScanner::parse(Some(&notation.join(","))).unwrap();
            let cut = cut.min(input.len());
            let first = scanner.scan(&input.as_bytes()[..cut]);
            let mut forward = first.forward;
            let mut detached = first.detached;
            if !detached {
                let second = scanner.scan(&input.as_bytes()[cut..]);
                forward.extend(second.forward);
                detached = second.detached;
            }
            match input.find(&keys) {
                Some(at) => {
                    prop_assert!(detached);
                    prop_assert_eq!(forward, &input.as_bytes()[..at]);
                }
                None => {
                    prop_assert!(!detached);
                    forward.extend(&keys.as_bytes()[..scanner.held]);
                    prop_assert_eq!(forward, input.as_bytes());
                }
            }
        }
    }
}
