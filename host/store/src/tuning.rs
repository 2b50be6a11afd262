//! Every number of this crate, with its unit and reason.

/// Commits that one transaction may take up: bounds how long the first of them waits.
pub const GROUP: usize = 512;

/// Milliseconds that SQLite waits for a lock. Only a foreign process (a backup, a shell) can hold
/// one, since the daemon's own lock keeps other daemons out.
pub const BUSY_MS: u64 = 5_000;

/// Bytes that the write-ahead log may keep on disk after a checkpoint.
pub const WAL_KEEP: i64 = 4 << 20;

/// A bounded log's records hold so many bytes even where its files are to be smaller than that: each has a header.
pub const LEAST_RECORD: usize = 1 << 10;

/// Bytes of output in one record of a log. Larger appends become several records, so that a
/// reader's block always holds a whole one.
pub const MAX_RECORD: usize = 256 << 10;

/// Bytes of a log between two entries of its index: what opening, `tail` and `since` may have
/// to scan.
pub const INDEX_EVERY: u64 = 256 << 10;

/// Bytes that a reader fetches at once: large enough to make the system call and the hop to
/// another thread cheap, small enough for a thousand readers.
pub const BLOCK: usize = 512 << 10;

/// Bytes up to which a read or a write happens on the caller's thread: a copy from or to the page
/// cache that is shorter than the hop to another thread.
pub const INLINE: usize = 32 << 10;

/// Records up to this many bytes are joined for readers that did not ask for lines.
pub const JOIN_BELOW: usize = 4 << 10;

/// Bytes of a joined chunk.
pub const JOIN_UP_TO: usize = 32 << 10;

/// Bytes of a line after which `lines` gives it in parts: bounds a reader's memory.
pub const MAX_LINE: usize = 1 << 20;

/// Entries of an index that stand for dropped parts of a log, before the index is written again without them.
pub const STALE_ENTRIES: usize = 64;

/// Logs that are kept open for writing.
pub const OPEN_WRITERS: usize = 64;

/// Logs whose state is kept in memory, beyond those that are live or being read.
pub const KNOWN_LOGS: usize = 256;
