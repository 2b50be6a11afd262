//! All numbers of this crate.

use std::time::Duration;

/// Bytes of a chunk; the last one of a file may be shorter. Small enough that a database's changed page costs little, large
/// enough that the digests of a gigabyte take 128 KiB.
pub const CHUNK: usize = 256 << 10;

/// A file that was changed this shortly before it was looked at may be changed once more without that being seen: the
/// kernel's clock for files stands still for up to 10 ms.
pub const UNSURE: Duration = Duration::from_millis(100);

/// How often a name for a conflicting file is tried with another number. Nobody has that many.
pub const NAMES: u32 = 100_000;

/// Bytes of a name, in every file system that counts.
pub const NAME: usize = 255;

/// Directories below each other that are scanned or made, as many as a path of `PATH_MAX` can name.
pub const DEPTH: usize = 2048;

/// Threads that place files: a container has few processors, and the process that waits for its files is not there yet.
pub const PLACERS: usize = 4;

/// Files that a thread is given at once, …
pub const BATCH: usize = 64;

/// … and their bytes, about. Twice as many batches as there are threads are in memory: four megabytes at most.
pub const BATCH_BYTES: usize = 256 << 10;
