//! The process's output, to the daemon and to the cloud's log.

pub mod tee;

use std::rc::Rc;

use bytes::BytesMut;
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, time::timeout};

use self::tee::Tee;
use crate::{
    shared::{Output, Shared},
    tuning,
};

/// Reads until the end of the output. Where the daemon takes nothing and the buffer is full, it stops reading, and so the
/// process stops writing.
pub async fn carry(shared: Rc<Shared>, output: Output, mut from: Receiver, tee: Tee) {
    let mut buffer = BytesMut::new();
    loop {
        shared.room(output).await;
        if buffer.capacity() < tuning::PIECE_LEAST {
            buffer.reserve(tuning::PIECE);
        }
        let read = from.read_buf(&mut buffer);
        let read = tokio::select! {
            biased;
            read = read => read,
            () = abandoned(&shared) => return,
        };
        match read {
            // A terminal's end is an error.
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let bytes = buffer.split().freeze();
                tee.offer(&bytes);
                shared.output(output, bytes);
            }
        }
    }
}

/// All who could write are gone, as far as we know, and still the pipe is neither readable nor closed.
async fn abandoned(shared: &Shared) {
    shared.until(|state| state.gone.then_some(())).await;
    let _ = timeout(tuning::REST, std::future::pending::<()>()).await;
}
