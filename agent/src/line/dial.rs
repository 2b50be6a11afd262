//! TCP, TLS and the WebSocket's upgrade.

use std::sync::Arc;

use sockerless_agent_wire::{PATH, limits};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{client::IntoClientRequest, http::Uri, protocol::WebSocketConfig},
};

use super::{Lost, tls};
use crate::tuning;

/// A connection in either form.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A WebSocket to the daemon.
pub type Socket = WebSocketStream<Box<dyn Stream>>;

/// Knows the way to the daemon.
pub struct Dialler {
    url: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialler {
    /// For an address `ws://host[:port][/path]` or `wss://…`; an error says what is wrong with it.
    pub fn new(url: &str, fingerprint: Option<[u8; 32]>) -> Result<Self, String> {
        let wrong = |why: &str| format!("SOCKERLESS_CALLBACK_URL {url}: {why}");
        let uri: Uri = url.parse().map_err(|_| wrong("not an address"))?;
        let host = uri.host().ok_or_else(|| wrong("no host"))?.trim_matches(['[', ']']).to_owned();
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong("neither ws:// nor wss://")),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| wrong("not a host name"))?;
            let config = tls::config(fingerprint).map_err(|error| error.to_string())?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        let url = if matches!(uri.path(), "" | "/") {
            format!("{}{PATH}", url.trim_end_matches('/'))
        } else {
            url.to_owned()
        };
        Ok(Self { url, host, port, tls })
    }

    /// Connects.
    pub async fn dial(&self) -> Result<Socket, Lost> {
        let unreachable = |error: std::io::Error| Lost::Unreachable(error.to_string());
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        // Nobody listens, and the kernel has connected two ends of the same socket: that happens on one machine.
        if stream.local_addr().ok() == stream.peer_addr().ok() {
            return Err(Lost::Unreachable("connection refused".to_owned()));
        }
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((connector, name)) => {
                Box::new(connector.connect(name.clone(), stream).await.map_err(unreachable)?)
            }
            None => Box::new(stream),
        };
        let most = limits::CONTROL + limits::MESSAGE;
        let config = WebSocketConfig::default()
            .read_buffer_size(tuning::READ)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let request = self.url.as_str().into_client_request().map_err(Box::new)?;
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(Box::new)?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::Dialler;

    #[test]
    fn an_address_has_a_known_scheme_and_a_host() {
        let dialler = Dialler::new("ws://host:9/", None).unwrap();
        assert_eq!((dialler.url.as_str(), dialler.port), ("ws://host:9/agent/v1", 9));
        assert_eq!(Dialler::new("wss://[::1]/x", None).unwrap().host, "::1");
        for bad in ["http://host", "host", "ws://", "wss://bad_{host}"] {
            assert!(Dialler::new(bad, None).is_err(), "{bad}");
        }
    }
}
