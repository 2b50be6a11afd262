//! The keys that leave a container's terminal without ending its process.

use bytes::{Bytes, BytesMut};

use crate::errors::ApiError;

/// Docker's default: ctrl-p, ctrl-q.
const DEFAULT: &[u8] = &[16, 17];

/// Looks for the keys in what a client types and keeps them from the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// How many of them came already; they are held back.
    seen: usize,
}

/// What is left of typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// For the container; perhaps less than was typed.
    Input(Bytes),
    /// For the container what came before the keys; the client leaves.
    Detached(Bytes),
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`: letters or `ctrl-` with a letter or one of `@[\]^_`, and `DEL`.
    /// None stands for the default.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let keys = match text {
            None => Some(DEFAULT.to_vec()),
            Some(text) => text.split(',').map(key).collect(),
        };
        let error =
            || ApiError::invalid(format!("Invalid detach keys ({}) provided", text.unwrap_or_default()));
        keys.map(|keys| Self { keys, seen: 0 }).ok_or_else(error)
    }

    /// Takes what was typed.
    pub fn filter(&mut self, typed: Bytes) -> Typed {
        if self.seen == 0 && !typed.iter().any(|byte| self.keys.first() == Some(byte)) {
            return Typed::Input(typed);
        }
        let mut input = BytesMut::with_capacity(self.seen + typed.len());
        for byte in typed {
            if self.keys.get(self.seen) == Some(&byte) {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    self.seen = 0;
                    return Typed::Detached(input.freeze());
                }
                continue;
            }
            input.extend_from_slice(&self.keys[..self.seen]);
            self.seen = usize::from(self.keys.first() == Some(&byte));
            if self.seen == 0 {
                input.extend_from_slice(&[byte]);
            }
        }
        Typed::Input(input.freeze())
    }

    /// The keys held back, when nothing more is typed.
    pub fn rest(&mut self) -> Bytes {
        let rest = Bytes::copy_from_slice(&self.keys[..self.seen]);
        self.seen = 0;
        rest
    }
}

fn key(text: &str) -> Option<u8> {
    let letter = |text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    };
    match text.strip_prefix("ctrl-") {
        Some(text) => match letter(text)? {
            byte @ b'a'..=b'z' => Some(byte - b'a' + 1),
            byte @ (b'@' | b'['..=b'_') => Some(byte - b'@'),
            _ => None,
        },
        None if text == "DEL" => Some(127),
        None => letter(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_read_as_docker_writes_them() {
        for (text, keys) in [
            (None, vec![16, 17]),
            (Some("ctrl-a"), vec![1]),
            (Some("ctrl-@,ctrl-[,ctrl-\\,ctrl-_"), vec![0, 27, 28, 31]),
            (Some("a,b,DEL"), vec![97, 98, 127]),
        ] {
            assert_eq!(DetachKeys::parse(text).unwrap().keys, keys);
        }
        for text in ["", "ctrl-", "ctrl-A", "ctrl-p,,ctrl-q", "ab", "ctrl-é"] {
            let error = DetachKeys::parse(Some(text)).unwrap_err();
            assert_eq!(error, ApiError::invalid(format!("Invalid detach keys ({text}) provided")));
        }
    }

    #[test]
    fn the_keys_detach_even_when_they_come_one_by_one() {
        let mut keys = DetachKeys::parse(None).unwrap();
        assert_eq!(keys.filter("ls\n\x10".into()), Typed::Input("ls\n".into()));
        assert_eq!(keys.filter("\x11rest".into()), Typed::Detached(Bytes::new()));
    }

    #[test]
    fn a_sequence_that_breaks_off_reaches_the_container() {
        let mut keys = DetachKeys::parse(None).unwrap();
        assert_eq!(keys.filter("\x10".into()), Typed::Input(Bytes::new()));
        assert_eq!(keys.filter("x".into()), Typed::Input("\x10x".into()));
        assert_eq!(keys.filter("\x10\x10\x11".into()), Typed::Detached("\x10".into()));
        assert_eq!(keys.filter("\x10".into()), Typed::Input(Bytes::new()));
        assert_eq!(keys.rest(), "\x10");
        assert_eq!(keys.rest(), "");
    }

    proptest! {
        #[test]
        fn without_the_keys_every_byte_arrives(pieces in prop::collection::vec(prop::collection::vec(14..18_u8, 0..6), 0..12)) {
            let whole: Vec<u8> = pieces.concat();
            prop_assume!(!whole.windows(2).any(|pair| pair == DEFAULT));
            let mut keys = DetachKeys::parse(None).unwrap();
            let mut arrived = Vec::new();
            for piece in pieces {
                match keys.filter(piece.into()) {
                    Typed::Input(input) => arrived.extend_from_slice(&input),
                    Typed::Detached(_) => prop_assert!(false, "detached"),
                }
            }
            arrived.extend_from_slice(&keys.rest());
            prop_assert_eq!(arrived, whole);
        }
    }
}
