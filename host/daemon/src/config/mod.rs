//! What the operator wants: command line before environment before file before default.

mod file;

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use sockerless_ports::backend::HttpGrant;

use crate::cli::{CommonArgs, ConnectArgs, DoctorArgs, ServeArgs};
pub use file::{CallbackTls, DockerSocket, File, SimulatorMode};

/// The backend that is used when nobody names one.
pub const DEFAULT_BACKEND: &str = "cloudrun";

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
    #[error("{setting}: expected seconds or a duration as 90s, 10m or 1h30m, not {text:?}")]
    Duration {
        /// Of which setting.
        setting: &'static str,
        /// What stands there.
        text: String,
    },
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

    /// For subcommands that ask a daemon.
    pub fn connect(args: ConnectArgs) -> Result<Self, ConfigError> {
        let ConnectArgs { common, socket } = args;
        Self::serve(ServeArgs { common, socket, ..ServeArgs::default() })
    }

    /// For `doctor`.
    pub fn doctor(args: DoctorArgs) -> Result<Self, ConfigError> {
        let DoctorArgs { connect: ConnectArgs { common, socket }, callback, .. } = args;
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
        duration("linger", self.file.linger.as_deref())
    }

    /// How long a container may run that does not say so itself; none when the file does not say.
    pub fn timeout(&self) -> Result<Option<Duration>, ConfigError> {
        duration("containers.timeout", self.file.containers.timeout.as_deref())
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

    /// What the operator grants to a backend; none when the file does not say.
    pub fn grant(&self, backend: &str) -> Option<Vec<HttpGrant>> {
        let grant = self.file.backends.get(backend)?.grant.as_ref()?;
        Some(grant.iter().map(HttpGrant::from).collect())
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

fn duration(setting: &'static str, text: Option<&str>) -> Result<Option<Duration>, ConfigError> {
    let read = |text: &str| {
        sockerless_engine::duration(text).ok_or_else(|| ConfigError::Duration { setting, text: text.into() })
    };
    text.map(read).transpose()
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
mod tests;
