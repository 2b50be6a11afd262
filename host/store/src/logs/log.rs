//! One container's log.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sockerless_ports::logs::{Bounds, LogError};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard, watch};

use super::{
    fault::Fault,
    files::Files,
    format::{HEADER, Header, Kind},
    index,
    recovery::{self, Known},
};
use crate::tuning;

/// What differs between a daemon and a test.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Nanoseconds since 1970.
    pub clock: fn() -> u64,
    /// Bytes between index entries.
    pub index_every: u64,
    /// Bytes that a reader fetches at once.
    pub block: usize,
    /// Bytes of a line that is given in parts.
    pub max_line: usize,
    /// Entries of an index that may stand for dropped parts of the log.
    pub stale: usize,
    /// Bytes read from log files.
    pub counter: Arc<AtomicU64>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            clock: || nanos(SystemTime::now()),
            index_every: tuning::INDEX_EVERY,
            block: tuning::BLOCK,
            max_line: tuning::MAX_LINE,
            stale: tuning::STALE_ENTRIES,
            counter: Arc::default(),
        }
    }
}

/// Nanoseconds since 1970; 0 before, the greatest number after the year 2554.
pub fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// The inverse of [`nanos`].
pub fn system_time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// A log: one writer at a time, any number of readers that follow the file.
#[derive(Debug)]
pub struct Log {
    /// Whose it is.
    pub container: String,
    /// Its files.
    pub files: Arc<Files>,
    /// See there.
    pub shape: Shape,
    loaded: OnceCell<()>,
    writer: Arc<AsyncMutex<Writer>>,
    shared: Mutex<Shared>,
    changed: watch::Sender<()>,
    used: AtomicBool,
}

/// The files, open while somebody writes now and then.
#[derive(Debug, Default)]
pub struct Writer {
    files: Option<(File, File)>,
}

/// What writer and readers both look at; locked for moments only.
#[derive(Debug, Default)]
pub struct Shared {
    /// All up to the last whole record.
    pub known: Known,
    /// The log was removed: its followers end.
    pub removed: bool,
    /// How large it may get; none for as large as it gets.
    pub bounds: Option<Bounds>,
    /// Readers for which nothing may be dropped: the file's position that each has come to.
    holds: HashMap<u64, u64>,
    /// Counts such readers.
    holders: u64,
}

impl Shared {
    /// Nothing that comes after this position may be dropped.
    fn hold(&self) -> u64 {
        self.holds.values().copied().min().unwrap_or(u64::MAX)
    }
}

/// Keeps what comes after a position from being dropped, for a reader.
#[derive(Debug)]
pub struct Hold {
    log: Arc<Log>,
    number: u64,
}

impl Hold {
    /// The reader has come to this position.
    pub fn advance(&self, position: u64) {
        self.log.shared().holds.insert(self.number, position);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut shared = self.log.shared();
        shared.holds.remove(&self.number);
        // What was kept for this reader alone goes now: there may be no further output to make room for.
        let Some(bounds) = shared.bounds else { return };
        match self.log.files.drop_oldest(bounds.files.max(1), shared.hold()) {
            // The index's file is written again at the next rotation, if it is worth it.
            Ok(true) => {
                shared.known.index.drop_before(self.log.files.floor(), usize::MAX);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(container = self.log.container, %error, "a part of a log that is too old could not be removed");
            }
        }
    }
}

impl Log {
    /// A log in a directory that need not exist.
    pub fn new(container: &str, directory: PathBuf, shape: Shape) -> Self {
        Self {
            container: container.to_owned(),
            files: Arc::new(Files::new(directory)),
            shape,
            loaded: OnceCell::new(),
            writer: Arc::default(),
            shared: Mutex::default(),
            changed: watch::Sender::new(()),
            used: AtomicBool::new(false),
        }
    }

    /// Reads what is known of it, once.
    pub async fn load(self: &Arc<Self>) -> Result<(), LogError> {
        self.loaded
            .get_or_try_init(async || {
                let log = Arc::clone(self);
                let known = blocking(move || {
                    recovery::open(&log.files, log.shape.index_every, log.shape.block, &log.shape.counter)
                })
                .await
                .map_err(|fault| fault.of(&self.container))?;
                self.shared().known = known;
                Ok(())
            })
            .await
            .copied()
    }

    /// For a look; never across a wait.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        // What it guards is whole at any moment: nothing in between can panic halfway.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes when something was appended.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The right to write. Waits for whoever has it.
    pub async fn writer(&self) -> OwnedMutexGuard<Writer> {
        self.used.store(true, Ordering::Relaxed);
        Arc::clone(&self.writer).lock_owned().await
    }

    /// Closes the files if nobody wrote since the last time that this was asked. Gives whether
    /// they are closed.
    pub fn close_if_idle(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        match self.writer.try_lock() {
            Ok(mut writer) => {
                writer.files = None;
                true
            }
            Err(_) => false,
        }
    }

