//! Every number of the Google simulator, with its unit and where it comes from.

use std::time::Duration;

/// Jobs in a project and region (Cloud Run quotas).
pub const JOBS: usize = 1_000;
/// Executions that run at once in a project and region (Cloud Run quotas).
pub const RUNNING_EXECUTIONS: usize = 1_000;
/// Executions that may be started in a minute: the cloud's default.
pub const RUNS_PER_MINUTE: u32 = 180;
/// The same in the fast profile, where a minute holds far more work.
pub const RUNS_PER_MINUTE_FAST: u32 = 60_000;
/// `entries.list` calls a minute and project (Cloud Logging quotas).
pub const ENTRIES_LIST_PER_MINUTE: u32 = 60;
/// Characters of a job's name, and of a job's name with an execution token, stay below this.
pub const NAME_CHARACTERS: usize = 63;
/// Characters of a label's key or value (Cloud Run labels).
pub const LABEL_CHARACTERS: usize = 63;
/// Labels of a resource.
pub const LABELS: usize = 64;
/// Environment variables of a container.
pub const ENV_VARIABLES: usize = 1_000;
/// Characters of a variable's name, bytes of its value (discovery document, `EnvVar`).
pub const ENV_BYTES: usize = 32_768;
/// Arguments of a container.
pub const ARGUMENTS: usize = 1_000;
/// Containers of a task (Cloud Run's limit for an instance).
pub const CONTAINERS: usize = 10;
/// Longest delay, period and timeout of a startup probe, seconds (discovery document, `Probe`).
pub const STARTUP_PROBE_SECONDS: i64 = 240;
/// Tasks of an execution.
pub const TASKS: i64 = 10_000;
/// Attempts after the first, at most.
pub const MAX_RETRIES: i64 = 10;
/// Attempts after the first when the job does not say (discovery document, `maxRetries`).
pub const DEFAULT_RETRIES: i64 = 3;
/// A task's time when the job does not say.
pub const DEFAULT_TASK_TIMEOUT: Duration = Duration::from_secs(600);
/// A task's longest time: seven days.
pub const MAX_TASK_TIMEOUT: Duration = Duration::from_secs(168 * 3_600);
/// From SIGTERM to SIGKILL, for a cancelled execution and for a timed-out task.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// Memory of a container that asks for none, bytes.
pub const DEFAULT_MEMORY: u64 = 512 << 20;
/// Processor of a container that asks for none, thousandths.
pub const DEFAULT_CPU_MILLIS: u32 = 1_000;
/// Entries of a page when the caller does not say, and at most.
pub const PAGE: usize = 100;
/// Longest wait that `operations.wait` grants before it answers "not done".
pub const OPERATION_WAIT: Duration = Duration::from_secs(30);

/// Finished operations that are kept.
pub const OPERATIONS: i64 = 1_000;
/// Operations that finish between two clean-ups of old ones.
pub const OPERATIONS_TRIM: u64 = 64;

/// Body of a JSON request, bytes (10 MiB: Google's front end).
pub const JSON_BODY: usize = 10 << 20;
/// Metadata part of a multipart upload, bytes.
pub const OBJECT_METADATA: usize = 1 << 20;
/// Bytes of a resumable upload's chunk are a multiple of this unless it is the last.
pub const RESUMABLE_UNIT: u64 = 256 << 10;
/// Sources of a compose call.
pub const COMPOSE_SOURCES: usize = 32;
/// Calls in one batch request.
pub const BATCH_CALLS: usize = 100;
/// Objects of a page of a listing, at most.
pub const OBJECT_PAGE: usize = 1_000;
/// Bytes copied per step between files and sockets.
pub const COPY_BLOCK: usize = 256 << 10;

