//! The backends: which components there are, what they are set to, and where the simulator stands
//! in for a cloud.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sockerless_credentials::{CredentialSet, Credentials};
use sockerless_ports::{Backend, backend::Manifest};
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};

use crate::{
    Result,
    config::{Config, SimulatorMode},
    simulator::{self, Profile, Simulator},
};

/// All backends that could be loaded, and what they share.
pub struct Backends {
    /// By the name that `--runtime` takes.
    pub loaded: BTreeMap<String, Arc<Plugin>>,
    /// What they, and the registry, sign with.
    pub credentials: Arc<dyn Credentials>,
    /// The simulator that the default backend runs against, if it does.
    pub simulator: Option<Simulator>,
}

impl Backends {
    /// As the engine knows them.
    pub fn ports(&self) -> BTreeMap<String, Arc<dyn Backend>> {
        let port =
            |(name, plugin): (&String, &Arc<Plugin>)| (name.clone(), Arc::clone(plugin) as Arc<dyn Backend>);
        self.loaded.iter().map(port).collect()
    }
}

/// The components by name: those of the folder, and those that the configuration names.
pub fn components(config: &Config) -> Result<BTreeMap<String, PathBuf>> {
    let folder = config.installed(config.file.plugins.as_deref(), "plugins");
    let mut components = BTreeMap::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let stem = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
                if let (Some(name), Some("wasm")) = (stem, path.extension().and_then(|e| e.to_str())) {
                    components.insert(name, path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("plugins in {}: {error}", folder.display()).into()),
    }
    for (name, backend) in &config.file.backends {
        if let Some(component) = &backend.component {
            let named = Path::new(component);
            let path = if named.is_absolute() || named.extension().is_some() {
                folder.join(named)
            } else {
                folder.join(format!("{component}.wasm"))
            };
            components.insert(name.clone(), path);
        }
    }
    if !components.contains_key(&config.backend) {
        let known: Vec<&str> = components.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no backend {:?}; in {} there are: {}",
            config.backend,
            folder.display(),
            if known.is_empty() { "none".into() } else { known.join(", ") }
        )
        .into());
    }
    Ok(components)
}

/// A plugin host for a set of credentials.
pub fn host(config: &Config, credentials: Arc<dyn Credentials>) -> Result<PluginHost> {
    let cache_dir = config.state.join("cache");
    fs::create_dir_all(&config.state).map_err(|error| format!("{}: {error}", config.state.display()))?;
    let proxies = Proxies::from_env()?;
    Ok(PluginHost::new(HostConfig { cache_dir, limits: Limits::default(), credentials, proxies })?)
}

/// Loads the default backend, and of the others those whose settings suffice.
pub async fn load(config: &Config) -> Result<Backends> {
    let components = components(config)?;
    let environment: BTreeMap<String, String> = env::vars().collect();
    let mut stand_ins = BTreeMap::new();
    for name in std::iter::once(&config.backend).chain(&config.file.simulator.also) {
        if let Some(found) = stand_in(config, name, &components, &environment).await? {
            stand_ins.insert(name.clone(), found);
        }
    }
    let mut credentials = config.file.credentials.clone();
    for (simulator, profile) in stand_ins.values() {
        credentials.extend(profile.credentials(simulator)?);
    }
    let credentials: Arc<dyn Credentials> = Arc::new(CredentialSet::from_config(credentials));
    let host = host(config, Arc::clone(&credentials))?;

    let mut loaded = BTreeMap::new();
    for (name, component) in components {
        let mut settings = config.settings(&name)?;
        if let Some((simulator, profile)) = stand_ins.get(&name) {
            for (setting, value) in profile.settings(simulator) {
                settings.entry(setting).or_insert(value);
            }
        }
        let prefix = format!("SOCKERLESS_{}_", name.to_uppercase());
        let wanted = !settings.is_empty() || environment.keys().any(|variable| variable.starts_with(&prefix));
        let options = PluginOptions { settings, environment: environment.clone(), grant: None };
        match host.load(&name, component, options).await {
            Ok(plugin) => {
                loaded.insert(name, plugin);
            }
            Err(error) if name == config.backend || stand_ins.contains_key(&name) => return Err(error.into()),
            Err(error) if wanted => tracing::warn!(backend = name, %error, "not available"),
            // One that is there and that nobody has set up.
            Err(error) => tracing::debug!(backend = name, %error, "not available"),
        }
    }
    let simulator = stand_ins.remove(&config.backend).map(|(simulator, _)| simulator);
    Ok(Backends { loaded, credentials, simulator })
}

/// The simulator, if it stands in for a backend's cloud.
async fn stand_in(
    config: &Config,
    name: &str,
    components: &BTreeMap<String, PathBuf>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<(Simulator, Profile)>> {
    let Some(component) = components.get(name) else {
        return Err(format!("simulator.also: there is no backend {name:?}").into());
    };
    let mode = config.file.simulator.mode;
    if mode == SimulatorMode::Off {
        return Ok(None);
    }
    let Some(profile) = Profile::beside(component)? else {
        if mode == SimulatorMode::On {
            return Err(format!("the backend {name} has no simulator; set simulator.mode to off").into());
        }
        return Ok(None);
    };
    if mode == SimulatorMode::Auto {
        let host = host(config, Arc::new(CredentialSet::new()))?;
        let manifest = host.describe(name, component.clone()).await?;
        if is_configured(&manifest, &config.settings(name)?, environment) {
            return Ok(None);
        }
    }
    Ok(Some((simulator::ensure(config, name, &profile).await?, profile)))
}

/// Starts the simulator of the default backend, if it has one.
pub async fn start_simulator(config: &Config) -> Result<Simulator> {
    let components = components(config)?;
    let profile =
        components.get(&config.backend).map(|component| Profile::beside(component)).transpose()?.flatten();
    let profile = profile.ok_or_else(|| format!("the backend {} has no simulator", config.backend))?;
    Ok(simulator::ensure(config, &config.backend, &profile).await?)
}

/// Whether the operator has given all that the backend requires.
fn is_configured(
    manifest: &Manifest,
    settings: &BTreeMap<String, String>,
    environment: &BTreeMap<String, String>,
) -> bool {
    manifest.settings.iter().filter(|setting| setting.required && setting.default.is_none()).all(|setting| {
        settings.contains_key(&setting.name)
            || environment.get(&setting.environment).is_some_and(|value| !value.is_empty())
    })
}
