//! What the operator wants: command line before environment before file before default.

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use sockerless_credentials::CredentialConfig;

use crate::cli::{CommonArgs, DoctorArgs, ServeArgs, SyncArgs};

/// The backend that is used when nobody names one.
pub const DEFAULT_BACKEND: &str = "cloudrun";

/// The configuration file. An unknown key is an error: a typing mistake must not go unnoticed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The unix socket of the Docker API.
    pub socket: Option<PathBuf>,
    /// Loopback addresses to serve the Docker API on as well.
    pub listen: Vec<SocketAddr>,
    /// The group that may use the socket.
    pub group: Option<String>,
    /// Folder for the daemon's state.
    pub state: Option<PathBuf>,
    /// The address at which containers reach this daemon.
    pub callback_url: Option<String>,
    /// The address that the daemon listens on for them.
    pub callback_listen: Option<SocketAddr>,
    /// Whether the daemon speaks TLS to agents.
    pub callback_tls: Option<CallbackTls>,
    /// The certificate for that, in PEM, with its chain; without it the daemon makes its own.
    pub callback_certificate: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub callback_key: Option<PathBuf>,
    /// How long the agents of ended containers stay: seconds, or a duration as `10m`.
    pub linger: Option<String>,
    /// Bytes that the daemon keeps of one container's files while no agent has them.
    pub files_limit: Option<u64>,
    /// The name of the default backend.
    pub backend: Option<String>,
    /// Folder with the components.
    pub plugins: Option<PathBuf>,
    /// The agent's binary.
    pub agent: Option<PathBuf>,
    /// Registries to be spoken to without TLS, as `host:port`.
    pub insecure_registries: Vec<String>,
    /// Registries to be asked instead of Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Labels of the daemon, shown by `docker info`.
    pub labels: Vec<String>,
    /// Containers.
    pub containers: Containers,
    /// Networks.
    pub networks: Networks,
    /// Bind mounts.
    pub binds: Binds,
    /// Volumes.
    pub volumes: Volumes,
    /// The embedded simulator.
    pub simulator: Simulator,
    /// Credentials by the name that plugins know them by.
    pub credentials: BTreeMap<String, CredentialConfig>,
    /// Settings for each backend.
    pub backends: BTreeMap<String, Backend>,
}

/// `[containers]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Containers {
    /// What becomes of a daemon's socket that is mounted into a container.
    pub docker_socket: Option<DockerSocket>,
}

/// What becomes of a daemon's socket that is mounted into a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DockerSocket {
    /// This daemon's API is served there.
    #[default]
    Serve,
    /// The container is refused.
    Refuse,
}

/// `[networks]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Networks {
    /// Out of which networks get their subnets when nobody names one.
    pub pool: Option<sockerless_engine::Subnet>,
    /// Whether they get DNS zones in the cloud.
    pub zones: Option<bool>,
    /// The address of this machine that containers reach as `host.docker.internal`.
    pub host_gateway: Option<IpAddr>,
}

/// `[binds]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Binds {
    /// Only what is below these folders may be mounted.
    pub allow: Option<Vec<PathBuf>>,
    /// Bytes of one mount that are sent into a container.
    pub size_limit: Option<u64>,
    /// The file in a directory that says what of it stays at home; empty for none.
    pub ignore: Option<String>,
}

impl Binds {
    /// With the defaults for what the file does not say.
    pub fn options(&self) -> sockerless_engine::BindOptions {
        let default = sockerless_engine::BindOptions::default();
        sockerless_engine::BindOptions {
            allow: self.allow.clone().unwrap_or(default.allow),
            size_limit: self.size_limit.unwrap_or(default.size_limit),
            ignore: self.ignore.clone().unwrap_or(default.ignore),
        }
    }
}

/// `[volumes]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Volumes {
    /// What volumes are whose options do not say.
    pub consistency: Consistency,
}

