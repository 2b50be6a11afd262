//! Containers' output, durable: the buffer behind logs and attach.

use std::{path::PathBuf, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::link::{Output, RunId};

/// Keeps what containers write. Readers follow the kept bytes, so that a slow one costs neither
/// memory nor the writer's time.
#[async_trait]
pub trait Logs: Send + Sync + 'static {
    /// A run begins, or goes on after a restart: its followers wait for more from now on. From now on the log gets no larger
    /// than the bounds say; none for as large as it gets.
    async fn begin(&self, run: &RunId, bounds: Option<Bounds>) -> Result<(), LogError>;

    /// Appends bytes of a run's output. Returns once they outlive this process.
    async fn append(&self, run: &RunId, output: Output, bytes: Bytes) -> Result<(), LogError>;

    /// How many bytes of this output of this run were appended, ever.
    async fn length(&self, run: &RunId, output: Output) -> Result<u64, LogError>;

    /// The run has ended: followers end after the last byte.
    async fn finish(&self, run: &RunId) -> Result<(), LogError>;

    /// The place after the last byte that the container has written so far.
    async fn end(&self, container: &str) -> Result<Position, LogError>;

    /// Reads. The stream ends after the last byte, or with `follow` after the run's end.
    async fn read(
        &self,
        container: &str,
        query: LogQuery,
    ) -> Result<BoxStream<'static, Result<LogChunk, LogError>>, LogError>;

    /// Where a container's log lies, for people who look; none when it has no file of its own.
    fn location(&self, container: &str) -> Option<PathBuf>;

    /// Removes all that is kept of a container; no error when nothing is.
    async fn remove(&self, container: &str) -> Result<(), LogError>;
}

/// Bounds of a log. What is oldest is dropped first, a file at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one file, what the store adds included. A single write that is larger makes a larger file.
    pub file_bytes: u64,
    /// How many files there may be, at least one.
    pub files: usize,
}

/// A place in a container's log, opaque but ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// What to read. The conditions combine, as those of `docker logs` do.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Written at this time or later.
    pub since: Option<SystemTime>,
    /// Written before or at this time.
    pub until: Option<SystemTime>,
    /// The last so many lines (of those that match) before what follows.
    pub tail: Option<u64>,
    /// From here on.
    pub from: Option<Position>,
    /// Go on with what is yet to come.
    pub follow: bool,
    /// Nothing that this reader has yet to read is dropped, however large the log gets.
    pub hold: bool,
    /// One chunk for each line: needed for time stamps, slower than as it came.
    pub lines: bool,
}

/// Some bytes of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// When they were appended (of a line: when it began).
    pub time: SystemTime,
    /// Where they were written to.
    pub output: Output,
    /// What was written. With `lines` one line, newline included if it was written.
    pub bytes: Bytes,
}

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system's word.
    #[error("log of container {container}: {source}")]
    Io {
        /// Whose log.
        container: String,
        /// What happened.
        source: std::io::Error,
    },
    /// The file holds what this daemon did not write.
    #[error("log of container {container} is damaged at byte {offset}: {what}")]
    Damaged {
        /// Whose log.
        container: String,
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
}
