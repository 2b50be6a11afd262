//! The numbers of synced volumes.

use std::time::Duration;

/// Bytes of a pack: large enough that a bucket's tens of milliseconds for each object do not count, small enough that the
/// storage's client keeps it in memory while it is written.
pub const PACK: u64 = 32 << 20;

/// Bytes that are written to the storage, or read from it, at once.
pub const STEP: usize = 1 << 20;

/// Bytes of dead chunks that are not worth the rewriting of packs, …
pub const DEAD_LEAST: u64 = 64 << 20;

/// Packs below this, bytes, …
pub const SMALL: u64 = PACK / 8;

/// … are made one when they are more than this: each turn that writes something leaves one, and each is an object to be read.
pub const SMALL_MOST: usize = 32;

/// Older versions that a version names: an agent that knows one of them knows what it has in common with it.
pub const HISTORY: usize = 256;

/// Packs that are open for reading at once, and of each of which up to [`STEP`] bytes are in memory: files are asked for in
/// the order of their first chunks, but a changed one may have the others elsewhere.
pub const OPEN: usize = 8;

/// Packs that are on their way to the storage while the next one is written: it may upload each when it is closed.
pub const FINISHING: usize = 1;

/// The daemon is told that something moves no more often than this: it waits for minutes.
pub const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Between two looks at whether another turn of the same directory is over.
pub const TURN_POLL: Duration = Duration::from_millis(100);

/// Names that an answer tells; the others are counted.
pub const TOLD: usize = 20;