/// When what a container writes to a volume is seen by others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Within seconds: the cloud's storage is mounted.
    #[default]
    Cached,
    /// When it ends: the volume is on the container's own disk.
    Synced,
}

impl From<Consistency> for sockerless_engine::Consistency {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Cached => Self::Cached,
            Consistency::Synced => Self::Synced,
        }
    }
}

/// `[simulator]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulator {
    /// Whether to use it.
    pub mode: SimulatorMode,
    /// Further arguments for it, as `["--profile", "realistic"]`.
    pub arguments: Vec<String>,
    /// Other backends than the default one that run in simulators of their own, unless they are configured.
    pub also: Vec<String>,
}

/// When containers run in the simulator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimulatorMode {
    /// When the default backend lacks a setting that it requires, because no account is configured.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Whether the daemon speaks TLS to agents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CallbackTls {
    /// When the callback address begins with wss://. The simulator's does not.
    #[default]
    Auto,
    /// Always, also in the simulator.
    On,
    /// Never: before the daemon stands a proxy that does.
    Off,
}

/// `[backends.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Backend {
    /// The component: a name in the folder of plugins, or a path [default: NAME].
    pub component: Option<String>,
    /// The plugin's own settings.
    #[serde(flatten)]
    pub settings: BTreeMap<String, toml::Value>,
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file's content.
    pub file: File,
    /// Where it was read from.
    pub source: Option<PathBuf>,
    /// Folder for the daemon's state.
    pub state: PathBuf,
    /// The name of the default backend.
    pub backend: String,
    /// The unix socket of the Docker API.
    pub socket: PathBuf,
    /// Further addresses of the Docker API.
    pub listen: Vec<SocketAddr>,
    /// The group that may use the socket.
    pub group: Option<String>,
    /// The address at which containers reach this daemon.
    pub callback_url: Option<String>,
    /// The address that the daemon listens on for them.
    pub callback_listen: Option<SocketAddr>,
    /// Whether it speaks TLS to them.
    pub callback_tls: CallbackTls,
    /// What becomes of a daemon's socket that is mounted into a container.
    pub docker_socket: DockerSocket,
    /// The address of this machine that containers reach as `host.docker.internal`.
    pub host_gateway: Option<IpAddr>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as it should be.
    #[error("configuration file {path}: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A duration that cannot be read.
    #[error("linger: expected seconds or a duration as 90s, 10m or 1h30m, not {0:?}")]
    Linger(String),
    /// A setting is neither a text nor a number nor a truth value.
    #[error("backends.{backend}.{setting}: expected a string, a number or a boolean")]
    Setting {
        /// Whose.
        backend: String,
        /// Which.
        setting: String,
    },
}

impl Config {
    /// For subcommands that do not serve.
    pub fn common(args: CommonArgs) -> Result<Self, ConfigError> {
        Self::serve(ServeArgs { common: args, ..ServeArgs::default() })
    }

    /// For `sync`.
    pub fn sync(args: SyncArgs) -> Result<(Self, Vec<String>), ConfigError> {
        let SyncArgs { common, socket, containers } = args;
        Ok((Self::serve(ServeArgs { common, socket, ..ServeArgs::default() })?, containers))
    }

    /// For `doctor`.
    pub fn doctor(args: DoctorArgs) -> Result<Self, ConfigError> {
        let DoctorArgs { common, socket, callback, .. } = args;
        Self::serve(ServeArgs { common, socket, callback, ..ServeArgs::default() })
    }

