//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    config::{CallbackTls, DockerSocket},
    tuning::DOCTOR_PATIENCE,
};

/// A Docker daemon whose containers run on serverless clouds.
///
/// Point the docker CLI, compose, Testcontainers or a CI runner at it with DOCKER_HOST. Without a
/// cloud account it starts the simulator of the default backend on this machine and runs containers there.
#[derive(Debug, Parser)]
#[command(name = "sockerless", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground.
    ///
    /// Prints one line on standard output once it answers; logs go to standard error (RUST_LOG
    /// chooses how much). SIGHUP replaces the backends whose components have changed, as `plugin reload`.
    Serve(ServeArgs),
    /// Check configuration, credentials, the cloud account and the way back from a test container.
    ///
    /// Each finding comes with a remedy. The test container costs what a few seconds in the cloud cost. Exit code 1 when a
    /// check fails.
    Doctor(DoctorArgs),
    /// Merge the bind mounts and synced volumes of a running container with what they are of, both ways.
    ///
    /// That happens by itself before a container starts (in) and at its end (back): with this machine's files for bind
    /// mounts, with the cloud's storage for volumes of `consistency=synced`. A container that has only read-only ones gets
    /// what has changed there.
    Sync(SyncArgs),
    /// Look at the backends, which are WebAssembly components, and replace them in a daemon that runs.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Start, stop or look at the simulators of a state folder.
    #[command(subcommand)]
    Simulator(SimulatorCommand),
    /// Print the versions of the daemon, of the API and of the plugin contract.
    Version,
    /// Print a completion script: `source <(sockerless completions bash)`.
    Completions {
        /// The shell to write it for.
        shell: Shell,
    },
}

/// What several subcommands take.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Configuration file [default: the first of ~/.config/sockerless/config.toml and /etc/sockerless/config.toml]
    #[arg(long, env = "SOCKERLESS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for the daemon's state [default: /var/lib/sockerless, or ~/.local/state/sockerless]
    #[arg(long, env = "SOCKERLESS_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The backend that containers run on unless --runtime names another [default: cloudrun]
    #[arg(long, env = "SOCKERLESS_BACKEND", value_name = "NAME")]
    pub backend: Option<String>,
}

/// What subcommands take that ask a daemon.
#[derive(Debug, Clone, Default, Args)]
pub struct ConnectArgs {
    /// What other subcommands take as well.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The unix socket of the Docker API
    #[arg(long, env = "SOCKERLESS_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// `sockerless serve`
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// What other subcommands take as well.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The unix socket of the Docker API [default: /run/sockerless.sock, or $XDG_RUNTIME_DIR/sockerless.sock]
    #[arg(long, env = "SOCKERLESS_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Serve the Docker API on this loopback address too; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<SocketAddr>,
    /// The group that may use the socket (mode 0660)
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// What concerns the way back from containers.
    #[command(flatten)]
    pub callback: CallbackArgs,
    /// What becomes of a daemon's socket that is mounted into a container [default: serve]
    #[arg(long, env = "SOCKERLESS_DOCKER_SOCKET", value_name = "MODE")]
    pub docker_socket: Option<DockerSocket>,
    /// The address of this machine that containers reach as host.docker.internal [default: none]
    #[arg(long, env = "SOCKERLESS_HOST_GATEWAY", value_name = "ADDRESS")]
    pub host_gateway: Option<IpAddr>,
}

/// How containers reach the daemon.
#[derive(Debug, Clone, Default, Args)]
pub struct CallbackArgs {
    /// The address at which containers in the cloud reach this daemon, as ws:// or wss:// URL, or "none"
    #[arg(long, env = "SOCKERLESS_CALLBACK_URL", value_name = "URL")]
    pub callback_url: Option<String>,
    /// The address that the daemon listens on for them
    #[arg(long, env = "SOCKERLESS_CALLBACK_LISTEN", value_name = "ADDRESS:PORT")]
    pub callback_listen: Option<SocketAddr>,
    /// Whether to speak TLS to them [default: auto]
    #[arg(long, env = "SOCKERLESS_CALLBACK_TLS", value_name = "MODE")]
    pub callback_tls: Option<CallbackTls>,
}

/// `sockerless doctor`
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Where it looks: a daemon that runs is asked to run the test container.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// What concerns the way back from containers.
    #[command(flatten)]
    pub callback: CallbackArgs,
    /// Image of the test container [default: the smallest that is here]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// How long the test container may take to call back once the cloud says that it runs, unless a daemon runs: it has a
    /// patience of its own
    #[arg(long, value_name = "SECONDS", default_value_t = DOCTOR_PATIENCE)]
    pub patience: u64,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `sockerless sync`
#[derive(Debug, Clone, Args)]
pub struct SyncArgs {
    /// Which daemon to ask.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Names or ids of containers.
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// `sockerless plugin`
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the backends that are there.
    Ls(CommonArgs),
    /// Show what a backend is, wants and can, and what a daemon that runs grants it, as JSON.
    Inspect {
        /// Its name.
        name: String,
        /// Where to look.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Have the daemon that runs take the components whose files have changed.
    ///
    /// Containers run on, and calls that are under way end in the old component. What cannot be loaded is told, and the old
    /// one stays. Settings and grants are those of the daemon's start. Exit code 1 when one was not loaded.
    Reload {
        /// Only this backend.
        name: Option<String>,
        /// Which daemon to ask.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `sockerless simulator`
#[derive(Debug, Subcommand)]
pub enum SimulatorCommand {
    /// Start that of the default backend and leave it running.
    Start(CommonArgs),
    /// End all, with all that runs in them.
    Stop(CommonArgs),
    /// Say which run and where they listen, as JSON by the name of the folder.
    Status(CommonArgs),
}
