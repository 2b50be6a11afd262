//! All numbers of this plugin, each with its unit and where it comes from.

/// Longest run of a replica in seconds. Azure names no limit for `replicaTimeout`; a week is what other clouds have.
pub const TIMEOUT_MAX_SECONDS: u64 = 7 * 24 * 3600;
/// Seconds between SIGTERM and SIGKILL when an execution is stopped (Kubernetes' default, which jobs do not change).
pub const STOP_GRACE_SECONDS: u32 = 30;
/// Environment variables of one container. Azure names no limit; a job's template must stay below what ARM takes for a
/// request.
pub const ENV_MAX: u32 = 1000;
/// Characters of the name of a job or an app: fewer than 32.
pub const NAME_CHARS: usize = 31;
/// Characters of the names that the contract allows for a workload.
pub const WORKLOAD_CHARS: usize = 49;
/// Hexadecimal digits of a hash that keeps shortened names apart.
pub const HASH_DIGITS: usize = 12;
/// Tags of one resource, characters of a tag's value and of its name (Azure Resource Manager).
pub const TAGS_MAX: usize = 50;
/// See [`TAGS_MAX`].
pub const TAG_CHARS: usize = 256;
/// See [`TAGS_MAX`].
pub const TAG_NAME_CHARS: usize = 512;
/// Tags kept free for the owner, the expiry, the hash, and for what operators' policies add.
pub const TAGS_FREE: usize = 10;

/// One mebibyte.
pub const MIB: u64 = 1 << 20;
/// One step of the Consumption profile: a quarter of a processor with half a gibibyte.
pub const STEP: (u32, u64) = (250, 512);
/// Steps: up to 4 processors with 8 GiB.
pub const STEPS: u32 = 16;
/// Steps of a container that asks for nothing: half a processor and 1 GiB, Azure's own default.
pub const DEFAULT_STEPS: u32 = 2;

/// Milliseconds until the first question about something that has just begun.
pub const POLL_MIN_MS: u64 = 250;
/// Milliseconds between questions about something that runs for long.
pub const POLL_MAX_MS: u64 = 30_000;
/// The pause grows to this part of the age: one tenth.
pub const POLL_AGE_PART: u64 = 10;
/// Reads that a subscription and principal has back in a second; half of them are for others (ARM throttling).
pub const READS_PER_SECOND: u64 = 25 / 2;
/// Milliseconds until a call is tried again that came before the job was ready for it, unless ARM names a time.
pub const NOT_READY_RETRY_MS: u64 = 100;
/// The pause grows to this part of the age, a half, so that few reads are spent on a job that takes its time.
pub const NOT_READY_AGE_PART: u64 = 2;
/// Milliseconds to which it grows.
pub const NOT_READY_MAX_MS: u64 = 5000;
/// Milliseconds after which what was made and cannot be seen is taken to be gone: ARM's caches are behind for seconds.
pub const UNSEEN_MS: u64 = 60_000;

/// Bytes that one `Put Range` carries at most (Azure Files).
pub const RANGE_BYTES: usize = 4 << 20;
/// Attempts at one file: the first may find neither share nor folder.
pub const PUT_ATTEMPTS: usize = 3;
/// Seconds after which a file that is not yet whole is nobody's any more: a call lasts minutes, and hosts' clocks may differ.
pub const PART_SECONDS: u64 = 86_400;
/// Bytes by which an answer may exceed the bytes of a file that were asked for.
pub const BLOB_SLACK_BYTES: usize = 64 << 10;
/// Entries of a folder on a page (Azure Files' own limit).
pub const ENTRIES_PER_PAGE: u32 = 5000;
/// Pages of folders that one call reads at most.
pub const FOLDER_PAGES: usize = 500;
/// Entries that one call deletes at most: with eight at a time, well within a call's minute.
pub const REMOVE_ENTRIES: usize = 1000;
/// Shares on a page of volumes: each is a read of its own, of which ARM gives 25 in a second.
pub const SHARES_PER_PAGE: u32 = 100;
/// Characters of a share's name.
pub const SHARE_CHARS: usize = 63;
/// Characters of a volume's name in the name of its share, before the hash.
pub const SHARE_NAME_CHARS: usize = 18;
/// Characters of a volume's name.
pub const VOLUME_NAME_CHARS: usize = 250;
/// Gibibytes of a share, least and most (standard accounts).
pub const QUOTA_GIB: (u64, u64) = (1, 102_400);

/// Characters of one string in a TXT record (RFC 1035).
pub const TXT_CHARS: usize = 255;
/// Bytes of all strings of a TXT record set that Azure DNS takes.
pub const TXT_BYTES: usize = 4096;
/// Record sets on a page.
pub const RECORDS_PER_PAGE: u32 = 500;
/// Seconds that a resolver may keep a network's record of itself; nobody resolves it.
pub const ZONE_TTL_SECONDS: u32 = 3600;
/// Characters of a domain name without its final dot (RFC 1035).
pub const DOMAIN_CHARS: usize = 253;

/// Milliseconds between two readings of a log. Lines arrive minutes late, and an identity has 200 queries in 30 seconds.
pub const LOG_POLL_MS: u32 = 10_000;
/// Milliseconds until the next page of a log that goes on.
pub const LOG_NEXT_PAGE_MS: u32 = 500;
/// Seconds that `log_lag` may be: nobody waits longer for the end of a container.
pub const LOG_LAG_MAX_SECONDS: u32 = 3600;
/// Lines on a page.
pub const LOG_PAGE_MAX: usize = 1000;
/// Rows that Log Analytics gives for one query.
pub const LOG_ROWS_MAX: usize = 500_000;

/// Ports of an app beside its first (`additionalPortMappings`).
pub const MORE_PORTS: usize = 5;
/// Ports that TCP ingress cannot expose: HTTP's has them.
pub const HTTP_PORTS: [u16; 2] = [80, 443];
/// What is added to such a port for the one in its place: 8080, 8443.
pub const HTTP_STAND_IN: u16 = 8000;
