//! A cloud, as the engine sees it: the newest version of the WIT contract in plain Rust.
//!
//! The meaning of each item is written down once, in `wit/`; here stand only the shapes.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A loaded backend. Calls may run concurrently; none of them waits for a long-running
/// operation of the cloud.
#[async_trait]
pub trait Backend: Jobs + Dns + Storage {
    /// What the backend says of itself. Changes when it is swapped.
    fn manifest(&self) -> Arc<Manifest>;
    /// Where images may come from.
    async fn images(&self) -> Result<ImageSources>;
    /// Looks at the account with read-only calls.
    async fn doctor(&self) -> Result<Vec<Check>>;
}

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

/// Names in the private network. See `wit/dns.wit`.
#[async_trait]
pub trait Dns: Send + Sync + 'static {
    /// Makes the zone if it is not there.
    async fn ensure_zone(&self, zone: &Zone) -> Result<()>;
    /// Removes the zone with its records.
    async fn delete_zone(&self, zone: &str) -> Result<()>;
    /// Sets all addresses of a name.
    async fn upsert(&self, zone: &str, record: &AddressRecord) -> Result<()>;
    /// Removes a name.
    async fn remove_record(&self, zone: &str, name: &str) -> Result<()>;
    /// The records of a zone.
    async fn records(&self, zone: &str) -> Result<Vec<AddressRecord>>;
    /// All zones of an owner.
    async fn zones(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Zone>>;
}

/// Volumes and blobs. See `wit/storage.wit`.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Makes a volume; the same again is no error.
    async fn create_volume(&self, volume: &Volume) -> Result<()>;
    /// Removes a volume with its data.
    async fn remove_volume(&self, owner: &str, name: &str) -> Result<()>;
    /// All volumes of an owner.
    async fn volumes(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Volume>>;
    /// How much a volume holds.
    async fn usage(&self, owner: &str, name: &str) -> Result<Usage>;
    /// Prepares a mount for a job's spec.
    async fn mount(&self, request: &MountRequest) -> Result<Mount>;
    /// Writes a whole blob.
    async fn put(&self, path: &str, content: &[u8]) -> Result<()>;
    /// Reads at most `length` bytes from `offset` on.
    async fn get(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>>;
    /// None when there is no such blob.
    async fn stat(&self, path: &str) -> Result<Option<BlobInfo>>;
    /// Removing what is gone is no error.
    async fn delete_blob(&self, path: &str) -> Result<()>;
    /// The blobs below a path.
    async fn blobs(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<BlobInfo>>;
}

/// A backend's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// An ordered list of keys and values.
pub type Labels = Vec<(String, String)>;

/// What went wrong in a backend, in the terms that the engine acts on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    /// What to do about it.
    pub code: ErrorCode,
    /// One sentence for a person; keeps the provider's own words.
    pub message: String,
    /// HTTP status of the provider's answer.
    pub provider_status: Option<u16>,
    /// How long the provider asks to wait.
    pub retry_after_ms: Option<u64>,
}

impl Error {
    /// An error without a provider's answer behind it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), provider_status: None, retry_after_ms: None }
    }
}

/// See `error-code` in `wit/types.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request can never succeed as it stands.
    InvalidArgument,
    /// The thing does not exist.
    NotFound,
    /// Another thing of that name exists.
    AlreadyExists,
    /// Its state forbids the operation.
    Conflict,
    /// The rights do not suffice.
    PermissionDenied,
    /// No credential that the provider accepts.
    Unauthenticated,
    /// The provider is still at work on what the call needs: no fault.
    NotReady,
    /// A quota or rate limit is used up.
    QuotaExceeded,
    /// Down for now.
    Unavailable,
    /// No answer in time.
    DeadlineExceeded,
    /// This backend has no such feature.
    Unsupported,
    /// A fault of the plugin.
    Internal,
}

impl ErrorCode {
    /// Whether the same call may succeed later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::NotReady | Self::QuotaExceeded | Self::Unavailable | Self::DeadlineExceeded)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidArgument => "invalid argument",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "unauthenticated",
            Self::NotReady => "not ready",
            Self::QuotaExceeded => "quota exceeded",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal error",
        })
    }
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// This page's items.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

