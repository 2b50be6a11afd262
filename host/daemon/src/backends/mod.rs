//! The backends: which components there are, what they are set to and granted, and where the simulator stands
//! in for a cloud.

mod components;
mod reload;
mod stand_in;

use std::{collections::BTreeMap, env, ffi::OsString, fs, path::PathBuf, sync::Arc};

use sockerless_credentials::{CredentialSet, Credentials};
use sockerless_ports::{Backend, backend::HttpGrant};
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};

use crate::{Result, config::Config, simulator::Simulator};

use components::SHIPPED;
pub use components::{Component, components};
pub use reload::Fleet;
pub use stand_in::start_simulator;

/// A backend that was loaded.
#[derive(Clone)]
pub struct Loaded {
    /// It.
    pub plugin: Arc<Plugin>,
    /// The file that it was loaded from.
    pub component: PathBuf,
}

/// All backends that could be loaded, and what they share.
pub struct Backends {
    /// By the name that `--runtime` takes.
    pub loaded: BTreeMap<String, Loaded>,
    /// What they, and the registry, sign with.
    pub credentials: Arc<dyn Credentials>,
    /// The simulator that the default backend runs against, if it does.
    pub simulator: Option<Simulator>,
}

impl Backends {
    /// As the engine knows them.
    pub fn ports(&self) -> BTreeMap<String, Arc<dyn Backend>> {
        let port = |(name, loaded): (&String, &Loaded)| {
            (name.clone(), Arc::clone(&loaded.plugin) as Arc<dyn Backend>)
        };
        self.loaded.iter().map(port).collect()
    }
}

/// A plugin host for a set of credentials.
pub fn host(config: &Config, credentials: Arc<dyn Credentials>) -> Result<PluginHost> {
    let cache_dir = config.state.join("cache");
    fs::create_dir_all(&config.state).map_err(|error| format!("{}: {error}", config.state.display()))?;
    let proxies = Proxies::from_env()?;
    Ok(PluginHost::new(HostConfig { cache_dir, limits: Limits::default(), credentials, proxies })?)
}

/// Loads the default backend, those in simulators, and of the others those that somebody has set up and whose settings
/// suffice.
pub async fn load(config: &Config) -> Result<Backends> {
    let components = components(config)?;
    let environment = readable(env::vars_os());
    let mut stand_ins = BTreeMap::new();
    for name in std::iter::once(&config.backend).chain(&config.file.simulator.also) {
        if let Some(found) = stand_in::stand_in(config, name, &components, &environment).await? {
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
        let needed = name == config.backend || stand_ins.contains_key(&name);
        if !needed && !is_set_up(config, &host, &name, &component, &environment).await {
            tracing::debug!(backend = name, "not loaded: nobody has set it up");
            continue;
        }
        let mut settings = config.settings(&name)?;
        if let Some((simulator, profile)) = stand_ins.get(&name) {
            for (setting, value) in profile.settings(simulator) {
                settings.entry(setting).or_insert(value);
            }
        }
        let options = PluginOptions {
            settings,
            environment: environment.clone(),
            grant: grant(config, &name, &component),
        };
        match open(&host, &name, &component, options, config.grant(&name).is_some()).await {
            Ok(plugin) => {
                loaded.insert(name, Loaded { plugin, component: component.path });
            }
            Err(error) if needed => return Err(error),
            Err(error) => tracing::warn!(backend = name, %error, "not available"),
        }
    }
    let simulator = stand_ins.remove(&config.backend).map(|(simulator, _)| simulator);
    Ok(Backends { loaded, credentials, simulator })
}

/// What the environment says, but for what is no UTF-8: no setting is.
fn readable(environment: impl IntoIterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        match value.into_string() {
            Ok(value) => Some((name, value)),
            Err(_) if name.starts_with("SOCKERLESS_") => {
                tracing::warn!(variable = name, "is not UTF-8 and counts as unset");
                None
            }
            Err(_) => None,
        }
    };
    environment.into_iter().filter_map(text).collect()
}

/// Whether the operator has said anything of a backend, in the file or by a variable of one of its settings.
async fn is_set_up(
    config: &Config,
    host: &PluginHost,
    name: &str,
    component: &Component,
    environment: &BTreeMap<String, String>,
) -> bool {
    if config.file.backends.contains_key(name) {
        return true;
    }
    match host.describe(name, component.path.clone()).await {
        Ok(manifest) => stand_in::is_named(&manifest, environment),
        Err(error) => {
            tracing::debug!(backend = name, %error, "cannot be asked what it is");
            false
        }
    }
}

/// What a component may have: what the operator says; without a word of his what it asks if it is one of Sockerless' own,
/// and else nothing.
fn grant(config: &Config, name: &str, component: &Component) -> Option<Vec<HttpGrant>> {
    config.grant(name).or_else(|| (!component.shipped).then(Vec::new))
}