    /// For `serve`.
    pub fn serve(args: ServeArgs) -> Result<Self, ConfigError> {
        let (source, file) = read(args.common.config)?;
        let root = is_root();
        Ok(Self {
            state: args.common.state.or_else(|| file.state.clone()).unwrap_or_else(|| default_state(root)),
            backend: args
                .common
                .backend
                .or_else(|| file.backend.clone())
                .unwrap_or_else(|| DEFAULT_BACKEND.into()),
            socket: args.socket.or_else(|| file.socket.clone()).unwrap_or_else(|| default_socket(root)),
            listen: if args.listen.is_empty() { file.listen.clone() } else { args.listen },
            group: args.group.or_else(|| file.group.clone()),
            callback_url: args.callback.callback_url.or_else(|| file.callback_url.clone()),
            callback_listen: args.callback.callback_listen.or(file.callback_listen),
            callback_tls: args.callback.callback_tls.or(file.callback_tls).unwrap_or_default(),
            docker_socket: args.docker_socket.or(file.containers.docker_socket).unwrap_or_default(),
            host_gateway: args.host_gateway.or(file.networks.host_gateway),
            source,
            file,
        })
    }

    /// How long the agents of ended containers stay; none when the file does not say.
    pub fn linger(&self) -> Result<Option<Duration>, ConfigError> {
        let text = self.file.linger.as_deref();
        text.map(|text| sockerless_engine::duration(text).ok_or_else(|| ConfigError::Linger(text.into())))
            .transpose()
    }

    /// The settings that the file has for a backend, as texts.
    pub fn settings(&self, backend: &str) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some(section) = self.file.backends.get(backend) else { return Ok(BTreeMap::new()) };
        section
            .settings
            .iter()
            .map(|(name, value)| {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                        value.to_string()
                    }
                    _ => return Err(ConfigError::Setting { backend: backend.into(), setting: name.clone() }),
                };
                Ok((name.clone(), text))
            })
            .collect()
    }

    /// A file that is installed with the daemon: beside the executable, or in `../lib/sockerless`.
    pub fn installed(&self, configured: Option<&Path>, name: impl AsRef<Path>) -> PathBuf {
        if let Some(path) = configured {
            return path.into();
        }
        let folder =
            env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default();
        let beside = folder.join(&name);
        let library = folder.join("../lib/sockerless").join(name);
        if !beside.exists() && library.exists() { library } else { beside }
    }
}

/// Reads the named file, or the first that is there.
fn read(named: Option<PathBuf>) -> Result<(Option<PathBuf>, File), ConfigError> {
    let path = named.or_else(|| candidates().into_iter().find(|path| path.exists()));
    let Some(path) = path else { return Ok((None, File::default())) };
    let text =
        fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
    let file = toml::from_str(&text)
        .map_err(|source| ConfigError::Parse { path: path.clone(), source: Box::new(source) })?;
    Ok((Some(path), file))
}

fn candidates() -> Vec<PathBuf> {
    let user = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home().map(|home| home.join(".config")))
        .map(|folder| folder.join("sockerless/config.toml"));
    user.into_iter().chain(["/etc/sockerless/config.toml".into()]).collect()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// Where the state lies when nobody says so.
pub fn default_state(root: bool) -> PathBuf {
    if root {
        return "/var/lib/sockerless".into();
    }
    env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| home().map(|home| home.join(".local/state")))
        .unwrap_or_else(env::temp_dir)
        .join("sockerless")
}

