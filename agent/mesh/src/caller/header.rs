//! Messages' headers in the program's memory: `struct msghdr`, `mmsghdr` and `iovec`, 64 bits wide.

use rustix::io::Errno;

use super::{Call, Piece};

/// Length of `struct msghdr`.
const LENGTH: usize = 56;
/// Offset of `msg_len` in `struct mmsghdr`.
pub(crate) const MESSAGE_LENGTH: u64 = LENGTH as u64;
/// Length of `struct mmsghdr`.
const VECTORED: u64 = 64;
/// More pieces, or messages, in one call are refused by the kernel (`UIO_MAXIOV`).
const MOST: u64 = 1024;

/// One `msghdr`.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Where it stands.
    pub(crate) base: u64,
    pub(crate) name: u64,
    pub(crate) name_length: u32,
    vector: u64,
    vectors: u64,
    pub(crate) control: u64,
    pub(crate) control_length: u64,
}

/// The messages of one `sendmmsg` or `recvmmsg`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vectored {
    base: u64,
    count: u64,
}

impl Vectored {
    pub(crate) fn new(base: u64, count: u64) -> Self {
        // The kernel, too, takes no more than so many and answers how many they were.
        Self { base, count: (count & 0xffff_ffff).min(MOST) }
    }

    /// Where each `mmsghdr` stands.
    pub(crate) fn places(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |index| self.base.wrapping_add(index * VECTORED))
    }
}

impl Call {
    pub(crate) fn header(&self, base: u64) -> Result<Header, Errno> {
        let mut bytes = [0; LENGTH];
        self.read(base, &mut bytes)?;
        let word = |at: usize| {
            bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_ne_bytes)
        };
        Ok(Header {
            base,
            name: word(0),
            // An `int` with padding behind it.
            name_length: word(8) as u32,
            vector: word(16),
            vectors: word(24),
            control: word(32),
            control_length: word(40),
        })
    }

    /// Where the message's data is.
    pub(crate) fn pieces(&self, header: &Header) -> Result<Vec<Piece>, Errno> {
        if header.vectors > MOST {
            return Err(Errno::MSGSIZE);
        }
        let mut bytes = vec![0; header.vectors as usize * 16];
        self.read(header.vector, &mut bytes)?;
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let piece = |bytes: &[u8]| Piece { base: word(&bytes[..8]), len: word(&bytes[8..]) as usize };
        Ok(bytes.chunks_exact(16).map(piece).collect())
    }

    /// Fills in what `recvmsg` tells in the header itself.
    pub(crate) fn fill(
        &self,
        header: &Header,
        name_length: usize,
        control: usize,
        flags: i32,
    ) -> Result<(), Errno> {
        if header.name != 0 {
            self.write(header.base + 8, &(name_length as u32).to_ne_bytes())?;
        }
        self.write(header.base + 40, &(control as u64).to_ne_bytes())?;
        self.write(header.base + 48, &flags.to_ne_bytes())
    }
}
