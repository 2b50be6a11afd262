//! The embedded simulator: a process of its own that outlives daemons, as a cloud does.
//!
//! Which simulator stands in for which backend, and how the backend is turned to it, is written down
//! beside the component, in `NAME.simulator.toml`: the daemon knows no cloud.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sockerless_credentials::CredentialConfig;
use tokio::process::Command;

use crate::{
    config::{Config, DEFAULT_BACKEND},
    tuning::{SIMULATOR_LOOK, SIMULATOR_PATIENCE, SIMULATOR_TAIL},
};

/// `NAME.simulator.toml`. Texts may name values of the ready file in braces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The simulator's program: a name beside the daemon, or a path.
    program: PathBuf,
    /// What to start it with, before `--state` and `--ready-file`.
    arguments: Vec<String>,
    /// Settings that turn the backend to it.
    settings: BTreeMap<String, String>,
    /// The credentials that it accepts.
    credentials: toml::Table,
}

impl Profile {
    /// The profile that lies beside a component. None: this backend has no simulator.
    pub fn beside(component: &Path) -> Result<Option<Self>, SimulatorError> {
        let path = component.with_extension("simulator.toml");
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|error| SimulatorError::Profile { path, why: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SimulatorError::State { path, source }),
        }
    }

    /// The backend's settings for a running simulator.
    pub fn settings(&self, simulator: &Simulator) -> BTreeMap<String, String> {
        self.settings.iter().map(|(name, text)| (name.clone(), simulator.fill(text))).collect()
    }

    /// The credentials for a running simulator.
    pub fn credentials(
        &self,
        simulator: &Simulator,
    ) -> Result<BTreeMap<String, CredentialConfig>, toml::de::Error> {
        toml::from_str(&simulator.fill(&self.credentials.to_string()))
    }
}

/// What a running simulator says of itself: its ready file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Simulator {
    /// Its process.
    pub pid: i32,
    /// The address under which its containers reach this machine.
    pub host_address: IpAddr,
    /// The address that a service has to listen on to be reached there.
    pub bind_address: IpAddr,
    /// What profiles refer to.
    #[serde(flatten)]
    values: BTreeMap<String, Value>,
}

impl Simulator {
    /// Puts values of the ready file in the place of their names.
    fn fill(&self, text: &str) -> String {
        self.values
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?)))
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
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
    /// Its profile is not as it should be.
    #[error("{path}: {why}")]
    Profile {
        /// The profile.
        path: PathBuf,
        /// What is wrong.
        why: String,
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

/// What the folders of simulators are called, or begin with.
const FOLDER: &str = "simulator";

/// Where a backend's simulator lies in a daemon's state.
pub fn folder(config: &Config, backend: &str) -> PathBuf {
    let name = if backend == DEFAULT_BACKEND { FOLDER.to_owned() } else { format!("{FOLDER}-{backend}") };
    config.state.join(name)
}

/// The backend's simulator that runs on this state, if one does.
pub fn running(config: &Config, backend: &str) -> Option<Simulator> {
    running_in(&folder(config, backend))
}

/// All simulators that run on this state, by the name of their folder.
pub fn all(config: &Config) -> Result<BTreeMap<String, Simulator>, SimulatorError> {
    let folders = folders(config)?.into_iter();
    Ok(folders.filter_map(|(name, path)| Some((name, running_in(&path)?))).collect())
}

/// The folders of simulators in a daemon's state.
fn folders(config: &Config) -> Result<BTreeMap<String, PathBuf>, SimulatorError> {
    let unread = |source| SimulatorError::State { path: config.state.clone(), source };
    let entries = match fs::read_dir(&config.state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(unread)?,
    };
    let mut folders = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.split('-').next() == Some(FOLDER) {
            folders.insert(name.to_owned(), path);
        }
    }
    Ok(folders)
}

fn running_in(folder: &Path) -> Option<Simulator> {
    let text = fs::read_to_string(folder.join("ready.json")).ok()?;
    let simulator: Simulator = serde_json::from_str(&text).ok()?;
    is_simulator(simulator.pid).then_some(simulator)
}

