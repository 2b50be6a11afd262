//! A body that is handed on as a stream, and of which the rest is read when nobody wants it.
//!
//! A client that is still writing when it is refused would find its connection closed and miss the answer: Python's and
//! Go's clients do. So some more is read, as Go's server does.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sockerless_ports::registry::Archive;

use crate::limits;

/// The rest of a body.
pub struct Rest(Arc<Mutex<BodyDataStream>>);

struct Shared(Arc<Mutex<BodyDataStream>>);

/// A body as an archive, and what will be left of it.
pub fn archive(body: Body) -> (Archive, Rest) {
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    (Shared(Arc::clone(&body)).boxed(), Rest(body))
}

impl Stream for Shared {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Nothing panics while it is locked.
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context).map(|piece| piece.map(|piece| piece.map_err(io::Error::other)))
    }
}

impl Rest {
    /// Reads what is left, up to a limit. Only after the archive is not read any more.
    pub async fn drain(self) {
        let mut rest = Shared(self.0);
        let mut read = 0;
        while let Some(Ok(piece)) = rest.next().await {
            read += piece.len();
            if read > limits::UNWANTED_BODY {
                return;
            }
        }
    }
}