/// What a backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name that `--runtime` takes.
    pub name: String,
    /// The plugin's own semantic version.
    pub version: String,
    /// Which cloud and which product.
    pub description: String,
    /// The settings that it reads.
    pub settings: Vec<Setting>,
    /// The hosts and credentials that it wants.
    pub http: Vec<HttpGrant>,
    /// What it can do.
    pub features: Features,
    /// How large.
    pub limits: Limits,
    /// The sizes in between, ascending; empty where any can be had.
    pub sizes: Vec<Size>,
}

/// One setting of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Name in the configuration file.
    pub name: String,
    /// Environment variable of the daemon.
    pub environment: String,
    /// One sentence.
    pub description: String,
    /// Without it the plugin cannot work.
    pub required: bool,
    /// What holds when it is unset.
    pub default: Option<String>,
}

/// A host that a plugin wants to reach, and with which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Host name, `*.suffix`, or `setting:NAME`.
    pub host: String,
    /// Names of credentials.
    pub credentials: Vec<String>,
}

/// What a kind of workload can do; see `feature` in `wit/plugin.wit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Features {
    /// More than one container in a job.
    pub sidecars: bool,
    /// `start` within `create`.
    pub start_on_create: bool,
    /// The image's user can be overridden.
    pub run_as_user: bool,
    /// Capabilities and privileged mode.
    pub privileged: bool,
    /// Read-only root file system.
    pub read_only_root: bool,
    /// In-memory volumes.
    pub memory_volumes: bool,
    /// The host name can be chosen.
    pub hostname: bool,
    /// GPU.
    pub accelerators: bool,
    /// Connections from outside.
    pub inbound: bool,
    /// The cloud can freeze a container.
    pub pause: bool,
}

/// How long and how large a container may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest run in seconds.
    pub max_timeout_seconds: u64,
    /// Thousandths of a processor, smallest and largest.
    pub cpu_millis: (u32, u32),
    /// Bytes, smallest and largest.
    pub memory_bytes: (u64, u64),
    /// Seconds between SIGTERM and SIGKILL when the cloud stops a job.
    pub stop_grace_seconds: u32,
    /// Environment variables in one container.
    pub max_env: u32,
}

/// One of the sizes that a cloud has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes that go with them, least and most.
    pub memory_bytes: (u64, u64),
}

/// Which images the cloud can fetch by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSources {
    /// Registries, as host names or `*suffix`.
    pub direct: Vec<String>,
    /// Where all other images are copied to: `registry/path` without a tag.
    pub repository: Option<String>,
    /// The credential for pushing there.
    pub credential: Option<String>,
    /// Platforms that the cloud runs, as `linux/amd64`.
    pub platforms: Vec<String>,
}

/// One finding of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub remedy: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Works, with a loss.
    Warn,
    /// Does not work.
    Fail,
    /// Not looked at.
    Skip,
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
}

/// A zone: one for each network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Unique in the account.
    pub name: String,
    /// Domain with its final dot.
    pub domain: String,
    /// Which daemon it belongs to.
    pub owner: String,
    /// Kept with the zone.
    pub labels: Labels,
}

/// An address record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRecord {
    /// Relative to the zone's domain.
    pub name: String,
    /// IPv4 in dotted form.
    pub addresses: Vec<String>,
    /// Seconds that a resolver may keep it.
    pub ttl_seconds: u32,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique for the owner.
    pub name: String,
    /// Which daemon it belongs to.
    pub owner: String,
    /// Kept with the volume.
    pub labels: Labels,
    /// Options that the host does not know itself.
    pub options: Labels,
}

/// How much a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the files' sizes.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
}

/// A wish to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// What.
    pub source: MountSource,
    /// Which daemon's.
    pub owner: String,
    /// Writes are refused.
    pub read_only: bool,
    /// Files can be executed.
    pub executable: bool,
}

/// What can be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume, by name.
    Volume(String),
    /// All blobs below a path, as files.
    Blobs(String),
}

/// A mount, opaque to all but the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Opaque.
    pub state: String,
}

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: Option<u64>,
}
