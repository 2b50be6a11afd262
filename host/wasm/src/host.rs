//! The plugin host: what all plugins share, and how a component becomes a plugin.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use sockerless_credentials::Credentials;
use sockerless_ports::backend::{Error, ErrorCode, HttpGrant, Manifest};
use tokio::{sync::Semaphore, time::timeout};
use wasmtime::{
    Engine,
    component::{Component as Compiled, Linker},
};

use crate::{
    Limits, Plugin, Proxies,
    call::Calls,
    contract::Guest,
    engine::{self, Ticker},
    http::{Clients, Grants, Placeholders},
    limits::POOLED_INSTANCES,
    linker, manifest,
    plugin::{First, Loaded},
    settings::Settings,
    state::{Powers, State},
    v0_1,
    version::Contract,
};

/// How to run plugins.
pub struct HostConfig {
    /// Where compiled components are kept. What stands there is run as native code, so the folder
    /// is made for this user alone.
    pub cache_dir: PathBuf,
    /// What a plugin may use.
    pub limits: Limits,
    /// The credentials that plugins may name.
    pub credentials: Arc<dyn Credentials>,
    /// What requests of plugins go through.
    pub proxies: Proxies,
}

/// A component, before it is compiled.
#[derive(Debug, Clone)]
pub enum Component {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A file.
    File(PathBuf),
}

