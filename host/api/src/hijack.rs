//! Taking a connection over from HTTP, as attach does.
//!
//! hyper's own upgrades know the status 101 alone; Docker's clients without an `Upgrade` header
//! want a plain 200 followed by raw bytes both ways. So a handler hands the rest of the
//! connection's life to whoever serves it (see `listen`), for both kinds alike.

use std::{convert::Infallible, future::Future, pin::Pin};

use axum::{body::Body, extract::FromRequestParts};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use sockerless_engine::Input;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{errors::ApiError, framing::Encoded, headers, limits};

/// Both ways of a client's connection.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Boxed [`Connection`].
pub type BoxConnection = Box<dyn Connection>;

type Work = Box<dyn FnOnce(BoxConnection, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What becomes of a connection.
pub struct Takeover {
    /// The head of the answer, to be written first.
    pub head: Bytes,
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
    pub async fn take<F, W>(self, head: Bytes, work: W) -> Result<Infallible, ApiError>
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

/// The answer's head: 101 for a client that asked for an upgrade, else a plain 200 that ends with
/// the connection.
pub fn head(request: &HeaderMap, content_type: &HeaderValue) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    if request.contains_key(header::UPGRADE) {
        head.put_slice(b"HTTP/1.1 101 UPGRADED\r\nContent-Type: ");
        head.put_slice(content_type.as_bytes());
        head.put_slice(b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n");
    } else {
        head.put_slice(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n");
    }
    finish_head(head)
}

/// Adds the headers of every answer and the empty line.
pub fn finish_head(mut head: BytesMut) -> Bytes {
    for (name, value) in headers::common() {
        head.put_slice(name.as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.freeze()
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
    let apart = Instant::now() + limits::HEAD_ALONE;
    let receive = async {
        receive(&mut reader, read, input).await;
        std::future::pending().await
    };
    let deliver = async {
        while let Some(bytes) = output.next().await {
            // Some clients (docker-py) lose what they read together with the head. At a start, this time is long over.
            sleep_until(apart).await;
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use sockerless_engine::{OutputChunk, OutputStream};
    use sockerless_ports::link::Output;

    use super::*;
    use crate::framing::Form;

    #[tokio::test(start_paused = true)]
    async fn the_first_output_does_not_come_in_one_piece_with_the_head() {
        let chunk = OutputChunk { output: Output::Stdout, bytes: Bytes::from_static(b"hi\n") };
        let output = OutputStream { tty: true, chunks: stream::iter([Ok(chunk)]).boxed() };
        let form = Form::of(&output);
        let (server, mut client) = tokio::io::duplex(1024);
        let pumped = tokio::spawn(pump(Box::new(server), Bytes::new(), Encoded::new(output, form), None));
        let mut buffer = [0; 16];
        let early = timeout(limits::HEAD_ALONE / 3, client.read(&mut buffer)).await;
        assert!(early.is_err(), "a client that reads more than the head would have lost it");
        let read = client.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], b"hi\n");
        drop(client);
        pumped.await.unwrap();
    }
}
