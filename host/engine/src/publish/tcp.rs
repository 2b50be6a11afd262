//! Connections of a published TCP port.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use sockerless_ports::link::{
    Channel, Reach, RunId, Target,
    request::{End, Protocol, Reply, Request},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{Engine, tuning};

/// Takes connections as they come; each is a task of its own, which the end of this one leaves alone.
pub(super) async fn serve(engine: Arc<Engine>, run: RunId, port: u16, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                engine.spawn(connection(Arc::clone(&engine), run.clone(), port, stream));
            }
            Err(error) => {
                // Mostly that there are too many open files; the client waits in the queue.
                tracing::warn!(port, %error, "a connection to a published port cannot be taken");
                tokio::time::sleep(tuning::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Carries one connection. As with dockerd's proxy, one that nobody takes in the container is closed again.
async fn connection(engine: Arc<Engine>, run: RunId, port: u16, stream: TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(tuning::KEEPALIVE);
    // Neither is vital.
    let _ = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
    let Some(channel) = dial(&engine, &run, Protocol::Tcp, port).await else { return };
    if !carry(channel.as_ref(), stream).await {
        tracing::debug!(%run, port, "a connection to a published port was broken");
    }
}

/// A connection into the container.
pub(super) async fn dial(
    engine: &Engine,
    run: &RunId,
    protocol: Protocol,
    port: u16,
) -> Option<Box<dyn Channel>> {
    let Some((from, address)) = engine.fabric().gate(run) else {
        tracing::debug!(%run, port, "a published port of a container without a network leads nowhere");
        return None;
    };
    let target = Target { protocol, address, port };
    let request = Request::Reach(Reach { from, target, window: tuning::PUBLISHED });
    match tokio::time::timeout(tuning::DIAL_PATIENCE, engine.link.open(run, request)).await {
        Ok(Ok((Reply::Ready, channel))) => Some(channel),
        Ok(Ok((reply, _))) => {
            tracing::debug!(%run, port, ?reply, "a published port leads nowhere");
            None
        }
        Ok(Err(error)) => {
            tracing::debug!(%run, port, %error, "a published port leads nowhere");
            None
        }
        Err(_) => {
            tracing::warn!(%run, port, "a connection to a published port is given up: the agent's line is down");
            None
        }
    }
}

/// Both ways until both are done. False: it broke, and was reset for the client as well.
async fn carry(channel: &dyn Channel, stream: TcpStream) -> bool {
    let (mut reader, mut writer) = stream.into_split();
    // Both are boxed or borrowed here only: no buffer is held while nothing comes.
    let whole = tokio::select! {
        whole = outward(channel, &mut writer) => whole,
        () = inward(channel, &mut reader) => false,
    };
    if !whole {
        reset(&writer);
    }
    whole
}

/// What the container sends, then how the connection ended there.
async fn outward(channel: &dyn Channel, writer: &mut OwnedWriteHalf) -> bool {
    while let Some((_, bytes)) = channel.read().await {
        if writer.write_all(&bytes).await.is_err() {
            return false;
        }
    }
    // Its end alone: the client may go on sending. An error says that the client has gone already.
    let _ = writer.shutdown().await;
    matches!(channel.end().await, Ok(End::Done | End::Exited { .. }))
}

/// What the client sends. Returns when the client broke off; otherwise the other direction decides when it is over.
async fn inward(channel: &dyn Channel, reader: &mut OwnedReadHalf) {
    let mut buffer = BytesMut::new();
    loop {
        // Without a buffer while nothing comes: a thousand idle connections cost little.
        if buffer.capacity() < tuning::COPY / 4 {
            buffer = BytesMut::new();
            if reader.readable().await.is_err() {
                return;
            }
            buffer.reserve(tuning::COPY);
        }
        match reader.read_buf(&mut buffer).await {
            Ok(0) => {
                channel.finish();
                break;
            }
            Ok(_) if channel.write(buffer.split().freeze()).await.is_ok() => {}
            // The container takes no more; what it sends may go on.
            Ok(_) => break,
            Err(_) => return,
        }
    }
    std::future::pending().await
}

/// The client is to see that it broke, not that it ended.
fn reset(writer: &OwnedWriteHalf) {
    // Closed without this when it fails.
    let _ = SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO));
}