impl From<Vec<u8>> for Component {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&Path> for Component {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<PathBuf> for Component {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// A component that was read.
pub(crate) struct Binary {
    bytes: Vec<u8>,
    /// `sha256:…`
    pub(crate) digest: String,
}

/// What the operator says about a plugin.
#[derive(Debug, Clone, Default)]
pub struct PluginOptions {
    /// Values of its settings by name, from the configuration file.
    pub settings: BTreeMap<String, String>,
    /// Variables of the daemon's environment; those that the manifest names set settings, too,
    /// and win over the file.
    pub environment: BTreeMap<String, String>,
    /// The most that the plugin may reach, in the manifest's form. None gives what its first component asks.
    pub grant: Option<Vec<HttpGrant>>,
}

/// Loads plugins. One for each daemon; clones share everything.
#[derive(Clone)]
pub struct PluginHost {
    pub(crate) shared: Arc<Shared>,
}

/// What all plugins share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) limits: Limits,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) clients: Clients,
    pub(crate) placeholders: Placeholders,
    /// Free places in the pool of instances.
    pub(crate) instances: Semaphore,
    linker: Linker<State>,
}

impl PluginHost {
    /// Makes the engine; takes milliseconds and uses no network.
    ///
    /// # Errors
    /// `Internal`: the cache folder cannot be made or belongs to somebody else, or this machine
    /// cannot run WebAssembly.
    pub fn new(config: HostConfig) -> Result<Self, Error> {
        let HostConfig { cache_dir, limits, credentials, proxies } = config;
        let failed = |error: wasmtime::Error| {
            let folder = cache_dir.display();
            Error::new(ErrorCode::Internal, format!("plugin host (cache folder {folder}): {error:#}"))
        };
        let engine = engine::build(&cache_dir, &limits).map_err(failed)?;
        let linker = linker::build(&engine).map_err(failed)?;
        let ticker = Ticker::start(&engine).map_err(|error| failed(error.into()))?;
        let shared = Shared {
            engine,
            ticker,
            limits,
            credentials,
            clients: Clients::new(proxies),
            placeholders: Placeholders::new(),
            instances: Semaphore::new(POOLED_INSTANCES as usize),
            linker,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Loads a component, asks it who it is and lets it check its settings. `name` is the one that
    /// the operator uses: it stands in every message.
    ///
    /// # Errors
    /// `InvalidArgument` when the component, its manifest, its version or its settings do not fit;
    /// otherwise as the plugin says.
    pub async fn load(
        &self,
        name: &str,
        component: impl Into<Component>,
        options: PluginOptions,
    ) -> Result<Arc<Plugin>, Error> {
        let binary = self.read(name, component.into()).await?;
        let loaded = self.prepare(name, binary, &options, None).await?;
        Ok(Arc::new(Plugin::new(self.clone(), name.into(), options, loaded)))
    }

    /// Asks a component who it is, without settings, grants or the network.
    ///
    /// # Errors
    /// As `load`, without those about settings.
    pub async fn describe(&self, name: &str, component: impl Into<Component>) -> Result<Manifest, Error> {
        let binary = self.read(name, component.into()).await?;
        let compiled = self.compile(name, binary.bytes).await?;
        self.probe(&name.into(), &compiled).await
    }

    /// Everything up to the point where calls can go to the component. `before` is the plugin's first one: the manifest of
    /// this one has to be of the same backend, and gets it no further.
    pub(crate) async fn prepare(
        &self,
        name: &str,
        binary: Binary,
        options: &PluginOptions,
        before: Option<&First>,
    ) -> Result<Loaded, Error> {
        let name: Arc<str> = name.into();
        let Binary { bytes, digest } = binary;
        let compiled = self.compile(&name, bytes).await?;
        let manifest = self.probe(&name, &compiled).await?;
        let settings = Settings::resolve(&manifest, &options.settings, &options.environment)?;
        let mut grants = Grants::effective(&name, &manifest.http, options.grant.as_deref(), &settings)?;
        if let Some(first) = before {
            if manifest.name != first.name {
                let what = format!("it is the backend {}, not {}", manifest.name, first.name);
                return Err(unfit(&name, &what));
            }
            grants = grants.at_most(&first.grants);
        }
        let powers = Arc::new(Powers::new(settings, grants, &self.shared.limits));
        let guest = self.bind(&name, &compiled, Arc::clone(&powers))?;
        guest.configure().await.map_err(|error| Error {
            message: format!("plugin {name}: settings: {}", error.message),
            ..error
        })?;
        Ok(Loaded { guest, manifest: Arc::new(manifest), digest, powers })
    }

    async fn probe(&self, name: &Arc<str>, compiled: &Compiled) -> Result<Manifest, Error> {
        let powers = Powers::new(Settings::default(), Grants::default(), &self.shared.limits);
        let guest = self.bind(name, compiled, Arc::new(powers))?;
        let manifest = guest.describe().await?;
        manifest::check(&manifest)?;
        Ok(manifest)
    }

    /// Reads a component and takes its digest. Errors: `InvalidArgument` with the name.
    pub(crate) async fn read(&self, name: &str, component: Component) -> Result<Binary, Error> {
        let limit = self.shared.limits.component_bytes;
        let work = tokio::task::spawn_blocking(move || read(component, limit));
        let outcome = work.await.unwrap_or_else(|panic| Err(format!("it cannot be read: {panic}")));
        let bytes = outcome.map_err(|what| unfit(name, &what))?;
        Ok(Binary { digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), bytes })
    }

    /// Compiles a component, or takes it from the cache.
    async fn compile(&self, name: &str, bytes: Vec<u8>) -> Result<Compiled, Error> {
        let (engine, time) = (self.shared.engine.clone(), self.shared.limits.compile);
        let work = tokio::task::spawn_blocking(move || {
            Compiled::from_binary(&engine, &bytes)
                .map_err(|error| format!("it is no WebAssembly component: {error:#}"))
        });
        let outcome: Result<_, String> = match timeout(time, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(format!("the compiler failed: {panic}")),
            Err(_) => Err(format!("it could not be compiled within {} s", time.as_secs())),
        };
        outcome.map_err(|what| unfit(name, &what))
    }

    /// Binds a compiled component to the version that it speaks.
    fn bind(
        &self,
        name: &Arc<str>,
        compiled: &Compiled,
        powers: Arc<Powers>,
    ) -> Result<Arc<dyn Guest>, Error> {
        let shared = &self.shared;
        let kind = compiled.component_type();
        let contract = Contract::of(kind.exports(&shared.engine).map(|(export, _)| export))
            .map_err(|what| unfit(name, &what))?;
        let wrong = |error: wasmtime::Error| unfit(name, &format!("{error:#}"));
        let pre = shared.linker.instantiate_pre(compiled).map_err(wrong)?;
        let calls = Calls { plugin: Arc::clone(name), shared: Arc::clone(shared), powers };
        match contract {
            Contract::V0_1 => Ok(Arc::new(v0_1::Component::new(pre, calls).map_err(wrong)?)),
        }
    }
}

fn read(component: Component, limit: usize) -> Result<Vec<u8>, String> {
    let too_large = |size: u64| format!("it has {size} bytes, the limit is {limit}");
    let bytes = match component {
        Component::Bytes(bytes) => bytes,
        Component::File(path) => {
            let fault = |error: std::io::Error| format!("{}: {error}", path.display());
            let size = std::fs::metadata(&path).map_err(fault)?.len();
            if size > limit as u64 {
                return Err(too_large(size));
            }
            std::fs::read(&path).map_err(fault)?
        }
    };
    if bytes.len() > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn unfit(name: &str, what: &str) -> Error {
    Error::new(ErrorCode::InvalidArgument, format!("plugin {name} cannot be loaded: {what}"))
}
