//! Workloads.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Labels, Mount, Page, Result};

/// Workloads. See `wit/jobs.wit`.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// Idempotent on `spec.name`.
    async fn create(&self, spec: &JobSpec) -> Result<JobHandle>;
    /// Starting what was started is no error.
    async fn start(&self, handle: &JobHandle) -> Result<JobHandle>;
    /// In the order asked.
    async fn status(&self, handles: &[JobHandle]) -> Result<Vec<JobStatus>>;
    /// Asks the cloud to end it.
    async fn stop(&self, handle: &JobHandle, grace_seconds: u32) -> Result<JobHandle>;
    /// Deleting what is gone is no error.
    async fn delete(&self, handle: &JobHandle) -> Result<()>;
    /// All workloads of an owner.
    async fn list(&self, owner: &str, cursor: Option<&str>) -> Result<Page<(JobStatus, Labels)>>;
    /// What the main container wrote, as far as the cloud's log has it.
    async fn logs(&self, handle: &JobHandle, cursor: Option<&str>, limit: u32) -> Result<LogPage>;
}

/// See `workload-kind` in `wit/jobs.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Runs until its first container exits.
    RunToCompletion,
    /// Runs until it is stopped and may be dialled.
    Service,
    /// Several containers that share localhost.
    Pod,
}

/// A workload: everything that a cloud has to know of a start of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Key of idempotency.
    pub name: String,
    /// Which daemon it belongs to.
    pub owner: String,
    /// What it is expected to do.
    pub kind: WorkloadKind,
    /// Run to their end with code 0, one after the other, before any of `containers` starts.
    #[serde(default)]
    pub init: Vec<JobContainer>,
    /// The first is the main one.
    pub containers: Vec<JobContainer>,
    /// What the containers' mounts name.
    pub volumes: Vec<JobVolume>,
    /// Kept with the workload.
    pub labels: Labels,
    /// The cloud ends it after so many seconds.
    pub timeout_seconds: Option<u64>,
    /// How often the cloud may start it again by itself.
    pub max_retries: u32,
    /// Every connection goes through the private network.
    pub all_traffic: bool,
    /// DNS zones that it belongs to.
    pub zones: Vec<String>,
    /// GPU: the provider's name and how many.
    pub accelerator: Option<(String, u32)>,
    /// A reaper may delete it after this time (ms since 1970).
    pub expires: Option<u64>,
    /// Create and start in one call where the cloud can.
    pub start: bool,
}

/// One container of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobContainer {
    /// Unique within the spec.
    pub name: String,
    /// A reference that the cloud can pull.
    pub image: String,
    /// Replaces the image's entry point.
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    pub args: Vec<String>,
    /// Variables in order.
    pub env: Labels,
    /// Variable and the provider's secret.
    pub secret_env: Labels,
    /// Absolute path.
    pub working_dir: Option<String>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Bytes.
    pub memory_bytes: Option<u64>,
    /// What is mounted where.
    pub mounts: Vec<MountPoint>,
    /// TCP ports of a service.
    pub ports: Vec<u16>,
    /// Containers that have to be up first.
    pub depends_on: Vec<String>,
    /// Up once it passes.
    pub startup: Option<Probe>,
    /// Restarted or failed once it fails.
    pub liveness: Option<Probe>,
}

/// A probe of the cloud's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it does.
    pub action: ProbeAction,
    /// Seconds before the first.
    pub initial_delay_seconds: u32,
    /// Seconds from one to the next.
    pub period_seconds: u32,
    /// Seconds until one counts as failed.
    pub timeout_seconds: u32,
    /// Failures in a row.
    pub failure_threshold: u32,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeAction {
    /// Opens a TCP connection.
    Tcp(u16),
    /// GETs a path.
    Http(u16, String),
}

/// Where a volume appears in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Name of a volume of the spec.
    pub volume: String,
    /// Absolute path.
    pub path: String,
    /// Relative path inside the volume.
    pub sub_path: Option<String>,
    /// Writes are refused.
    pub read_only: bool,
}

/// A volume of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVolume {
    /// Unique within the spec.
    pub name: String,
    /// Its content.
    pub source: VolumeSource,
}

/// What a volume is backed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// A mount that `Storage::mount` gave.
    Storage(Mount),
    /// Memory, of at most so many bytes.
    Memory(Option<u64>),
    /// Local disk, of at most so many bytes.
    Scratch(Option<u64>),
    /// A secret of the provider.
    Secret(String),
}

/// How to find a workload again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHandle {
    /// The name of its spec.
    pub name: String,
    /// Opaque to all but the plugin.
    pub state: String,
    /// It has been started already.
    pub started: bool,
}

/// Where a workload is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Exists and was not started.
    Created,
    /// The cloud makes room, pulls, mounts.
    Starting,
    /// Its main container runs.
    Running,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise, or could not start.
    Failed,
    /// Ended because it was asked to.
    Cancelled,
    /// The cloud knows no such workload.
    Absent,
}

impl Phase {
    /// Nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Absent)
    }
}

/// What the cloud says of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The handle to use from now on.
    pub handle: JobHandle,
    /// Where it is.
    pub phase: Phase,
    /// Exit code of the main container, when the cloud says it.
    pub exit_code: Option<i32>,
    /// Signal that ended it, when the cloud says it.
    pub term_signal: Option<u32>,
    /// The provider's word for why.
    pub reason: String,
    /// The provider's sentence about it.
    pub message: String,
    /// Milliseconds since 1970.
    pub created: Option<u64>,
    /// Milliseconds since 1970.
    pub started: Option<u64>,
    /// Milliseconds since 1970.
    pub finished: Option<u64>,
    /// Ask again after so many milliseconds.
    pub poll_after_ms: Option<u32>,
}

/// A line of the cloud's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudLogEntry {
    /// Milliseconds since 1970.
    pub time: u64,
    /// Standard error rather than standard output.
    pub stderr: bool,
    /// Without the newline.
    pub line: Vec<u8>,
}

/// Some lines of the cloud's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// Oldest first.
    pub entries: Vec<CloudLogEntry>,
    /// Go on from here.
    pub next: String,
    /// Ask again after so many milliseconds.
    pub poll_after_ms: u32,
    /// So many milliseconds may pass from when a line is written until it is here.
    pub lag_ms: u32,
}
