//! The address at which containers reach the daemon.

mod certificate;
mod url;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use sockerless_link::{AgentLink, AgentLinkConfig};
use tokio::net::TcpListener;

use self::certificate::Certificate;
use crate::{
    Result,
    config::{CallbackTls, Config},
    simulator::Simulator,
};

pub use url::NONE;

/// Where the daemon listens for containers in a cloud unless the configuration says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2377);

/// The listener, and what agents are told about it.
pub struct Callback {
    /// For `AgentLink::serve`.
    pub listener: TcpListener,
    /// For the agents.
    pub url: String,
    /// With it the listener speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The SHA-256 of the certificate that agents trust, in hexadecimal digits; none for the public authorities.
    pub fingerprint: Option<String>,
}

/// Where agents come in; without a callback none do.
pub fn link(callback: Option<&Callback>) -> Arc<AgentLink> {
    AgentLink::new(AgentLinkConfig {
        callback_url: callback.map(|callback| callback.url.clone()),
        tls: callback.and_then(|callback| callback.tls.clone()),
    })
}

/// The callback as configured; that of the simulator needs no configuration. None: containers run
/// without an agent.
pub async fn open(config: &Config, simulator: Option<&Simulator>) -> Result<Option<Callback>> {
    let (listener, url) = match (&config.callback_url, simulator) {
        (Some(url), _) if url == NONE => return Ok(None),
        (Some(url), _) => {
            let url = url::parse(url, config.callback_tls)?;
            (bind(config.callback_listen.unwrap_or(DEFAULT_LISTEN)).await?, url)
        }
        (None, Some(simulator)) => {
            let listener = beside(config, simulator).await?;
            let address = SocketAddr::new(simulator.host_address, listener.local_addr()?.port());
            // On one machine nobody reads along, and the processors have better things to do than to encrypt.
            let scheme = if config.callback_tls == CallbackTls::On { "wss" } else { "ws" };
            (listener, format!("{scheme}://{address}{}", url::PATH))
        }
        (None, None) => return Ok(None),
    };
    if !url.starts_with("wss://") || config.callback_tls == CallbackTls::Off {
        return Ok(Some(Callback { listener, url, tls: None, fingerprint: None }));
    }
    let certificate = match (&config.file.callback_certificate, &config.file.callback_key) {
        (Some(certificate), Some(key)) => Certificate::read(certificate, key)?,
        (None, None) => Certificate::own(&config.state, url::host(&url))?,
        _ => return Err("callback_certificate and callback_key go together: one of them is missing".into()),
    };
    // Public authorities vouch for it also when it was renewed; any other is known by itself alone.
    let fingerprint = (!certificate.is_public(url::host(&url))).then(|| certificate.fingerprint());
    Ok(Some(Callback { listener, tls: Some(certificate.server()?), url, fingerprint }))
}

/// A listener that containers of the simulator reach. Those that outlive this daemon dial the address that they were given:
/// the port stays.
async fn beside(config: &Config, simulator: &Simulator) -> Result<TcpListener> {
    let memory = config.state.join("callback.port");
    let listener = match remembered(&memory) {
        Some(port) => match TcpListener::bind((simulator.bind_address, port)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(port, %error, "containers that run cannot come back: their port is taken");
                bind((simulator.bind_address, 0).into()).await?
            }
        },
        None => bind((simulator.bind_address, 0).into()).await?,
    };
    let port = listener.local_addr()?.port();
    fs::write(&memory, port.to_string()).map_err(|error| format!("{}: {error}", memory.display()))?;
    Ok(listener)
}

fn remembered(memory: &Path) -> Option<u16> {
    fs::read_to_string(memory).ok()?.trim().parse().ok()
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen at {address} for containers (callback_listen): {error}").into()
    })
}
