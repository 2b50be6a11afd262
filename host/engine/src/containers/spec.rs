//! What a container is from its creation on, and its durable record.

use std::sync::Arc;

use bollard_stubs::models::{ContainerConfig, HostConfig, NetworkingConfig, RestartPolicyNameEnum};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sockerless_ports::store::{Change, Kind, Record};

use super::{health, signals, validate};
use crate::{
    EngineOptions, Error, ErrorKind, Result,
    life::{Policy, Rules, State},
    tuning,
    volumes::{Mounted, mounts::Source},
};

/// Everything about a container that does not change by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// 64 hexadecimal digits.
    pub id: String,
    pub created: Timestamp,
    /// As the user named it.
    pub image: String,
    /// `sha256:…`
    pub image_id: String,
    /// `sha256:…` of the platform's manifest.
    pub image_manifest: String,
    /// `linux`
    pub os: String,
    /// The backend's name.
    pub backend: String,
    /// Merged with the image's.
    pub config: ContainerConfig,
    /// With dockerd's defaults.
    pub host: HostConfig,
    pub networking: NetworkingConfig,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Seconds; none for the longest possible.
    pub timeout: Option<u64>,
    /// Volumes and binds, in the order of their destinations.
    #[serde(default)]
    pub mounts: Vec<Mounted>,
}

impl Spec {
    /// The first 12 digits of the id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The volumes that a backend's storage keeps for it, by name.
    pub fn volume_names(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter_map(|mounted| match &mounted.source {
            Source::Volume(name) => Some(name.as_str()),
            _ => None,
        })
    }

    pub fn tty(&self) -> bool {
        self.config.tty.unwrap_or_default()
    }

    pub fn open_stdin(&self) -> bool {
        self.config.open_stdin.unwrap_or_default()
    }

    pub fn auto_remove(&self) -> bool {
        self.host.auto_remove.unwrap_or_default()
    }

    /// `json-file`, `local` or `none`.
    pub fn log_driver(&self) -> &str {
        self.host.log_config.as_ref().and_then(|config| config.typ.as_deref()).unwrap_or("json-file")
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// What the container's life goes by.
    pub fn rules(&self, options: &EngineOptions) -> Rules {
        // It was read when the container was created.
        let linger = validate::linger(&self.config).ok().flatten().unwrap_or(options.linger);
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let stop_signal = self.config.stop_signal.as_deref().filter(|signal| !signal.is_empty());
        Rules {
            auto_remove: self.auto_remove(),
            restart: self.restart_policy(),
            linger: signed(linger),
            restart_hold: signed(tuning::RESTART_HOLD),
            stop_signal: stop_signal.and_then(|signal| signals::parse(signal).ok()),
            health: health::check(self).is_some(),
        }
    }

    pub fn restart_policy(&self) -> Policy {
        let policy = self.host.restart_policy.as_ref();
        match policy.and_then(|policy| policy.name) {
            Some(RestartPolicyNameEnum::ALWAYS) => Policy::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Policy::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => {
                let most = policy.and_then(|policy| policy.maximum_retry_count).unwrap_or(0);
                Policy::OnFailure { most: u32::try_from(most).unwrap_or(0) }
            }
            None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => Policy::No,
        }
    }

    pub fn hostname(&self) -> &str {
        match self.config.hostname.as_deref() {
            None | Some("") => self.short_id(),
            Some(name) => name,
        }
    }
}

/// A container as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub spec: Arc<Spec>,
    /// Without a slash.
    pub name: String,
    pub state: State,
}

impl ContainerRecord {
    /// The change that keeps it.
    pub fn put(spec: &Arc<Spec>, name: &str, state: &State) -> Result<Change> {
        let record = Self { spec: Arc::clone(spec), name: name.to_owned(), state: state.durable() };
        let content = serde_json::to_string(&record)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("container {}: {error}", spec.id)))?;
        Ok(Change::Put(Kind::Container, Record { key: spec.id.clone(), content }))
    }
}
