//! An exec: what does not change of it, and how far it is.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockerless_ports::{
    link::{Channel, RunId, request},
    store::{Change, Kind, Record},
};
use tokio::sync::watch;

use crate::{Error, ErrorKind, Result};

/// What does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The start of the container that it belongs to.
    pub run: RunId,
    /// What the agent is asked for. Its environment is not kept: nobody asks for it again.
    pub request: request::Exec,
    pub stdout: bool,
    pub stderr: bool,
    pub detach_keys: Option<String>,
    pub privileged: bool,
    /// As the client gave it.
    pub user: Option<String>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has started it.
    Created,
    /// The agent is being asked.
    Starting,
    /// Its process runs.
    Running { pid: u32 },
    /// It has ended, or could not be started.
    Ended { pid: u32, code: i32, at: Timestamp },
}

/// An exec.
pub(crate) struct Exec {
    pub plan: Plan,
    stage: watch::Sender<Stage>,
    channel: Mutex<Option<Arc<dyn Channel>>>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct ExecRecord {
    #[serde(flatten)]
    pub plan: Plan,
    #[serde(default)]
    pub pid: u32,
    /// Exit code and time of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<(i32, Timestamp)>,
}

impl Exec {
    pub fn new(plan: Plan, stage: Stage) -> Arc<Self> {
        Arc::new(Self { plan, stage: watch::Sender::new(stage), channel: Mutex::default() })
    }

    pub fn id(&self) -> &str {
        &self.plan.request.id
    }

    pub fn container(&self) -> &str {
        &self.plan.run.container
    }

    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Goes from one stage to the next, if `next` allows it. Gives the stage that was there.
    pub fn step(&self, next: impl FnOnce(Stage) -> Option<Stage>) -> Stage {
        let mut before = Stage::Created;
        self.stage.send_if_modified(|stage| {
            before = *stage;
            next(before).map(|next| *stage = next).is_some()
        });
        before
    }

    /// Whether it has not ended yet.
    pub fn is_live(&self) -> bool {
        !matches!(self.stage(), Stage::Ended { .. })
    }

    pub fn set_channel(&self, channel: Option<Arc<dyn Channel>>) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }

    pub fn channel(&self) -> Option<Arc<dyn Channel>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Program and arguments as events show them: dockerd's blank after a program without arguments included.
    pub fn command(&self) -> String {
        let (program, arguments) = self.command_line();
        format!("{program} {}", arguments.join(" "))
    }

    pub fn command_line(&self) -> (&str, &[String]) {
        self.plan.request.argv.split_first().map_or(("", &[]), |(program, rest)| (program.as_str(), rest))
    }

    /// The change that keeps it.
    pub fn put(&self) -> Result<Change> {
        let (pid, end) = match self.stage() {
            Stage::Created | Stage::Starting => (0, None),
            Stage::Running { pid } => (pid, None),
            Stage::Ended { pid, code, at } => (pid, Some((code, at))),
        };
        let mut plan = self.plan.clone();
        plan.request.env.clear();
        let content = serde_json::to_string(&ExecRecord { plan, pid, end })
            .map_err(|error| Error::new(ErrorKind::Internal, format!("exec {}: {error}", self.id())))?;
        Ok(Change::Put(Kind::Exec, Record { key: self.id().to_owned(), content }))
    }
}
