//! Where a container is in its life.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockerless_ports::backend;

use crate::publish::Published;

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
    /// The last generation whose process ran.
    pub launched: u32,
    /// The last generation that has ended, whether its process ran or not.
    pub ended: u32,
    /// The last generation whose process has ended, or that was stopped before it had one: a start that failed is no
    /// exit, as in dockerd.
    pub exited: u32,
    /// An agent is expected in this generation.
    pub agent: bool,
    /// The process's number in its container; 0 when none runs.
    pub pid: u32,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// Of the last end.
    pub exit_code: i32,
    pub out_of_memory: bool,
    /// `State.Error` of `docker inspect`.
    pub error: String,
    /// Why the last generation did not start.
    pub failure: Option<Failure>,
    /// It was asked to end.
    pub stop: Option<Stop>,
    /// The cloud says that the job has ended, and the agent's word is awaited.
    pub cloud_end: Option<CloudEnd>,
    /// What is published, of the last generation that got so far: the next one prefers the same ports.
    pub ports: Vec<Published>,
    /// The agent is connected. Not durable: after a restart it is not.
    #[serde(skip)]
    pub line: bool,
}

impl State {
    /// A job may exist for it.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running)
    }

    /// As it is kept.
    pub fn durable(&self) -> Self {
        Self { line: false, ..self.clone() }
    }
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