fn default_socket(root: bool) -> PathBuf {
    if root {
        return "/run/sockerless.sock".into();
    }
    env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from).join("sockerless.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str, args: ServeArgs) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Config::serve(ServeArgs { common: CommonArgs { config: Some(path), ..args.common }, ..args })
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let args = ServeArgs { socket: Some("/a".into()), ..ServeArgs::default() };
        let config = from_text("socket = '/b'\nstate = '/s'", args).unwrap();
        assert_eq!(config.socket, PathBuf::from("/a"));
        assert_eq!(config.state, PathBuf::from("/s"));
        assert_eq!(config.backend, DEFAULT_BACKEND);
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line() {
        let error = from_text("sockett = '/b'", ServeArgs::default()).unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("sockett"), "{error}");
    }

    #[test]
    fn the_pool_of_networks_is_a_subnet() {
        let config =
            from_text("[networks]\npool = '10.9.0.0/16'\nzones = false", ServeArgs::default()).unwrap();
        assert_eq!(config.file.networks.pool.unwrap().to_string(), "10.9.0.0/16");
        assert_eq!(config.file.networks.zones, Some(false));
        let error =
            from_text("[networks]\npool = '10.9.0.1/16'", ServeArgs::default()).unwrap_err().to_string();
        assert!(error.contains("it should be 10.9.0.0/16"), "{error}");
    }

    #[test]
    fn what_containers_reach_of_this_machine_is_asked_for() {
        let config = from_text("", ServeArgs::default()).unwrap();
        assert_eq!((config.docker_socket, config.host_gateway), (DockerSocket::Serve, None));
        let text = "[containers]\ndocker_socket = 'refuse'\n[networks]\nhost_gateway = '127.0.0.1'";
        let config = from_text(text, ServeArgs::default()).unwrap();
        assert_eq!(config.docker_socket, DockerSocket::Refuse);
        assert_eq!(config.host_gateway, Some("127.0.0.1".parse().unwrap()));
        let args = ServeArgs {
            docker_socket: Some(DockerSocket::Serve),
            host_gateway: Some("10.0.0.1".parse().unwrap()),
            ..ServeArgs::default()
        };
        let config = from_text(text, args).unwrap();
        assert_eq!(config.docker_socket, DockerSocket::Serve);
        assert_eq!(config.host_gateway, Some("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn volumes_may_be_synced_unless_they_say_otherwise() {
        let consistency =
            |text: &str| from_text(text, ServeArgs::default()).unwrap().file.volumes.consistency;
        assert_eq!(consistency(""), Consistency::Cached);
        assert_eq!(consistency("[volumes]\nconsistency = 'synced'"), Consistency::Synced);
        assert!(from_text("[volumes]\nconsistency = 'quick'", ServeArgs::default()).is_err());
    }

    #[test]
    fn bind_mounts_may_be_kept_to_some_folders_and_to_a_size() {
        let options = |text: &str| from_text(text, ServeArgs::default()).unwrap().file.binds.options();
        assert_eq!(options(""), sockerless_engine::BindOptions::default());
        let given = options("[binds]\nallow = ['/home', '/srv']\nsize_limit = 5\nignore = '.dockerignore'");
        assert_eq!(given.allow, [PathBuf::from("/home"), PathBuf::from("/srv")]);
        assert_eq!((given.size_limit, given.ignore.as_str()), (5, ".dockerignore"));
    }

    #[test]
    fn linger_is_a_duration() {
        let linger = |text: &str| from_text(text, ServeArgs::default()).unwrap().linger();
        assert!(matches!(linger("linger = '1h30m'"), Ok(Some(time)) if time == Duration::from_secs(5400)));
        assert!(matches!(linger("linger = '0'"), Ok(Some(Duration::ZERO))));
        assert!(matches!(linger(""), Ok(None)));
        assert!(linger("linger = 'soon'").unwrap_err().to_string().contains("not \"soon\""));
    }

    #[test]
    fn settings_of_a_backend_become_texts_and_its_component_is_none_of_them() {
        let config = from_text(
            "[backends.cloudrun]\ncomponent = 'x.wasm'\nproject = 'p'\ntimeout = 60\n",
            ServeArgs::default(),
        )
        .unwrap();
        let settings = config.settings("cloudrun").unwrap();
        assert_eq!(
            settings,
            BTreeMap::from([("project".into(), "p".into()), ("timeout".into(), "60".into())])
        );
    }

    #[test]
    fn a_setting_that_is_a_list_is_refused_by_its_name() {
        let config = from_text("[backends.cloudrun]\nproject = ['p']", ServeArgs::default()).unwrap();
        let error = config.settings("cloudrun").unwrap_err().to_string();
        assert!(error.contains("backends.cloudrun.project"), "{error}");
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let args = CommonArgs { config: Some("/nowhere/config.toml".into()), ..CommonArgs::default() };
        assert!(matches!(Config::common(args), Err(ConfigError::Read { .. })));
    }
}
