//! Containers' output, kept on disk: the buffer behind `docker logs` and `docker attach`.
//!
//! Each container has a directory with a log (see [`format`]) and an index beside it. A write is one
//! system call that copies into the page cache, which outlives this process; readers follow the file
//! with a cursor of their own and are woken by a watch, so they cost the writer nothing.

mod chunks;
mod fault;
mod files;
mod format;
mod index;
mod log;
mod query;
mod reader;
mod records;
mod recovery;
mod state;

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use sockerless_ports::{
    link::{Output, RunId},
    logs::{Bounds, LogChunk, LogError, LogQuery, Logs, Position},
};

use crate::tuning;
use fault::Fault;
use format::Kind;
use log::{Log, Shape, blocking};
use reader::Reader;

/// The logs of all containers of a daemon.
#[derive(Debug)]
pub struct ContainerLogs {
    root: PathBuf,
    shape: Shape,
    logs: Mutex<HashMap<String, Arc<Log>>>,
    /// Those with open files, the one opened longest ago first.
    open: Mutex<VecDeque<Weak<Log>>>,
}

impl ContainerLogs {
    /// Logs below a directory, which is made if it is not there. Errors: the file system's.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Arc<Self>> {
        let directory = directory.into();
        std::fs::create_dir_all(&directory)?;
        Ok(Self::with_shape(directory, Shape::default()))
    }

    fn with_shape(root: PathBuf, shape: Shape) -> Arc<Self> {
        Arc::new(Self { root, shape, logs: Mutex::default(), open: Mutex::default() })
    }

    /// How many bytes of log files this process has read: what queries cost.
    pub fn bytes_read(&self) -> u64 {
        self.shape.counter.load(Ordering::Relaxed)
    }

    async fn log(&self, container: &str) -> Result<Arc<Log>, LogError> {
        let proper = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if container.is_empty() || container.starts_with('.') || !container.chars().all(proper) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "this is no container's id");
            return Err(LogError::Io { container: container.to_owned(), source });
        }
        let log = {
            let mut logs = lock(&self.logs);
            if logs.len() >= tuning::KNOWN_LOGS && !logs.contains_key(container) {
                // Whoever uses one holds it. A live one's state is needed again soon.
                logs.retain(|_, log| Arc::strong_count(log) > 1 || log.shared().known.state.live);
            }
            let new = || Arc::new(Log::new(container, self.root.join(container), self.shape.clone()));
            Arc::clone(logs.entry(container.to_owned()).or_insert_with(new))
        };
        log.load().await?;
        Ok(log)
    }

    /// Another log has opened its files: closes those of one that is idle when there are too many.
    fn opened(&self, log: &Arc<Log>) {
        let mut open = lock(&self.open);
        open.push_back(Arc::downgrade(log));
        // Each gets a second chance, and one that is being written is passed over.
        let mut looks = open.len() * 2;
        while open.len() > tuning::OPEN_WRITERS && looks > 0 {
            looks -= 1;
            if let Some(oldest) = open.pop_front()
                && let Some(log) = oldest.upgrade()
                && !log.close_if_idle()
            {
                open.push_back(oldest);
            }
        }
    }

    async fn mark(&self, run: &RunId, marks: impl FnOnce(&Log) -> Vec<(u32, Kind)>) -> Result<(), LogError> {
        let log = self.log(&run.container).await?;
        let mut writer = log.writer().await;
        let mut opened = false;
        for (generation, kind) in marks(&log) {
            opened |= log.mark(&mut writer, generation, kind).map_err(|fault| fault.of(&run.container))?;
        }
        drop(writer);
        if opened {
            self.opened(&log);
        }
        Ok(())
    }
}

#[async_trait]
impl Logs for ContainerLogs {
    fn location(&self, container: &str) -> Option<PathBuf> {
        let known = lock(&self.logs).get(container).cloned();
        Some(match known {
            Some(log) => log.files.path(log.files.last()),
            None => {
                let files = files::Files::new(self.root.join(container));
                // Where it would be, when there is none that can be read.
                let last = files.discover().ok().and_then(|starts| starts.last().copied());
                files.path(last.unwrap_or(0))
            }
        })
    }

    async fn begin(&self, run: &RunId, bounds: Option<Bounds>) -> Result<(), LogError> {
        self.mark(run, |log| {
            log.shared().bounds = bounds;
            let (latest, live) = latest(log);
            let mut marks = Vec::new();
            if live && latest != run.generation {
                marks.push((latest, Kind::Finish));
            }
            if !live || latest != run.generation {
                marks.push((run.generation, Kind::Begin));
            }
            marks
        })
        .await
    }

    async fn append(&self, run: &RunId, output: Output, bytes: Bytes) -> Result<(), LogError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let log = self.log(&run.container).await?;
        let mut writer = log.writer().await;
        let generation = run.generation;
        let write = {
            let log = Arc::clone(&log);
            let inline = bytes.len() <= tuning::INLINE;
            let mut write = move || log.append(&mut writer, generation, number(output), &bytes);
            if inline { write() } else { blocking(write).await }
        };
        if write.map_err(|fault: Fault| fault.of(&run.container))? {
            self.opened(&log);
        }
        Ok(())
    }

    async fn length(&self, run: &RunId, output: Output) -> Result<u64, LogError> {
        let log = self.log(&run.container).await?;
        let shared = log.shared();
        Ok(shared.known.runs.get(&run.generation).map_or(0, |kept| kept[number(output)]))
    }

    async fn finish(&self, run: &RunId) -> Result<(), LogError> {
        self.mark(run, |log| {
            let (latest, live) = latest(log);
            let over = run.generation < latest || (run.generation == latest && !live);
            if over { Vec::new() } else { vec![(run.generation, Kind::Finish)] }
        })
        .await
    }

    async fn end(&self, container: &str) -> Result<Position, LogError> {
        let log = self.log(container).await?;
        let shared = log.shared();
        Ok(Position(shared.known.state.position))
    }

    async fn read(
        &self,
        container: &str,
        query: LogQuery,
    ) -> Result<BoxStream<'static, Result<LogChunk, LogError>>, LogError> {
        let reader = Reader::open(self.log(container).await?, query).await?;
        // Boxed: the stream moves its state for each chunk, and a chunk may be a line.
        let reader = Box::new(reader);
        Ok(stream::unfold(reader, async |mut reader| reader.next().await.map(|item| (item, reader))).boxed())
    }

    async fn remove(&self, container: &str) -> Result<(), LogError> {
        let log = self.log(container).await;
        if let Err(LogError::Io { .. }) = log {
            return log.map(drop);
        }
        // A damaged log can be removed as well.
        let known = lock(&self.logs).get(container).cloned();
        let Some(log) = known else { return Ok(()) };
        let mut writer = log.writer().await;
        let removed = {
            let log = Arc::clone(&log);
            blocking(move || log.remove(&mut writer)).await
        };
        lock(&self.logs).remove(container);
        removed.map_err(|fault| fault.of(container))
    }
}

/// The newest run, and whether it is live.
fn latest(log: &Log) -> (u32, bool) {
    let shared = log.shared();
    let newest = shared.known.runs.last_key_value().map_or(0, |(generation, _)| *generation);
    (newest, shared.known.state.live)
}

fn number(output: Output) -> usize {
    match output {
        Output::Stdout => 0,
        Output::Stderr => 1,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both maps are whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
