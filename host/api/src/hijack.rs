//! Taking a connection over from HTTP, as attach does.
//!
//! hyper's own upgrades know the status 101 alone; Docker's clients without an `Upgrade` header
//! want a plain 200 followed by raw bytes both ways. So a handler hands the rest of the
//! connection's life to whoever serves it (see `listen`), for both kinds alike.

use std::{
    convert::Infallible,
    future::Future,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
};

use axum::{body::Body, extract::FromRequestParts};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header, request::Parts};
use sockerless_engine::Input;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::mpsc,
    time::timeout,
};

use crate::{errors::ApiError, framing::Encoded, head::Head, limits};

/// Both ways of a client's connection.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket, if the client is on this machine and behind no port: then what it has read can be seen.
    fn local(&self) -> Option<BorrowedFd<'_>>;
}

impl Connection for UnixStream {
    fn local(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl Connection for TcpStream {
    fn local(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Boxed [`Connection`].
pub type BoxConnection = Box<dyn Connection>;

type Work = Box<dyn FnOnce(BoxConnection, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What becomes of a connection.
pub struct Takeover {
    /// To be written first.
    pub head: Head,
    /// The rest; gets the connection and what was already read of it.
    pub work: Work,
}

/// Where a handler asks for its connection.
#[derive(Clone)]
pub struct Slot(mpsc::Sender<Takeover>);

impl Slot {
    /// A slot, and the end at which the connection's server listens.
    pub fn new() -> (Self, mpsc::Receiver<Takeover>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Takes the connection. Does not return: the server drops the handler with HTTP itself.
    pub async fn take<F, W>(self, head: Head, work: W) -> Result<Infallible, ApiError>
    where
        F: Future<Output = ()> + Send + 'static,
        W: FnOnce(BoxConnection, Bytes) -> F + Send + 'static,
    {
        let takeover =
            Takeover { head, work: Box::new(move |connection, read| Box::pin(work(connection, read))) };
        match self.0.send(takeover).await {
            Ok(()) => std::future::pending().await,
            Err(_) => Err(impossible()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Slot {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(impossible)
    }
}

fn impossible() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "this connection cannot be taken over from HTTP")
}

/// Reads a request's body to its end, so that what follows on the connection is the stream.
/// A body without a length is part of the stream.
pub async fn skip_body(request: &HeaderMap, body: Body) -> Result<(), ApiError> {
    if request.contains_key(header::CONTENT_LENGTH) {
        axum::body::to_bytes(body, limits::JSON_BODY)
            .await
            .map_err(|error| ApiError::invalid(format!("reading request body: {error}")))?;
    }
    Ok(())
}

/// Carries output to the client and input from it until the output ends (with the container's run,
/// or because the client detached) or the client is gone. The client's half-close closes the input
/// alone.
pub async fn pump(
    connection: BoxConnection,
    read: Bytes,
    mut output: Encoded,
    input: Option<Box<dyn Input>>,
) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let receive = async {
        receive(&mut reader, read, input).await;
        std::future::pending().await
    };
    let deliver = async {
        while let Some(bytes) = output.next().await {
            if let Err(error) = writer.write_all(&bytes).await {
                tracing::debug!(%error, "the attached client is gone");
                return false;
            }
        }
        true
    };
    let delivered = tokio::select! {
        delivered = deliver => delivered,
        delivered = receive => delivered,
    };
    if delivered && writer.shutdown().await.is_ok() {
        // The client may be sending still: closing now could reset what it has not read yet.
        let _ = timeout(limits::LINGER, discard(&mut reader)).await;
    }
}

/// Carries the client's bytes to the container until there are no more.
async fn receive<R: AsyncRead + Unpin>(reader: &mut R, read: Bytes, input: Option<Box<dyn Input>>) {
    let Some(mut input) = input else { return discard(reader).await };
    let mut buffer = BytesMut::from(read.as_ref());
    loop {
        if !buffer.is_empty()
            && let Err(error) = input.write(buffer.split().freeze()).await
        {
            tracing::debug!(%error, "the container takes no more input");
            return discard(reader).await;
        }
        buffer.reserve(limits::INPUT_PIECE);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the attached client is gone");
                break;
            }
        }
    }
    if let Err(error) = input.close().await {
        tracing::debug!(%error, "input was closed already");
    }
}

/// Reads what nobody wants, so that it does not pile up in the client's socket.
async fn discard<R: AsyncRead + Unpin>(reader: &mut R) {
    // However the reading ends, the client's side has ended.
    let _ = tokio::io::copy(reader, &mut tokio::io::sink()).await;
}