/// Loads one and says what it may reach. Errors: those of the load; a component that is none of our own and has no grant.
async fn open(
    host: &PluginHost,
    name: &str,
    component: &Component,
    options: PluginOptions,
    granted: bool,
) -> Result<Arc<Plugin>> {
    let plugin = host.load(name, component.path.clone(), options).await?;
    let standing = plugin.standing();
    if !granted && !component.shipped && !standing.withheld.is_empty() {
        return Err(ungranted(name, component, &plugin.manifest().http).into());
    }
    tracing::info!(
        backend = name, version = %standing.version, digest = %standing.digest,
        granted = %listed(&standing.granted), withheld = %listed(&standing.withheld), "loaded"
    );
    Ok(plugin)
}

/// What is said of a component that is none of our own and has no grant.
fn ungranted(name: &str, Component { path, unlisted, .. }: &Component, asks: &[HttpGrant]) -> String {
    let why = if *unlisted {
        format!(
            " as far as its folder says, which has no file {SHIPPED:?}: `cargo xtask build` or the package puts it there, with the \
             names of the components that came with Sockerless"
        )
    } else {
        String::new()
    };
    format!(
        "the backend {name} has no grant, and its component {} is none of Sockerless' own{why}. It asks for what follows; what \
         it may have of that, write in [backends.{name}] of the configuration:\ngrant = {}",
        path.display(),
        in_toml(asks)
    )
}

/// As the configuration takes it.
fn in_toml(grants: &[HttpGrant]) -> String {
    let each =
        |grant: &HttpGrant| format!("{{ host = {:?}, credentials = {:?} }}", grant.host, grant.credentials);
    format!("[{}]", grants.iter().map(each).collect::<Vec<_>>().join(", "))
}

/// For a line of the log.
pub fn listed(grants: &[HttpGrant]) -> String {
    let each = |grant: &HttpGrant| match grant.credentials.join(", ") {
        none if none.is_empty() => grant.host.clone(),
        credentials => format!("{} ({credentials})", grant.host),
    };
    if grants.is_empty() { "nothing".into() } else { grants.iter().map(each).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::config::File;

    #[test]
    fn a_variable_that_is_no_text_is_left_out() {
        let odd = || OsString::from_vec(vec![0xff]);
        let environment = readable([("A".into(), "1".into()), ("B".into(), odd()), (odd(), "2".into())]);
        assert_eq!(environment, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn without_a_word_of_the_operators_only_our_own_components_get_what_they_ask() {
        let file: File = toml::from_str("[backends.cloudrun]\ngrant = []\n").unwrap();
        let config = Config { file, ..Config::common(named_file()).unwrap() };
        let component = |shipped| Component { path: "x.wasm".into(), shipped, unlisted: false };
        assert_eq!(grant(&config, "aca", &component(true)), None);
        assert_eq!(grant(&config, "acme", &component(false)), Some(vec![]));
        assert_eq!(grant(&config, "cloudrun", &component(true)), Some(vec![]));
    }

    #[test]
    fn a_component_without_a_grant_is_told_so_and_that_nothing_says_what_came_along() {
        let folder = tempfile::tempdir().unwrap();
        let told = || {
            let section = format!("plugins = {:?}\nbackend = 'acme'\n", folder.path());
            let file: File = toml::from_str(&section).unwrap();
            let config = Config { file, backend: "acme".into(), ..Config::common(named_file()).unwrap() };
            let component = components(&config).unwrap().remove("acme").unwrap();
            (component.shipped, ungranted("acme", &component, &[]))
        };
        fs::write(folder.path().join("acme.wasm"), "").unwrap();
        let (shipped, words) = told();
        assert!(!shipped && words.contains("has no file \"shipped\""), "{words}");
        fs::write(folder.path().join(SHIPPED), "other\n").unwrap();
        let (shipped, words) = told();
        assert!(!shipped && !words.contains("no file"), "{words}");
        fs::write(folder.path().join(SHIPPED), "other\nacme\n").unwrap();
        assert!(told().0);
    }

    fn named_file() -> crate::cli::CommonArgs {
        crate::cli::CommonArgs { config: Some("/dev/null".into()), ..Default::default() }
    }

    #[test]
    fn the_proposed_grant_is_what_the_configuration_takes() {
        let asked = [
            HttpGrant { host: "*.acme.example".into(), credentials: vec!["a".into(), "b".into()] },
            HttpGrant { host: "setting:url".into(), credentials: vec![] },
        ];
        let file: File = toml::from_str(&format!("[backends.acme]\ngrant = {}\n", in_toml(&asked))).unwrap();
        let config = Config { file, ..Config::common(named_file()).unwrap() };
        assert_eq!(config.grant("acme").unwrap(), asked);
        assert_eq!(listed(&asked), "*.acme.example (a, b), setting:url");
        assert_eq!(listed(&[]), "nothing");
    }
}
