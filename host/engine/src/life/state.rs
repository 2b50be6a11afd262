//! Where a container is in its life.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockerless_ports::{backend, link::request::Health};

use super::Restarts;

use crate::{networks::Joined, publish::Published};

/// Docker's states of a container, with the start, which takes its time in a cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Never ran.
    #[default]
    Created,
    /// A start is under way; Docker has no word for it, and clients see what was before.
    Starting,
    /// Its process runs.
    Running,
    /// Its process has ended, and its restart policy will start it again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// It is being removed.
    Removing,
    /// Its removal failed; it can be tried again.
    Dead,
    /// It is gone; only those who still hold it see this.
    Removed,
}

/// All that changes in a container's life, name apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub phase: Phase,
    /// Counts the starts.
    pub generation: u32,
    /// The generation whose job hosts the present run, or the last one: an earlier one than `generation` when it was
    /// started in place.
    pub host: u32,
    /// The last generation whose process ran.
    pub launched: u32,
    /// The last generation that has ended, whether its process ran or not.
    pub ended: u32,
    /// The last generation whose process has ended, or that was stopped before it had one: a start that failed is no
    /// exit, as in dockerd.
    pub exited: u32,
    /// The generation that the job's agent does or did last: not the present one while a start in place is under way.
    pub serves: u32,
    /// An agent is expected in this generation.
    pub agent: bool,
    /// The agent of the last run is still there, although nothing runs.
    pub linger: Option<Linger>,
    /// The process's number in its container; 0 when none runs.
    pub pid: u32,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// Of the last end, or 0 while it runs, as Docker shows it.
    pub exit_code: i32,
    /// Of the last end, also while it runs again: for those who waited for that end.
    pub last_exit_code: i32,
    pub out_of_memory: bool,
    /// `State.Error` of `docker inspect`.
    pub error: String,
    /// Why the last generation did not start.
    pub failure: Option<Failure>,
    /// The next start needs a job of another size: none in place.
    pub resized: bool,
    /// What the container changed in its file system and the next start will not have, and why.
    pub unsaved: String,
    /// What it changed and others who have the same files do not see, and why.
    pub unreturned: Unreturned,
    /// Its processes are frozen.
    pub paused: bool,
    /// Where its health check stands; none without one.
    pub health: Option<Arc<Health>>,
    /// What the restart policy has done so far.
    pub restarts: Restarts,
    /// It was asked to end.
    pub stop: Option<Stop>,
    /// The cloud says that the job has ended, and the agent's word is awaited.
    pub cloud_end: Option<CloudEnd>,
    /// What is published, of the last generation that got so far: the next one prefers the same ports.
    pub ports: Vec<Published>,
    /// Its places on networks, of the last generation that got so far.
    pub joined: Joined,
    /// The agent is connected. Not durable: after a restart it is not.
    #[serde(skip)]
    pub line: bool,
}

impl State {
    /// A job may exist for it.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running)
    }

    /// Whether a job of the generation `host` is still needed: a process runs there, or its agent is kept.
    /// Once it is not, it never is again.
    pub fn needs_job(&self, host: u32) -> bool {
        self.host == host && (self.is_live() || self.linger.is_some())
    }

    /// The present run, or the one being started, is in the job of an earlier one.
    pub fn in_place(&self) -> bool {
        self.host != self.generation
    }

    /// Docker's idea of running, which includes the pause between two tries of a restart policy.
    pub fn is_up(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Restarting => true,
            Phase::Starting => self.restarts.automatic,
            _ => false,
        }
    }

    /// As it is kept. The results of health checks come too often, and are soon out of date.
    pub fn durable(&self) -> Self {
        let health = self.health.as_ref().map(|health| {
            let status = health.status;
            Arc::new(Health { status, ..Health::default() })
        });
        Self { line: false, health, ..self.clone() }
    }
}

/// Why the last run's changes could not be brought back; nothing where they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Unreturned {
    pub volumes: String,
    pub binds: String,
}

/// An agent that stays after its process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Linger {
    /// Until then; none as long as a start is sure to come.
    pub until: Option<Timestamp>,
    /// What has changed is being saved; then the agent goes.
    pub saving: bool,
}

/// Why a generation did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    /// Docker's exit code for it: 126, 127, 128, or 137.
    pub code: i32,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FailureKind {
    /// The process could not be executed: the user's command is wrong.
    Launch,
    /// The cloud, or the way to it, failed.
    Cloud,
    /// It was stopped, killed or removed before its process ran.
    Stopped,
}

/// A wish that the container ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// When patience ends; none for never.
    pub deadline: Option<Timestamp>,
    /// SIGKILL was sent.
    pub killed: bool,
    /// By `stop` or `restart`, rather than `kill`.
    pub requested: bool,
    /// It is to start again: no automatic removal.
    pub restart: bool,
    /// Came while a start in place was under way: to be done once the process runs. Signal, and seconds of grace.
    #[serde(default)]
    pub unsent: Option<(i32, Option<u64>)>,
}

/// How a job ended, in the cloud's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CloudEnd {
    pub phase: backend::Phase,
    pub exit_code: Option<i32>,
    pub term_signal: Option<u32>,
    pub reason: String,
    pub message: String,
}
