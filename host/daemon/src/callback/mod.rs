//! The address at which containers reach the daemon.

mod certificate;
mod url;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use sockerless_link::{AgentLink, AgentLinkConfig, PATH};
use tokio::net::TcpListener;

use self::certificate::Certificate;
use crate::{
    Result,
    config::{CallbackTls, Config},
    simulator::Simulator,
    tuning::CALLBACK_PORT,
};

pub use url::NONE;

/// Where the daemon listens for containers in a cloud unless the configuration says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CALLBACK_PORT);

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
            (listener, format!("{scheme}://{address}{}", PATH))
        }
        (None, None) => {
            if let Some(address) = config.callback_listen {
                return Err(format!(
                    "callback_listen is {address}, but nothing says how containers reach it: set callback_url \
                     (SOCKERLESS_CALLBACK_URL), to {NONE} for containers without an agent"
                )
                .into());
            }
            return Ok(None);
        }
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
    if let Some(address) = config.callback_listen {
        return bind(reached_from(simulator, address)?).await;
    }
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

/// The configured address, if the simulator's containers can come in there.
fn reached_from(simulator: &Simulator, address: SocketAddr) -> Result<SocketAddr> {
    if address.ip().is_unspecified() || address.ip() == simulator.bind_address {
        return Ok(address);
    }
    Err(format!(
        "callback_listen is {address}, but containers of the simulator reach this machine at {} alone; leave it out, or name \
         0.0.0.0 and a port",
        simulator.host_address
    )
    .into())
}

fn remembered(memory: &Path) -> Option<u16> {
    fs::read_to_string(memory).ok()?.trim().parse().ok()
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen at {address} for containers (callback_listen): {error}").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{CallbackArgs, CommonArgs, ServeArgs};

    fn listening(address: &str, url: Option<&str>) -> Config {
        let config = Some("/dev/null".into());
        Config::serve(ServeArgs {
            common: CommonArgs { config, ..CommonArgs::default() },
            callback: CallbackArgs {
                callback_listen: Some(address.parse().unwrap()),
                callback_url: url.map(str::to_owned),
                ..CallbackArgs::default()
            },
            ..ServeArgs::default()
        })
        .unwrap()
    }

    fn simulator() -> Simulator {
        let ready = r#"{"pid": 1, "host_address": "127.0.0.9", "bind_address": "127.0.0.9"}"#;
        serde_json::from_str(ready).unwrap()
    }

    #[tokio::test]
    async fn a_configured_address_is_listened_at_for_the_simulator_too() {
        for address in ["127.0.0.9:0", "0.0.0.0:0"] {
            let callback = open(&listening(address, None), Some(&simulator())).await.unwrap().unwrap();
            let bound = callback.listener.local_addr().unwrap();
            assert_eq!(bound.ip(), address.parse::<SocketAddr>().unwrap().ip());
            assert_eq!(callback.url, format!("ws://127.0.0.9:{}/agent/v1", bound.port()));
        }
    }

    #[tokio::test]
    async fn an_address_where_nobody_can_come_in_is_refused() {
        let elsewhere = open(&listening("127.0.0.1:0", None), Some(&simulator())).await.err().unwrap();
        assert!(elsewhere.to_string().contains("callback_listen is 127.0.0.1:0"), "{elsewhere}");
        let unreached = open(&listening("127.0.0.1:0", None), None).await.err().unwrap();
        assert!(unreached.to_string().contains("set callback_url"), "{unreached}");
        assert!(open(&listening("127.0.0.1:0", Some("none")), None).await.unwrap().is_none());
    }
}
