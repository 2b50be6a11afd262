//! Between streams and blocking work: archives are read and written by threads that may wait.

use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sockerless_ports::registry::Archive;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{Error, ErrorKind, Result, tuning};

/// The writing end; what is written comes out of a stream in pieces. Who reads slowly makes the writer wait, and who stops
/// reading makes it fail.
pub(super) struct Pipe {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

/// A pipe and the stream out of it.
pub(super) fn pipe() -> (Pipe, Archive) {
    let (pieces, receiver) = mpsc::channel(tuning::FILE_PIECES);
    let stream =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (Pipe { pieces, piece: Vec::with_capacity(tuning::FILE_PIECE) }, stream.boxed())
}

impl Pipe {
    /// For telling an error at the end, whoever has the pipe by then.
    pub fn breaker(&self) -> mpsc::Sender<io::Result<Bytes>> {
        self.pieces.clone()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = tuning::FILE_PIECE - self.piece.len();
        let count = bytes.len().min(room);
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == tuning::FILE_PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(tuning::FILE_PIECE));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A stream for a thread that may wait. To be made within the runtime.
pub(super) fn reader(stream: Archive) -> impl Read + Send + 'static {
    io::BufReader::with_capacity(tuning::FILE_PIECE, SyncIoBridge::new(StreamReader::new(stream)))
}

/// What blocking work makes out of a stream. An error of the work is the last thing that comes out.
pub(super) fn through(
    input: Archive,
    work: impl FnOnce(&mut (dyn Read + Send), &mut Pipe) -> io::Result<()> + Send + 'static,
) -> Archive {
    let mut input = reader(input);
    let (mut pipe, output) = pipe();
    tokio::task::spawn_blocking(move || {
        let breaker = pipe.breaker();
        if let Err(error) = work(&mut input, &mut pipe).and_then(|()| pipe.flush()) {
            // Nobody reads any more: that is why it failed.
            let _ = breaker.blocking_send(Err(error));
        }
    });
    output
}

/// Waits for blocking work.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, format!("a task of the daemon failed: {error}")))
    })
}
