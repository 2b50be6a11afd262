//! The listener: TCP, TLS when configured, the upgrade to a WebSocket.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use sockerless_agent_wire::PATH;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    AgentLink,
    gate::{Allowance, Gate},
    session, tuning,
};

/// A connection that has become a WebSocket.
pub type Socket = WebSocketStream<Gate<TokioIo<Upgraded>>>;

/// See [`AgentLink::serve`].
pub async fn serve(link: Arc<AgentLink>, listener: TcpListener) {
    let strangers = Arc::new(Semaphore::new(tuning::STRANGERS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let link = Arc::clone(&link);
                connections.spawn(async move {
                    if let Err(reason) = connection(link, stream, permit).await {
                        tracing::debug!(%peer, reason, "an agent's connection failed");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept agents");
                tokio::time::sleep(tuning::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    link: Arc<AgentLink>,
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let allowance = Allowance::new();
    let socket = match &link.config.tls {
        Some(config) => {
            let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            let stream = timeout(tuning::GREETING, accept).await.map_err(|_| "TLS took too long")?;
            upgrade(stream.map_err(|error| error.to_string())?, &allowance).await?
        }
        None => upgrade(stream, &allowance).await?,
    };
    session::serve(&link, socket, session::Stranger { permit, allowance }).await;
    Ok(())
}

/// Answers one HTTP request and takes the connection over.
async fn upgrade(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    allowance: &Allowance,
) -> Result<Socket, String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let service = service_fn(|mut request: Request<Incoming>| {
        let answer = answer(&request);
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(sender) = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
        {
            // The receiver lives as long as the connection.
            let _ = sender.send(hyper::upgrade::on(&mut request));
        }
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(tuning::GREETING)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    timeout(tuning::GREETING * 2, serving)
        .await
        .map_err(|_| "the request took too long")?
        .map_err(|error| error.to_string())?;
    let upgraded = receiver
        .await
        .map_err(|_| "not the request of an agent")?
        .await
        .map_err(|error| error.to_string())?;
    let config = WebSocketConfig::default()
        .read_buffer_size(tuning::READ)
        .max_message_size(Some(tuning::MESSAGE))
        .max_frame_size(Some(tuning::MESSAGE));
    let guarded = Gate::new(TokioIo::new(upgraded), allowance.clone());
    Ok(WebSocketStream::from_raw_socket(guarded, Role::Server, Some(config)).await)
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = request.headers();
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    match key {
        _ if request.uri().path() != PATH => *response.status_mut() = StatusCode::NOT_FOUND,
        Some(key)
            if request.method() == Method::GET
                && has(headers, header::CONNECTION, "upgrade")
                && has(headers, header::UPGRADE, "websocket")
                && has(headers, header::SEC_WEBSOCKET_VERSION, "13") =>
        {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
            if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
        }
        _ => {
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            response.headers_mut().insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
        }
    }
    response
}

fn has(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}
