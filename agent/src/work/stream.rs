//! Between the agent's one thread and the threads that work on files: pieces of bytes, few of them at a time, so that who
//! is faster waits.

use std::{fs::File, io};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use sockerless_agent_wire::{
    limits,
    request::{Fault, FaultKind, Reply},
};
use tokio::sync::{mpsc, oneshot};

use super::fault::fault;

/// What a worker's thread writes to: a reply first, then bytes.
pub struct Out {
    reply: Option<oneshot::Sender<Reply>>,
    pieces: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl Out {
    /// Sends a reply to the one, pieces to the other.
    pub fn new(reply: oneshot::Sender<Reply>, pieces: mpsc::Sender<Bytes>) -> Self {
        Self { reply: Some(reply), pieces, piece: Vec::new() }
    }

    /// Says the reply; only the first counts.
    pub fn reply(&mut self, reply: Reply) {
        if let Some(to) = self.reply.take() {
            // Who does not listen any more shows that at the next piece.
            let _ = to.send(reply);
        }
    }

    /// Where something small is appended to; [`Out::sent`] is to follow.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(limits::DATA);
        }
        &mut self.piece
    }

    /// Sends what was appended once it is much.
    pub fn sent(&mut self) -> Result<(), Fault> {
        if self.piece.len() >= limits::DATA { self.flush() } else { Ok(()) }
    }

    /// Sends what was appended.
    pub fn flush(&mut self) -> Result<(), Fault> {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.blocking_send(piece.into()).map_err(|_| closed())
    }

    /// Appends the next bytes of a file, which has at most `most` left; gives how many there were. Errors: the outer one if
    /// nobody wants more, the inner one if the file cannot be read.
    pub fn copy(&mut self, file: &File, most: u64) -> Result<io::Result<usize>, Fault> {
        if self.piece.len() >= limits::DATA {
            self.flush()?;
        }
        let before = self.buffer().len();
        let count = loop {
            match rustix::io::read(file, spare_capacity(&mut self.piece)) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Ok(Err(error.into())),
                Ok(count) => break count,
            }
        };
        // A file that grows is copied as it was.
        let count = count.min(usize::try_from(most).unwrap_or(usize::MAX));
        self.piece.truncate(before + count);
        Ok(Ok(count))
    }

    /// Appends zeros.
    pub fn zeros(&mut self, mut count: u64) -> Result<(), Fault> {
        while count > 0 {
            self.sent()?;
            let buffer = self.buffer();
            let some = count.min((limits::DATA - buffer.len()) as u64);
            buffer.resize(buffer.len() + some as usize, 0);
            count -= some;
        }
        self.sent()
    }
}

/// Nobody wants the rest.
fn closed() -> Fault {
    fault(FaultKind::Internal, "the request was taken back")
}

/// What a worker's thread reads from.
pub struct In {
    pieces: mpsc::Receiver<Option<Bytes>>,
    is_over: bool,
}

impl In {
    /// Pieces, and none at their end; without that the request was taken back.
    pub fn new(pieces: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self { pieces, is_over: false }
    }

    /// The next piece; none at the end.
    pub fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.is_over {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) if piece.is_empty() => {}
                Some(Some(piece)) => return Ok(Some(piece)),
                Some(None) => self.is_over = true,
                None => return Err(closed()),
            }
        }
        Ok(None)
    }
}

/// Faults on the way through many files: the first is told, the others are counted.
#[derive(Debug, Default)]
pub struct Problems {
    first: Option<Fault>,
    more: u64,
}

impl Problems {
    /// Notes one.
    pub fn note(&mut self, fault: Fault) {
        match self.first {
            Some(_) => self.more += 1,
            None => self.first = Some(fault),
        }
    }

    /// All went well, or what did not.
    pub fn result(self) -> Result<(), Fault> {
        match self.first {
            None => Ok(()),
            Some(first) if self.more == 0 => Err(first),
            Some(Fault { kind, message }) => {
                Err(fault(kind, format!("{message} (and {} more like it)", self.more)))
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Runs a worker; gives its reply, what it wrote, and how it went.
    pub fn collect<T>(
        work: impl FnOnce(&mut Out) -> Result<T, Fault>,
    ) -> (Option<Reply>, Vec<u8>, Result<T, Fault>) {
        let (reply, mut replied) = oneshot::channel();
        let (pieces, mut came) = mpsc::channel(100_000);
        let mut out = Out::new(reply, pieces);
        let result = work(&mut out).and_then(|end| out.flush().map(|()| end));
        drop(out);
        let mut all = Vec::new();
        while let Ok(piece) = came.try_recv() {
            assert!(piece.len() <= limits::DATA);
            all.extend_from_slice(&piece);
        }
        (replied.try_recv().ok(), all, result)
    }

    /// What a worker reads, in pieces of a size.
    pub fn input(bytes: &[u8], size: usize) -> In {
        let (pieces, came) = mpsc::channel(bytes.len() / size + 2);
        bytes.chunks(size).for_each(|piece| pieces.try_send(Some(Bytes::copy_from_slice(piece))).unwrap());
        pieces.try_send(None).unwrap();
        In::new(came)
    }

    #[test]
    fn an_input_that_is_taken_back_is_not_taken_for_complete() {
        let (pieces, came) = mpsc::channel(2);
        pieces.try_send(Some(Bytes::from_static(b"x"))).unwrap();
        drop(pieces);
        let mut input = In::new(came);
        assert_eq!(input.next().unwrap().unwrap(), "x");
        assert!(input.next().is_err());
    }

    #[test]
    fn of_many_faults_the_first_is_told_and_the_others_are_counted() {
        let mut problems = Problems::default();
        problems.note(fault(FaultKind::Forbidden, "open /a: permission denied"));
        problems.note(fault(FaultKind::Internal, "b"));
        let told = problems.result().unwrap_err();
        assert_eq!(
            (told.kind, told.message.as_str()),
            (FaultKind::Forbidden, "open /a: permission denied (and 1 more like it)")
        );
    }
}
