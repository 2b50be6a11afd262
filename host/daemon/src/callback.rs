//! The address at which containers reach the daemon.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use tokio::net::TcpListener;

use crate::{Result, config::Config, simulator::Simulator};

/// Where the daemon listens for containers in a cloud unless the configuration says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2377);
/// Where agents come in.
const PATH: &str = "/agent/v1";

/// The listener, and the URL that agents dial.
pub struct Callback {
    /// For `AgentLink::serve`.
    pub listener: TcpListener,
    /// For the agents.
    pub url: String,
}

/// The callback as configured; that of the simulator needs no configuration. None: containers run
/// without an agent.
pub async fn open(config: &Config, simulator: Option<&Simulator>) -> Result<Option<Callback>> {
    if let Some(url) = &config.callback_url {
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(
                format!("callback_url {url:?}: expected a URL that begins with ws:// or wss://").into()
            );
        }
        let listener = bind(config.callback_listen.unwrap_or(DEFAULT_LISTEN)).await?;
        return Ok(Some(Callback { listener, url: url.clone() }));
    }
    let Some(simulator) = simulator else { return Ok(None) };
    // Containers that outlive this daemon dial the address that they were given: the port stays.
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
    let url = format!("ws://{}{PATH}", SocketAddr::new(simulator.host_address, port));
    Ok(Some(Callback { listener, url }))
}

fn remembered(memory: &Path) -> Option<u16> {
    fs::read_to_string(memory).ok()?.trim().parse().ok()
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen at {address} for containers (callback_listen): {error}").into()
    })
}
