//! `GET /containers/{id}/attach/ws`: the container's streams over a websocket, without frames.

use std::{convert::Infallible, io::Cursor};

use axum::{Router, extract::State, routing::get};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use http::{HeaderMap, header};
use sockerless_engine::{AttachRequest, Input};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    framing::{Encoded, Form},
    head::Head,
    hijack::{BoxConnection, Slot},
    limits,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/attach/ws", get(attach))
}

async fn attach(
    State(daemon): State<App>,
    Id(id): Id,
    version: ApiVersion,
    params: Params,
    slot: Slot,
    headers: HeaderMap,
) -> Result<Infallible, ApiError> {
    let head = handshake(&headers)?;
    // Up to API 1.41 a websocket always carried all three.
    let chosen = |name| version < ApiVersion::new(1, 42) || params.flag(name);
    let request = AttachRequest {
        logs: params.flag("logs"),
        stream: params.flag("stream"),
        stdin: chosen("stdin"),
        stdout: chosen("stdout"),
        stderr: chosen("stderr"),
        detach_keys: params.string("detachKeys"),
    };
    let attachment = daemon.attach(&id, request).await?;
    let output = Encoded::new(attachment.output, Form::Raw);
    slot.take(head, move |connection, read| pump(connection, read, output, attachment.input)).await
}

/// The answer's head (RFC 6455, section 4.2.2).
fn handshake(request: &HeaderMap) -> Result<Head, ApiError> {
    let is = |name, value: &str| {
        request
            .get(name)
            .and_then(|header| header.to_str().ok())
            .is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    let key = request
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|_| is(header::UPGRADE, "websocket") && is(header::SEC_WEBSOCKET_VERSION, "13"))
        .ok_or_else(|| ApiError::invalid("this path speaks WebSocket (version 13) alone"))?;
    let mut head = BytesMut::with_capacity(512);
    head.put_slice(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ");
    head.put_slice(derive_accept_key(key.as_bytes()).as_bytes());
    head.put_slice(b"\r\n");
    Ok(Head::finish(head))
}

async fn pump(connection: BoxConnection, read: Bytes, mut output: Encoded, input: Option<Box<dyn Input>>) {
    let (reader, writer) = tokio::io::split(connection);
    let connection = tokio::io::join(Cursor::new(read).chain(reader), writer);
    let (mut sink, mut source) =
        WebSocketStream::from_raw_socket(connection, Role::Server, None).await.split();
    let forward = forward_input(&mut source, input);
    let deliver = async {
        while let Some(bytes) = output.next().await {
            if let Err(error) = sink.send(Message::Binary(bytes)).await {
                tracing::debug!(%error, "the attached client is gone");
                return;
            }
        }
    };
    // A websocket has no half-close: when the client closes, it is gone.
    tokio::select! {
        () = forward => {}
        () = deliver => {}
    }
    if sink.close().await.is_ok() {
        let _ = timeout(limits::LINGER, async { while let Some(Ok(_)) = source.next().await {} }).await;
    }
}

async fn forward_input<S>(source: &mut SplitStream<WebSocketStream<S>>, mut input: Option<Box<dyn Input>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = source.next().await {
        let bytes = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Close(_)) | Err(_) => break,
            Ok(_) => continue,
        };
        if let Some(open) = input.as_mut()
            && let Err(error) = open.write(bytes).await
        {
            tracing::debug!(%error, "the container takes no more input");
            input = None;
        }
    }
    if let Some(mut input) = input
        && let Err(error) = input.close().await
    {
        tracing::debug!(%error, "input was closed already");
    }
}