/// Process ids are used again: only a process that runs our program counts.
fn is_simulator(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains("sockerless-simulators"))
}

/// The backend's simulator that runs, or else a new one.
pub async fn ensure(config: &Config, backend: &str, profile: &Profile) -> Result<Simulator, SimulatorError> {
    match running(config, backend) {
        Some(simulator) => Ok(simulator),
        None => start(config, &folder(config, backend), profile).await,
    }
}

async fn start(config: &Config, folder: &Path, profile: &Profile) -> Result<Simulator, SimulatorError> {
    let state = |path: &Path, source| SimulatorError::State { path: path.into(), source };
    fs::create_dir_all(folder).map_err(|error| state(folder, error))?;
    let ready = folder.join("ready.json");
    match fs::remove_file(&ready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(state(&ready, error)),
        _ => {}
    }
    let log = folder.join("simulator.log");
    let output =
        fs::File::options().create(true).append(true).open(&log).map_err(|error| state(&log, error))?;
    let program = config.installed(None, &profile.program);
    let mut command = Command::new(&program);
    command.args(&profile.arguments).args(&config.file.simulator.arguments);
    command.arg("--state").arg(folder).arg("--ready-file").arg(&ready);
    // A process group of its own: Ctrl-C on the daemon is not meant for it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn().map_err(|source| SimulatorError::Spawn { program, source })?;
    let not_ready = |why: String| SimulatorError::NotReady { why, tail: tail(&log), log: log.clone() };
    let deadline = Instant::now() + SIMULATOR_PATIENCE;
    while Instant::now() < deadline {
        if let Some(simulator) = running_in(folder) {
            return Ok(simulator);
        }
        match child.try_wait() {
            Ok(Some(status)) => return Err(not_ready(format!("it ended with {status}"))),
            Ok(None) => tokio::time::sleep(SIMULATOR_LOOK).await,
            Err(error) => return Err(not_ready(error.to_string())),
        }
    }
    Err(not_ready(format!("it was not ready within {} s", SIMULATOR_PATIENCE.as_secs())))
}

/// Ends all simulators that run on this state but those that `spared` names by their folders. False when none ran.
pub async fn stop_all(config: &Config, spared: &BTreeMap<String, Simulator>) -> Result<bool, SimulatorError> {
    let mut stopped = false;
    for (name, folder) in folders(config)? {
        if !spared.contains_key(&name) {
            stopped |= stop_in(&folder).await?;
        }
    }
    Ok(stopped)
}

async fn stop_in(folder: &Path) -> Result<bool, SimulatorError> {
    let Some(simulator) = running_in(folder) else { return Ok(false) };
    let pid = Pid::from_raw(simulator.pid);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let deadline = Instant::now() + SIMULATOR_PATIENCE;
        if kill(pid, signal) == Err(Errno::ESRCH) {
            return Ok(true);
        }
        while Instant::now() < deadline {
            if !is_simulator(simulator.pid) {
                return Ok(true);
            }
            tokio::time::sleep(SIMULATOR_LOOK).await;
        }
    }
    Err(SimulatorError::Stuck(simulator.pid))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SIMULATOR_TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_takes_its_values_from_the_ready_file() {
        let profile: Profile = toml::from_str(
            "program = 'p'\narguments = ['cloud']\n[settings]\nurl = 'http://{host}/{project}'\n\
             [credentials.c]\nkind = 'bearer'\ntoken = '{token}'\n",
        )
        .unwrap();
        let ready = r#"{"pid": 1, "host_address": "10.0.0.1", "bind_address": "10.0.0.1",
                        "host": "h:1", "project": "p", "token": "secret"}"#;
        let simulator: Simulator = serde_json::from_str(ready).unwrap();
        assert_eq!(profile.settings(&simulator)["url"], "http://h:1/p");
        assert!(matches!(profile.credentials(&simulator).unwrap()["c"], CredentialConfig::Bearer { .. }));
    }
}
