//! What the process of every simulator does: it says when it is ready, and ends when it is told to.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sockerless_simulator_common::{Profile, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A simulator that answers.
pub trait Cloud {
    /// What the ready file says.
    fn info(&self) -> impl Serialize;

    /// Ends it.
    fn shutdown(self) -> impl Future<Output = ()> + Send;
}

/// How long things take.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Latency {
    /// A few milliseconds for each operation
    Fast,
    /// As long as in the cloud: 1 to 2 s for a job, 5 to 10 s for a cold start
    Realistic,
}

impl From<Latency> for Profile {
    fn from(latency: Latency) -> Self {
        match latency {
            Latency::Fast => Self::Fast,
            Latency::Realistic => Self::Realistic,
        }
    }
}

/// What every simulator is told.
#[derive(Debug, Args)]
pub struct Common {
    /// Folder of its state; made if it is missing. One process at a time may use it
    #[arg(long, value_name = "DIR", env = "SOCKERLESS_SIMULATOR_STATE")]
    pub state: PathBuf,

    /// Where to listen (without TLS); port 0 takes the port of the last time if it is free, else any
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// How long things take
    #[arg(long, value_enum, default_value_t = Latency::Fast)]
    pub profile: Latency,

    /// What to pull docker.io's images from instead, such as http://127.0.0.1:5000
    #[arg(long, value_name = "URL", value_parser = base)]
    pub docker_hub_mirror: Option<String>,

    /// An access token that is always good [default: made up once and kept]
    #[arg(long, value_name = "TOKEN", env = "SOCKERLESS_SIMULATOR_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// How long the tokens that it issues are good, in seconds [default: 3599]; with 0 they have expired when they come
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub token_life: Option<Duration>,

    /// Written when it is ready, as JSON: all that `GET /simulator/v1/info` says
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

fn base(url: &str) -> Result<String, Infallible> {
    Ok(url.trim_end_matches('/').to_owned())
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// Starts a simulator and runs it until it is told to end.
pub fn main<C: Cloud>(
    ready_file: Option<PathBuf>,
    start: impl Future<Output = Result<C, StartError>>,
) -> ExitCode {
    detach();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        // Whoever read standard error may be dead: that is no reason to end.
        .log_internal_errors(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no async runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(ready_file, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves the session of whoever started this process, whose end and whose Ctrl-C are none of ours.
fn detach() {
    match nix::unistd::setsid() {
        // The leader of a process group has one of its own already.
        Ok(_) | Err(nix::errno::Errno::EPERM) => {}
        Err(error) => eprintln!("no session of its own: {error}"),
    }
}

async fn run<C: Cloud>(
    ready_file: Option<PathBuf>,
    start: impl Future<Output = Result<C, StartError>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The terminal goes with whoever started this process.
    let mut hang_up = signal(SignalKind::hangup())?;
    let server = start.await?;
    if let Some(file) = &ready_file {
        write_ready(file, &server.info())?;
    }
    tracing::info!("ready");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {}
        }
    }
    tracing::info!("ending");
    server.shutdown().await;
    if let Some(file) = &ready_file
        && let Err(error) = std::fs::remove_file(file)
    {
        tracing::warn!(%error, "the ready file cannot be removed");
    }
    Ok(())
}

/// Written whole or not at all: readers may poll for it. It holds the token, so it is the owner's alone.
fn write_ready(file: &Path, info: &impl Serialize) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let draft = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut out =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    out.write_all(&serde_json::to_vec(info)?)?;
    out.sync_all()?;
    std::fs::rename(&draft, file)
}
