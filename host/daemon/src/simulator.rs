//! The embedded simulator: a process of its own that outlives daemons, as a cloud does.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use sockerless_credentials::CredentialConfig;
use tokio::process::Command;

use crate::config::Config;

/// How long the simulator may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one look at its ready file to the next.
const LOOK: Duration = Duration::from_millis(5);

/// What a running simulator says of itself: its ready file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Simulator {
    /// Its process.
    pub pid: i32,
    /// The address under which its containers reach this machine.
    pub host_address: IpAddr,
    /// The address that a service has to listen on to be reached there.
    pub bind_address: IpAddr,
    /// Settings that turn a backend to the simulator, by the backend's name.
    pub backends: BTreeMap<String, BTreeMap<String, String>>,
    /// The credentials that it accepts.
    #[serde(skip_serializing)]
    pub credentials: BTreeMap<String, CredentialConfig>,
}

/// Why there is no simulator.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// It cannot be started.
    #[error("cannot start the simulator {program}: {source}")]
    Spawn {
        /// Its program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended, or was not ready in time.
    #[error("the simulator did not start: {why}\nits log {log} ends with:\n{tail}")]
    NotReady {
        /// What happened instead.
        why: String,
        /// Where more is written.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Its state folder cannot be used.
    #[error("{path}: {source}")]
    State {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not end.
    #[error("the simulator (process {0}) does not end; kill it by hand")]
    Stuck(i32),
}

/// Where the simulator of a daemon's state lies.
pub fn folder(config: &Config) -> PathBuf {
    config.state.join("simulator")
}

/// The simulator that runs on this state, if one does.
pub fn running(config: &Config) -> Option<Simulator> {
    let text = fs::read_to_string(folder(config).join("ready.json")).ok()?;
    let simulator: Simulator = serde_json::from_str(&text).ok()?;
    is_simulator(simulator.pid).then_some(simulator)
}

/// Process ids are used again: only a process that runs our program counts.
fn is_simulator(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains("sockerless-simulators"))
}

/// The simulator that runs, or else a new one.
pub async fn ensure(config: &Config) -> Result<Simulator, SimulatorError> {
    match running(config) {
        Some(simulator) => Ok(simulator),
        None => start(config).await,
    }
}

async fn start(config: &Config) -> Result<Simulator, SimulatorError> {
    let folder = folder(config);
    let state = |path: &Path, source| SimulatorError::State { path: path.into(), source };
    fs::create_dir_all(&folder).map_err(|error| state(&folder, error))?;
    let ready = folder.join("ready.json");
    match fs::remove_file(&ready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(state(&ready, error)),
        _ => {}
    }
    let log = folder.join("simulator.log");
    let output = fs::File::options().create(true).append(true).open(&log).map_err(|error| state(&log, error))?;
    let program = config.installed(config.file.simulator.program.as_deref(), "sockerless-simulators");
    let mut command = Command::new(&program);
    // The simulator of a cloud goes by the name of the backend that it stands in for.
    command.arg(&config.backend).arg("--state").arg(&folder).arg("--ready-file").arg(&ready);
    if let Some(profile) = &config.file.simulator.profile {
        command.args(["--profile", profile]);
    }
    if let Some(mirror) = config.file.registry_mirrors.first() {
        command.args(["--docker-hub-mirror", mirror]);
    }
    // A process group of its own: Ctrl-C on the daemon is not meant for it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn().map_err(|source| SimulatorError::Spawn { program, source })?;
    let not_ready = |why: String| SimulatorError::NotReady { why, tail: tail(&log), log: log.clone() };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(simulator) = running(config) {
            return Ok(simulator);
        }
        match child.try_wait() {
            Ok(Some(status)) => return Err(not_ready(format!("it ended with {status}"))),
            Ok(None) => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(not_ready(error.to_string())),
        }
    }
    Err(not_ready(format!("it was not ready within {} s", PATIENCE.as_secs())))
}

/// Ends the simulator, with all that runs in it. False when none ran.
pub async fn stop(config: &Config) -> Result<bool, SimulatorError> {
    let Some(simulator) = running(config) else { return Ok(false) };
    let pid = Pid::from_raw(simulator.pid);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let deadline = Instant::now() + PATIENCE;
        if kill(pid, signal) == Err(Errno::ESRCH) {
            return Ok(true);
        }
        while Instant::now() < deadline {
            if !is_simulator(simulator.pid) {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Err(SimulatorError::Stuck(simulator.pid))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
