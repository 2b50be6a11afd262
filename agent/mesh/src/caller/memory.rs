//! The program's memory.

use std::io::{IoSlice, IoSliceMut};

use nix::{
    sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev},
    unistd::Pid,
};
use rustix::io::Errno;

use super::Call;

/// A range of the program's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) base: u64,
    pub(crate) len: usize,
}

/// One call of the kernel takes at most so many (`UIO_MAXIOV`).
const PIECES: usize = 1024;

impl Call {
    /// Reads exactly as much as fits.
    ///
    /// # Errors
    /// `EFAULT` when the program has no such memory; `EPERM` when this process may not look at it.
    pub(crate) fn read(&self, base: u64, into: &mut [u8]) -> Result<(), Errno> {
        let piece = Piece { base, len: into.len() };
        self.gather(&[piece], into)
    }

    /// Reads as many bytes as `into` takes, from pieces that hold at least as many.
    pub(crate) fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<(), Errno> {
        let mut rest = into;
        for pieces in limited(pieces, rest.len()).chunks(PIECES) {
            let (now, later) = rest.split_at_mut(pieces.iter().map(|piece| piece.len).sum());
            let thread = Pid::from_raw(self.thread());
            let length = now.len();
            self.look(|| {
                let count = process_vm_readv(thread, &mut [IoSliceMut::new(now)], &remote(pieces));
                whole(count, length)
            })?;
            rest = later;
        }
        if rest.is_empty() { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// Writes all of it.
    pub(crate) fn write(&self, base: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.scatter(&[Piece { base, len: bytes.len() }], bytes)
    }

    /// Writes as much as the pieces hold.
    pub(crate) fn scatter(&self, pieces: &[Piece], bytes: &[u8]) -> Result<(), Errno> {
        let mut rest = bytes;
        for pieces in limited(pieces, rest.len()).chunks(PIECES) {
            let (now, later) = rest.split_at(pieces.iter().map(|piece| piece.len).sum());
            let thread = Pid::from_raw(self.thread());
            self.look(|| {
                let count = process_vm_writev(thread, &[IoSlice::new(now)], &remote(pieces));
                whole(count, now.len())
            })?;
            rest = later;
        }
        Ok(())
    }
}

/// The first of the pieces, of `most` bytes together; none is empty.
fn limited(pieces: &[Piece], most: usize) -> Vec<Piece> {
    let mut left = most;
    let take = |piece: &Piece| {
        let len = piece.len.min(left);
        left -= len;
        Piece { base: piece.base, len }
    };
    pieces.iter().map(take).filter(|piece| piece.len > 0).collect()
}

fn remote(pieces: &[Piece]) -> Vec<RemoteIoVec> {
    // Addresses of both processes have the same width: others' calls are not caught.
    pieces.iter().map(|piece| RemoteIoVec { base: piece.base as usize, len: piece.len }).collect()
}

fn whole(count: nix::Result<usize>, wanted: usize) -> Result<(), Errno> {
    match count {
        Ok(count) if count == wanted => Ok(()),
        Ok(_) => Err(Errno::FAULT),
        Err(errno) => Err(Errno::from_raw_os_error(errno as i32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_where_the_bytes_end() {
        let piece = |base, len| Piece { base, len };
        let pieces = [piece(10, 4), piece(50, 0), piece(60, 9)];
        assert_eq!(limited(&pieces, 6), [piece(10, 4), piece(60, 2)]);
        assert_eq!(limited(&pieces, 4), [piece(10, 4)]);
        assert_eq!(limited(&pieces, 99), [piece(10, 4), piece(60, 9)]);
    }
}
