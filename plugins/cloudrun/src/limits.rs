//! All numbers of this plugin, each with its unit and where it comes from.

/// Longest run of a task in seconds: 168 hours.
pub const TASK_TIMEOUT_MAX_SECONDS: u64 = 168 * 3600;
/// Longest run of a task with a GPU in seconds: one hour.
pub const GPU_TASK_TIMEOUT_MAX_SECONDS: u64 = 3600;
/// Seconds between SIGTERM and SIGKILL, fixed by Cloud Run.
pub const STOP_GRACE_SECONDS: u32 = 10;
/// Environment variables and arguments of one container.
pub const ENV_MAX: u32 = 1000;
/// Characters of a label's key and value.
pub const LABEL_CHARS: usize = 63;
/// Labels of one resource.
pub const LABELS_MAX: usize = 64;
/// Characters of the names that the contract allows for a workload; with the execution's
/// suffix it stays below the 63 that Cloud Run wants.
pub const NAME_CHARS: usize = 49;

/// Containers of one task, its main one included.
pub const CONTAINERS_MAX: usize = 10;

/// One mebibyte, the unit in which memory is asked for.
pub const MIB: u64 = 1 << 20;
/// Memory of the smallest task in MiB.
pub const MEMORY_MIN_MIB: u64 = 512;
/// Processors that exist, with the least and the most memory in MiB that each takes.
pub const SIZES: [(u32, u64, u64); 4] =
    [(1, MEMORY_MIN_MIB, 4096), (2, MEMORY_MIN_MIB, 8192), (4, 2048, 16_384), (8, 4096, 32_768)];
/// Processors and memory in MiB that a GPU wants beside it.
pub const GPU_MIN: (u32, u64) = (4, 16_384);

/// Handles from which on a listing is cheaper than asking for each.
pub const LIST_FROM_HANDLES: usize = 24;
/// Pages of that listing; what is not on them is asked for one by one.
pub const LIST_PAGES: usize = 4;
/// Executions on a page.
pub const EXECUTIONS_PER_PAGE: u32 = 250;
/// Jobs on a page.
pub const JOBS_PER_PAGE: u32 = 100;
/// Objects on a page.
pub const BLOBS_PER_PAGE: u32 = 1000;

/// Characters of the name of a task's volume.
pub const VOLUME_CHARS: usize = 63;
/// Characters kept free in it for what tells a read-only volume from its twin.
pub const TWIN_CHARS: usize = 8;
/// Characters of a volume's name: a folder's name in most file systems, with room for the record's ending.
pub const VOLUME_NAME_CHARS: usize = 250;
/// Calls in one batch (Cloud Storage's limit).
pub const BATCH_CALLS: usize = 100;
/// Pages of objects that one call deletes at most: with eight batches at a time, well within a call's minute.
pub const REMOVE_PAGES: usize = 20;
/// Pages of objects that one call adds up at most.
pub const USAGE_PAGES: usize = 100;

/// Zones on a page.
pub const ZONES_PER_PAGE: u32 = 100;
/// Record sets that one change deletes at most (Cloud DNS quotas).
pub const RECORDS_PER_CHANGE: usize = 1000;
/// Characters of a zone's description (`managedZones.description`).
pub const ZONE_DESCRIPTION_CHARS: usize = 1024;

/// Milliseconds until the first question about something that has just begun.
pub const POLL_MIN_MS: u64 = 100;
/// Milliseconds between questions about something that runs for long.
pub const POLL_MAX_MS: u64 = 10_000;
/// The pause grows to this part of the age: one tenth.
pub const POLL_AGE_PART: u64 = 10;
/// Milliseconds until a call is tried again that came before the job was ready for it.
pub const NOT_READY_RETRY_MS: u64 = 200;

/// Milliseconds between two readings of a log. A project has 60 `entries.list` calls a
/// minute for everyone, so one reader leaves half of them.
pub const LOG_POLL_MS: u32 = 2000;
/// Milliseconds until the next page of a log that goes on: the quota's pace.
pub const LOG_NEXT_PAGE_MS: u32 = 1000;
/// Milliseconds from an entry's writing until `entries.list` has it: mostly less than a second, and no document promises a bound.
pub const LOG_LAG_MS: u32 = 5000;
/// Entries on a page of `entries.list`, at most.
pub const LOG_PAGE_MAX: usize = 1000;
/// Pages that one reading takes, when all of a page was seen before.
pub const LOG_PAGES: usize = 4;

/// Bytes by which an answer may exceed the bytes of a blob that were asked for.
pub const BLOB_SLACK_BYTES: usize = 64 << 10;
