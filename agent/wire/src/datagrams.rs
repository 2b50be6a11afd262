//! Datagrams, and lists of ports, in a channel's bytes: each as its length (two bytes, big endian) and its bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Appends a datagram. One that is longer than any datagram can be is left out.
pub fn put(buffer: &mut BytesMut, datagram: &[u8]) {
    if let Ok(length) = u16::try_from(datagram.len()) {
        buffer.put_u16(length);
        buffer.put_slice(datagram);
    }
}

/// Makes datagrams out of bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Datagrams(BytesMut);

impl Datagrams {
    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Where to read more bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// The next whole datagram.
    #[allow(clippy::should_implement_trait)] // None is not the end.
    pub fn next(&mut self) -> Option<Bytes> {
        let length = usize::from(u16::from_be_bytes(*self.0.first_chunk::<2>()?));
        if self.0.len() < 2 + length {
            return None;
        }
        self.0.advance(2);
        Some(self.0.split_to(length).freeze())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn datagrams_stay_whole_however_their_bytes_are_cut(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            cut in 1usize..64,
        ) {
            let mut bytes = BytesMut::new();
            sent.iter().for_each(|datagram| put(&mut bytes, datagram));
            let mut datagrams = Datagrams::default();
            let mut received = Vec::new();
            for piece in bytes.chunks(cut) {
                datagrams.push(piece);
                received.extend(std::iter::from_fn(|| datagrams.next()).map(|bytes| bytes.to_vec()));
            }
            prop_assert_eq!(received, sent);
        }
    }

    #[test]
    fn what_is_too_long_for_a_datagram_is_left_out() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, &[0; 65_536]);
        assert!(bytes.is_empty());
    }
}