    /// Appends output, on this thread. Gives whether files had to be opened for it.
    pub fn append(
        &self,
        writer: &mut Writer,
        generation: u32,
        output: usize,
        bytes: &Bytes,
    ) -> Result<bool, Fault> {
        let opened = self.open(writer)?;
        let most = self.shared().bounds.map_or(tuning::MAX_RECORD, largest);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(whole_lines(rest, most));
            self.write(writer, Kind::Output(output), generation, part)?;
            rest = after;
        }
        Ok(opened)
    }

    /// Appends a mark, on this thread. Gives whether files had to be opened for it.
    pub fn mark(&self, writer: &mut Writer, generation: u32, kind: Kind) -> Result<bool, Fault> {
        let opened = self.open(writer)?;
        self.write(writer, kind, generation, &[])?;
        Ok(opened)
    }

    fn open(&self, writer: &mut Writer) -> Result<bool, Fault> {
        if writer.files.is_some() {
            return Ok(false);
        }
        if self.shared().removed {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the log was removed").into());
        }
        let start = self.files.last();
        let path = self.files.path(start);
        let file = match append_to(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(self.files.directory())?;
                append_to(&path)?
            }
            other => other?,
        };
        self.files.push(start);
        writer.files = Some((file, append_to(&self.files.directory().join(index::FILE))?));
        Ok(true)
    }

    fn write(&self, writer: &mut Writer, kind: Kind, generation: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.rotate(writer, bytes.len())?;
        // `open` came first, and the caller holds the writer.
        let Some((file, sidecar)) = &writer.files else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let now = (self.shape.clock)();
        let (header, position, entry) = {
            let shared = self.shared();
            let known = &shared.known;
            let offset = match kind {
                Kind::Output(output) => known.runs.get(&generation).map_or(0, |kept| kept[output]),
                Kind::Begin | Kind::Finish => 0,
            };
            // No longer than `MAX_RECORD`.
            let length = bytes.len() as u32;
            let header = Header { kind, generation, length, time: now.max(known.state.time), offset };
            let entry =
                known.wants_entry(&header, self.shape.index_every).then(|| (known.state, known.kept()));
            (header, known.state.position, entry)
        };
        if let Some((state, kept)) = entry {
            index::append(sidecar, &state, kept)?;
            self.shared().known.index.push(state);
        }
        if let Err(error) = write_all(file, &header.encode(), bytes) {
            // Half a record would hide all that comes after it.
            file.set_len(position - self.files.last())?;
            return Err(error.into());
        }
        self.shared().known.pass(&header, bytes);
        self.changed.send_replace(());
        Ok(())
    }

    /// Begins a new file when the newest has no room for a record of so many bytes, and drops what is too old.
    fn rotate(&self, writer: &mut Writer, bytes: usize) -> Result<(), Fault> {
        let Some(bounds) = self.shared().bounds else { return Ok(()) };
        let Some((file, sidecar)) = &mut writer.files else { return Ok(()) };
        let (state, kept, marked) = {
            let known = &self.shared().known;
            let marked = known.index.last().is_some_and(|entry| entry.position == known.state.position);
            (known.state, known.kept(), marked)
        };
        let written = state.position - self.files.last();
        if written == 0 || written + (HEADER + bytes) as u64 <= bounds.file_bytes {
            return Ok(());
        }
        // First what is known at its beginning: when the files before it are gone, nobody could count up to there.
        if !marked {
            index::append(sidecar, &state, kept)?;
            self.shared().known.index.push(state);
        }
        *file = append_to(&self.files.path(state.position))?;
        self.files.push(state.position);
        let hold = self.shared().hold();
        if self.files.drop_oldest(bounds.files.max(1), hold)? {
            let floor = self.files.floor();
            let mut shared = self.shared();
            if shared.known.index.drop_before(floor, self.shape.stale) {
                let path = self.files.directory().join(index::FILE);
                let Shared { known, .. } = &mut *shared;
                known.index.rewrite(&path, floor, &known.runs)?;
                *sidecar = append_to(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps what comes after a position.
    pub fn hold(self: &Arc<Self>, shared: &mut Shared, position: u64) -> Hold {
        shared.holders += 1;
        shared.holds.insert(shared.holders, position);
        Hold { log: Arc::clone(self), number: shared.holders }
    }

    /// Removes the files. Whoever follows comes to an end.
    pub fn remove(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.files = None;
        match std::fs::remove_dir_all(self.files.directory()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        self.shared().removed = true;
        self.changed.send_replace(());
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Header and bytes in one system call, as a rule.
fn write_all(mut file: &File, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut slices = [IoSlice::new(header), IoSlice::new(bytes)];
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Runs it where waiting for a disk hinders nobody.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error).into()),
    }
}

/// The largest record of a log that is bounded: one that fills a file by itself.
fn largest(bounds: Bounds) -> usize {
    let room = usize::try_from(bounds.file_bytes).unwrap_or(usize::MAX).saturating_sub(HEADER);
    room.clamp(tuning::LEAST_RECORD, tuning::MAX_RECORD)
}

/// How many of the bytes make the next record: at most so many, and whole lines of them where there is one.
fn whole_lines(bytes: &[u8], most: usize) -> usize {
    let Some(part) = bytes.get(..most) else { return bytes.len() };
    part.iter().rposition(|byte| *byte == b'\n').map_or(most, |line| line + 1)
}
