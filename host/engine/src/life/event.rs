//! What happens to a container, and what has to be done about it.

use std::sync::Arc;

use jiff::Timestamp;
use sockerless_ports::{
    backend::JobStatus,
    link::{
        Exit,
        request::{Health, HealthStatus},
    },
};

use super::CloudEnd;
use crate::{networks::Joined, publish::Published};

/// Something that happened. Events with a generation are ignored once that generation is over.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A client wants it to run. `agent`: there can be one.
    Start { agent: bool },
    /// Its ports are bound.
    Published { generation: u32, ports: Vec<Published> },
    /// It has its places on networks.
    Joined { generation: u32, joined: Joined },
    /// The pause before an automatic restart is over.
    RestartDue { generation: u32, agent: bool },
    /// The agent that was to run it once more in place does not answer: another job shall.
    Unanswered { generation: u32 },
    /// The agent's process runs.
    Launched { generation: u32, pid: u32 },
    /// The process could not be executed.
    LaunchFailed { generation: u32, code: i32, message: String },
    /// The job could not be made, or its agent does not come.
    StartFailed { generation: u32, message: String },
    /// The agent's line is up or down.
    Line { generation: u32, up: bool },
    /// The agent reports the end.
    Exited { generation: u32, exit: Exit },
    /// The cloud reports.
    Cloud { generation: u32, report: Report },
    /// A client wants it to end. `grace` in seconds, none for ever.
    Stop { signal: i32, grace: Option<u64>, restart: bool },
    /// A client sends a signal.
    Kill { signal: i32 },
    /// Time is up after a stop.
    GraceOver { generation: u32, deadline: Timestamp },
    /// SIGKILL had no visible effect.
    KillOverdue { generation: u32 },
    /// It is removed by force, and nobody waits any longer for its end.
    Abandon { generation: u32 },
    /// The daemon had died before it asked the cloud for anything.
    Interrupted { generation: u32 },
    /// The agent has nothing to do any more; `until` is what the timer was set for.
    LingerOver { generation: u32, until: Timestamp },
    /// The cloud tells the agent of an ended process to go.
    Leaving { generation: u32 },
    /// What the container changed is saved, or is not.
    Saved { generation: u32, result: Result<(), String> },
    /// The health check has new results.
    Health { generation: u32, health: Arc<Health> },
    /// What it changed was brought back to others who have the same files, or was not: then why, else nothing.
    Returned { what: Shared, problem: String },
    /// Its job has not the size any more that it should have.
    Resized,
    /// A client wants its processes frozen.
    Pause,
    /// They go on, or were never frozen (`quiet`).
    Resume { generation: u32, quiet: bool },
    /// A client wants it gone.
    Remove,
    /// Its record could not be removed.
    EraseFailed { message: String },
}

/// Files that a container has in common with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Synced volumes.
    Volumes,
    /// Bind mounts.
    Binds,
}

/// What matters of a job's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// It waits for its place, or for its image.
    Pending,
    /// Its main container runs.
    Running { since: Option<Timestamp> },
    /// It has ended.
    Ended { since: Option<Timestamp>, end: CloudEnd },
}

impl From<&JobStatus> for Report {
    fn from(status: &JobStatus) -> Self {
        use sockerless_ports::backend::Phase;
        let since = status.started.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
        match status.phase {
            Phase::Created | Phase::Starting => Self::Pending,
            Phase::Running => Self::Running { since },
            Phase::Succeeded | Phase::Failed | Phase::Cancelled | Phase::Absent => Self::Ended {
                since,
                end: CloudEnd {
                    phase: status.phase,
                    exit_code: status.exit_code,
                    term_signal: status.term_signal,
                    reason: status.reason.clone(),
                    message: status.message.clone(),
                },
            },
        }
    }
}

/// Something to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Open the log, before anybody learns of the start.
    BeginLog { generation: u32 },
    /// Bring a job up and look after it until [`Effect::Release`].
    Launch { generation: u32 },
    /// Have the agent of the run `from`, in the job of `host`, do this one.
    Succeed { host: u32, from: u32, generation: u32 },
    /// Tell when it is time for the next automatic start.
    AwaitRestart { generation: u32, due: Timestamp },
    /// Save what the container has changed, and tell what came of that.
    Save { generation: u32 },
    /// Let its processes go on.
    Thaw { generation: u32 },
    /// Send a signal through the agent.
    Signal { generation: u32, signal: i32 },
    /// Tell when the grace is over.
    AwaitGrace { generation: u32, deadline: Timestamp },
    /// Tell when SIGKILL should have worked.
    AwaitKill { generation: u32 },
    /// Have the cloud end the job.
    StopJob { generation: u32, grace: u32 },
    /// Followers of the log end.
    FinishLog { generation: u32 },
    /// Nobody needs the job of the generation `host` any more: delete it.
    Release { host: u32 },
    /// Tell those who listen to events.
    Announce(Announcement),
    /// Remove record and log.
    Erase,
}

/// Docker's events of a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Announcement {
    Start,
    Kill {
        signal: i32,
    },
    OutOfMemory,
    Die {
        code: i32,
        seconds: i64,
    },
    Stop,
    Unpause,
    Health(HealthStatus),
    /// A probe of the health check ended with this code.
    Probe {
        code: i32,
    },
}

/// Why a client's wish is turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It runs, or is about to.
    Running,
    /// It does not run.
    NotRunning,
    /// It is paused.
    Paused,
    /// What it has changed is being saved for a new job.
    Saving,
    /// It is between two tries of its restart policy.
    Restarting,
    /// It is being removed.
    Removing,
    /// Its removal failed before.
    Dead,
    /// It is gone.
    Removed,
    /// Only an agent could do that.
    NeedsAgent,
}