/// Bytes of one log entry's text; a longer line becomes several entries (Cloud Logging: 256 KiB an entry).
pub const LOG_LINE: usize = 255 << 10;
/// Lines a second that a task may log, on average; what is more is dropped and counted in an entry.
pub const LOG_LINES_PER_SECOND: f64 = 5_000.0;
/// Lines that a task may log at once on top of that.
pub const LOG_LINES_BURST: f64 = 20_000.0;
/// Bytes a second that a task may log, on average.
pub const LOG_BYTES_PER_SECOND: f64 = 4.0 * 1024.0 * 1024.0;
/// Bytes that a task may log at once on top of that.
pub const LOG_BYTES_BURST: f64 = 16.0 * 1024.0 * 1024.0;
/// Batches of entries between the tasks and the writer; a full queue makes a task's output wait.
pub const LOG_QUEUE: usize = 64;
/// Entries of all logs together; the oldest go first.
pub const LOG_ENTRIES: i64 = 500_000;
/// Payload of all entries together, bytes; the oldest go first.
pub const LOG_BYTES: i64 = 256 << 20;
/// Entries removed at a time when the logs are full.
pub const LOG_TRIM: i64 = 10_000;
/// Entries of one write call (Cloud Logging counts 1,000 as its recommended most).
pub const LOG_WRITE: usize = 1_000;
/// Nesting of a filter.
pub const FILTER_DEPTH: usize = 64;
/// Characters of a filter (Cloud Logging: 20,000).
pub const FILTER_CHARACTERS: usize = 20_000;

/// How long gcsfuse takes what it knows of a file for true (its default, and Cloud Run's).
pub const FUSE_METADATA_TTL: Duration = Duration::from_secs(60);
/// How long it takes for true that there is no such file (its default).
pub const FUSE_NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// What -1 seconds mean: a year is longer than any task lives.
pub const FUSE_FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Objects read at a time for a folder's listing.
pub const FUSE_LIST_PAGE: i64 = 256;
/// Bytes that a file system in user space calls a block.
pub const FUSE_BLOCK: u32 = 4_096;
/// Blocks and files that a bucket pretends to have room for.
pub const FUSE_BLOCKS: u64 = 1 << 40;
/// See there.
pub const FUSE_FILES: u64 = 1 << 40;
/// Inode numbers in listings from here on belong to files that nobody has looked up yet.
pub const FUSE_UNKNOWN: u64 = 1 << 48;

/// Calls of Cloud DNS in a minute and project (Cloud DNS quotas).
pub const DNS_CALLS_PER_MINUTE: u32 = 600;
/// The same in the fast profile, where a minute holds far more work.
pub const DNS_CALLS_PER_MINUTE_FAST: u32 = 60_000;
/// Managed zones of a project (Cloud DNS quotas).
pub const MANAGED_ZONES: usize = 10_000;
/// Record sets of a zone (Cloud DNS quotas).
pub const DNS_SETS_PER_ZONE: usize = 10_000;
/// Additions, and deletions, of one change (Cloud DNS quotas).
pub const DNS_SETS_PER_CHANGE: usize = 1_000;
/// Bytes of all data in one change (Cloud DNS quotas).
pub const DNS_DATA_PER_CHANGE: usize = 100_000;
/// Records of a set (Cloud DNS quotas).
pub const DNS_RECORDS_PER_SET: usize = 100;
/// Resources of a page, when the caller does not say and at most.
pub const DNS_PAGE: usize = 100;
/// Seconds that a zone's own NS and SOA may be kept.
pub const DNS_APEX_TTL: u32 = 21_600;
/// Bytes of an answer by UDP to a client without extensions (RFC 1035, section 2.3.4).
pub const DNS_DATAGRAM: usize = 512;
/// Bytes that are read of a question by UDP; with extensions it may be longer than 512.
pub const DNS_DATAGRAM_READ: usize = 4_096;
/// Connections to the name server at once.
pub const DNS_CONNECTIONS: usize = 64;
/// How long a connection to the name server may say nothing.
pub const DNS_IDLE: Duration = Duration::from_secs(10);
/// Ports that are tried until one is free for UDP and TCP.
pub const DNS_PORT_TRIES: usize = 16;

/// Life of an access token.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3_599);

/// How long an expired token is told from one that never was.
pub const EXPIRED_TOKEN_KEPT: Duration = Duration::from_secs(24 * 3_600);
