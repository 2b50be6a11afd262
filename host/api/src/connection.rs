//! Serving connections: HTTP until a handler takes one over, and an orderly end.

use std::{convert::Infallible, future::Future, pin::Pin, time::Duration};

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    front::Router,
    head::Alone,
    hijack::{BoxConnection, Slot, Takeover},
    limits,
    listen::{Listener, Socket, SocketFile},
};

/// Serves until `shutdown`; then accepts nothing more, lets requests finish, closes streams after
/// a short grace, and removes the sockets' files.
pub async fn serve(listeners: Vec<Listener>, router: Router, shutdown: impl Future<Output = ()>) {
    let token = CancellationToken::new();
    let connections = TaskTracker::new();
    // The files go at the very end: until then another daemon sees that this one lives.
    let mut files: Vec<SocketFile> = Vec::new();
    let accepting = TaskTracker::new();
    for listener in listeners {
        let (router, token, connections) = (router.clone(), token.clone(), connections.clone());
        match listener.socket {
            Socket::Unix(socket, file) => {
                files.push(file);
                accepting.spawn(async move {
                    let accept = || async { socket.accept().await.map(|(stream, _)| stream) };
                    accept_all(accept, &router, &token, &connections).await;
                });
            }
            Socket::Tcp(socket) => {
                accepting.spawn(async move {
                    let accept = || async {
                        let (stream, _) = socket.accept().await?;
                        // Small frames must not wait for each other; a refusal costs speed alone.
                        let _ = stream.set_nodelay(true);
                        Ok(stream)
                    };
                    accept_all(accept, &router, &token, &connections).await;
                });
            }
        }
    }
    accepting.close();
    shutdown.await;
    token.cancel();
    accepting.wait().await;
    connections.close();
    connections.wait().await;
}

async fn accept_all<S, A, F>(accept: A, router: &Router, token: &CancellationToken, connections: &TaskTracker)
where
    S: crate::hijack::Connection + 'static,
    A: Fn() -> F,
    F: Future<Output = std::io::Result<S>>,
{
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => return,
            accepted = accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                connections.spawn(connection(Box::new(stream), router.clone(), token.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One client's connection, to its end.
async fn connection(stream: BoxConnection, router: Router, token: CancellationToken) {
    let (slot, mut takeovers) = Slot::new();
    let service =
        hyper::service::service_fn(move |request| router.answer(request, &slot).map(Ok::<_, Infallible>));
    let mut http =
        http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service);
    let expired = async {
        token.cancelled().await;
        sleep(limits::REQUEST_GRACE).await;
    };
    tokio::pin!(expired);
    let mut ending = false;
    let takeover = loop {
        tokio::select! {
            biased;
            result = &mut http => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            Some(takeover) = takeovers.recv() => break takeover,
            () = token.cancelled(), if !ending => {
                Pin::new(&mut http).graceful_shutdown();
                ending = true;
            }
            () = &mut expired => return,
        }
    };
    // The handler waits and is dropped here, with HTTP; nothing of an answer was written yet.
    let parts = http.into_parts();
    hijacked(parts.io.into_inner(), parts.read_buf, takeover, &token).await;
}

async fn hijacked(
    mut stream: BoxConnection,
    read: bytes::Bytes,
    takeover: Takeover,
    token: &CancellationToken,
) {
    let alone = takeover.head.alone.then(|| Alone::begin(stream.as_ref()));
    if let Err(error) = stream.write_all(&takeover.head.bytes).await {
        tracing::debug!(%error, "the client is gone before its stream began");
        return;
    }
    if let Some(alone) = alone {
        alone.end().await;
    }
    let mut work = (takeover.work)(stream, read);
    tokio::select! {
        () = &mut work => {}
        () = token.cancelled() => finish(work, limits::HIJACK_GRACE).await,
    }
}

async fn finish(work: Pin<Box<dyn Future<Output = ()> + Send>>, grace: Duration) {
    if timeout(grace, work).await.is_err() {
        tracing::debug!("closed a client's stream: the daemon ends");
    }
}
