//! Every number of the Azure simulator, with its unit and where it comes from.

use std::time::Duration;

/// Reads that a principal may make in a subscription at once, and a second on average (Resource Manager's token buckets).
pub const READS: (f64, f64) = (250.0, 25.0);
/// Writes, likewise.
pub const WRITES: (f64, f64) = (200.0, 10.0);
/// Deletes, likewise.
pub const DELETES: (f64, f64) = (200.0, 10.0);
/// All three in the fast profile, where a second holds far more work.
pub const CALLS_FAST: (f64, f64) = (20_000.0, 2_000.0);
/// Principals whose buckets are remembered; full buckets of others are forgotten.
pub const PRINCIPALS: usize = 1_024;

/// Characters of a job's or an app's name stay below this.
pub const NAME_CHARACTERS: usize = 32;
/// Tags of a resource.
pub const TAGS: usize = 50;
/// Characters of a tag's name.
pub const TAG_NAME: usize = 512;
/// Characters of a tag's value.
pub const TAG_VALUE: usize = 256;
/// Smallest processor of a replica, thousandths; sums are multiples of it (Consumption).
pub const CPU_STEP: u32 = 250;
/// Largest processor of a replica, thousandths (Consumption).
pub const CPU_MOST: u32 = 4_000;
/// Bytes of memory beside a whole processor: 0.25 processors have half a GiB.
pub const MEMORY_PER_CPU: u64 = 2 << 30;
/// Processors of an environment, thousandths (default quota).
pub const ENVIRONMENT_CPU: u32 = 100_000;
/// Jobs of a resource group.
pub const JOBS: usize = 5_000;
/// Longest time of a replica, seconds: a week.
pub const REPLICA_TIMEOUT: i64 = 7 * 24 * 3_600;
/// Replicas of an execution.
pub const REPLICAS: i64 = 300;
/// Attempts after a replica's first.
pub const RETRIES: i64 = 100;
/// Executions of a job that are remembered (the newest hundred).
pub const EXECUTIONS: usize = 100;
/// From SIGTERM to SIGKILL when a replica is stopped (`terminationGracePeriodSeconds`' default).
pub const STOP_GRACE: Duration = Duration::from_secs(30);
/// Ports of an app beside its first.
pub const PORT_MAPPINGS: usize = 5;
/// Replicas of an app that are run here at most.
pub const APP_REPLICAS: i64 = 5;
/// Before a container of an app is run again, after its first end; doubled with each.
pub const RESTART_FIRST: Duration = Duration::from_millis(500);
/// The longest of these waits (Kubernetes' back-off has five minutes).
pub const RESTART_MOST: Duration = Duration::from_secs(60);

/// Items of a page.
pub const PAGE: usize = 100;
/// Body of a request to Resource Manager, bytes.
pub const JSON_BODY: usize = 4 << 20;
/// Finished operations that are kept.
pub const OPERATIONS: i64 = 1_000;

/// Life of an access token.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3_599);
/// How long an expired token is told from one that never was.
pub const EXPIRED_TOKEN_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Body of a token request, bytes.
pub const TOKEN_BODY: usize = 64 << 10;
/// How old a signed request may be (Storage's shared keys).
pub const SIGNED_AGE: Duration = Duration::from_secs(15 * 60);

/// Bytes of one `Put Range`.
pub const RANGE: u64 = 4 << 20;
/// Bytes of a file (4 TiB).
pub const FILE: u64 = 4 << 40;
/// GiB of a share that asks for none, and the most.
pub const SHARE_QUOTA: (i64, i64) = (5_120, 102_400);
/// Entries of a folder's listing.
pub const LISTING: usize = 5_000;
/// Bytes copied per step between files and sockets.
pub const COPY_BLOCK: usize = 256 << 10;

/// Record sets of a zone.
pub const RECORD_SETS: usize = 25_000;
/// Records of a set.
pub const RECORDS: usize = 20;
/// Links of a zone.
pub const ZONE_LINKS: usize = 1_000;

/// Bytes of a log line; a longer one becomes several rows (Container Apps cut at 16 KiB).
pub const LOG_LINE: usize = 16 << 10;
/// Lines a second that a replica may log, on average; what is more is dropped and counted in a row.
pub const LOG_LINES_PER_SECOND: f64 = 5_000.0;
/// Lines that it may log at once on top of that.
pub const LOG_LINES_BURST: f64 = 20_000.0;
/// Rows of all logs together; the oldest go first.
pub const LOG_ROWS: i64 = 500_000;
/// Rows removed at a time when the logs are full.
pub const LOG_TRIM: i64 = 10_000;
/// Batches of rows between the replicas and the writer; a full queue makes a replica's output wait.
pub const LOG_QUEUE: usize = 64;
/// Rows of an answer (Log Analytics).
pub const QUERY_ROWS: usize = 500_000;
/// Characters of a query.
pub const QUERY_CHARACTERS: usize = 20_000;
/// Nesting of a query's conditions.
pub const QUERY_DEPTH: usize = 64;

/// How long a TLS handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that nobody has accepted yet.
pub const TLS_QUEUE: usize = 64;
/// How long an app's ingress waits after it could not accept a connection (no file descriptors, say).
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
