//! `sockerless serve`: everything put together.

use std::{fs, sync::Arc};

use sockerless_api::{Address, Daemon, Plugins};
use sockerless_engine::{AgentBinary, Dependencies, Engine, EngineOptions, RegistryFacts};
use sockerless_ports::Link;
use sockerless_store::{ContainerLogs, Records};
use sockerless_wasm::Proxies;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    Result, backends, callback,
    config::{Config, DockerSocket},
    images,
};

/// Runs until SIGINT or SIGTERM. SIGHUP has the backends take their components anew.
pub async fn run(config: &Config) -> Result {
    // From the beginning: what nobody waits for would end the process.
    let hangup = signal(SignalKind::hangup())?;
    fs::create_dir_all(&config.state).map_err(|error| format!("{}: {error}", config.state.display()))?;
    let store = Records::open(config.state.join("state.db"))?;
    let logs = ContainerLogs::open(config.state.join("logs"))?;
    let backends = backends::load(config).await?;
    let plugins: Arc<dyn Plugins> = backends::Fleet::new(&backends);
    let callback = callback::open(config, backends.simulator.as_ref()).await?;
    if callback.is_none() {
        tracing::warn!(
            "no callback address: containers run without an agent, so without exec, stdin, cp and published ports"
        );
    }
    let link = callback::link(callback.as_ref());
    let engine = Engine::open(Dependencies {
        backends: backends.ports(),
        default_backend: config.backend.clone(),
        link: Arc::clone(&link) as Arc<dyn Link>,
        registry: images::open(config, store.clone(), Arc::clone(&backends.credentials)).await?,
        store,
        logs,
        agent: agent(config)?,
        options: EngineOptions {
            data_root: config.state.clone(),
            name: nix::unistd::gethostname()?.to_string_lossy().into_owned(),
            labels: config.file.labels.clone(),
            registries: RegistryFacts {
                insecure: config.file.insecure_registries.clone(),
                mirrors: config.file.registry_mirrors.clone(),
                proxies: Proxies::from_env()?.texts(),
            },
            log_driver: config.file.containers.log_driver.to_string(),
            timeout: config.timeout()?,
            callback_fingerprint: callback.as_ref().and_then(|callback| callback.fingerprint.clone()),
            linger: config.linger()?.unwrap_or(EngineOptions::default().linger),
            files_limit: config.file.files_limit.unwrap_or(EngineOptions::default().files_limit),
            binds: config.file.binds.options(),
            consistency: config.file.volumes.consistency.into(),
            network_pool: config.file.networks.pool.unwrap_or(EngineOptions::default().network_pool),
            network_zones: config.file.networks.zones.unwrap_or(EngineOptions::default().network_zones),
            socket: std::path::absolute(&config.socket)?,
            serve_socket: config.docker_socket == DockerSocket::Serve,
            host_gateway: config.host_gateway,
            ..EngineOptions::default()
        },
    })
    .await?;
    // After the engine has said whose agents it awaits: the others are sent away.
    if let Some(callback) = callback {
        tokio::spawn(link.serve(callback.listener));
    }

    let unix = Address::Unix { path: config.socket.clone(), group: config.group.clone() };
    let mut listeners = Vec::new();
    for address in std::iter::once(unix).chain(config.listen.iter().copied().map(Address::Tcp)) {
        listeners.push(sockerless_api::bind(&address).await?);
    }
    let addresses: Vec<String> = listeners.iter().map(|listener| listener.address().to_string()).collect();
    let router = sockerless_api::router(Arc::clone(&engine) as Arc<dyn Daemon>, Arc::clone(&plugins));
    let reloading = tokio::spawn(reload(hangup, plugins));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    println!("API listens at {}", addresses.join(", "));
    sockerless_api::serve(listeners, router, async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("ending; containers go on without the daemon");
    })
    .await;
    reloading.abort();
    engine.close().await;
    Ok(())
}

/// As dockerd reads its configuration anew: here it is the components alone.
async fn reload(mut hangup: Signal, plugins: Arc<dyn Plugins>) {
    while hangup.recv().await.is_some() {
        tracing::info!("SIGHUP: looking for components that have changed");
        // The log has what comes of it.
        plugins.reload(None).await;
    }
}

/// The agent's binary. Errors name the setting.
pub fn agent(config: &Config) -> Result<AgentBinary> {
    let path = config.installed(config.file.agent.as_deref(), "sockerless-agent");
    AgentBinary::from_file(&path).map_err(|error| {
        format!("the agent {}: {error}; install it there or name it by `agent`", path.display()).into()
    })
}
