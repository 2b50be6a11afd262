//! Files that are placed by several threads: making one is a dozen of the kernel's steps, and nobody needs it before the end.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Scope, ScopedJoinHandle},
    time::SystemTime,
};

use super::{Applied, timestamps};
use crate::{Node, Stamp, limits, scan};

/// A file whose bytes are all here.
pub struct Placing<'a> {
    pub path: &'a [u8],
    pub node: &'a Node,
    /// A name that nobody else has, beside the place.
    pub near: PathBuf,
    pub place: PathBuf,
    pub bytes: Vec<u8>,
}

/// What could not be done, and with which path.
pub type Fault = (Vec<u8>, io::Error);

type Queue<'a> = Arc<Mutex<Receiver<Vec<Placing<'a>>>>>;

/// The threads, and what they are given next.
pub struct Placers<'scope, 'a> {
    threads: Vec<ScopedJoinHandle<'scope, Result<Applied, Fault>>>,
    queue: Option<SyncSender<Vec<Placing<'a>>>>,
    batch: Vec<Placing<'a>>,
    bytes: usize,
}

impl<'scope, 'a: 'scope> Placers<'scope, 'a> {
    /// None where one thread is all that there is room for.
    pub fn new<'env>(scope: &'scope Scope<'scope, 'env>) -> Option<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(limits::PLACERS);
        if count < 2 {
            return None;
        }
        let (queue, batches) = sync_channel(count);
        let batches: Queue<'a> = Arc::new(Mutex::new(batches));
        let spawn = || {
            let batches = Arc::clone(&batches);
            std::thread::Builder::new().spawn_scoped(scope, move || work(&batches)).ok()
        };
        let threads: Vec<_> = (0..count).map_while(|_| spawn()).collect();
        (!threads.is_empty()).then_some(Self { threads, queue: Some(queue), batch: Vec::new(), bytes: 0 })
    }

    /// Has a file placed, soon. False if a thread has given up: [`Placers::finish`] says why.
    pub fn place(&mut self, placing: Placing<'a>) -> bool {
        self.bytes += placing.bytes.len();
        self.batch.push(placing);
        self.batch.len() < limits::BATCH && self.bytes < limits::BATCH_BYTES || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        // They hang up when all have given up, and what they say is kept.
        self.queue.as_ref().is_some_and(|queue| queue.send(batch).is_ok())
            && !self.threads.iter().any(ScopedJoinHandle::is_finished)
    }

    /// Waits for all, and adds what they have done. Errors: the first that each of them met.
    pub fn finish(mut self, applied: &mut Applied) -> Result<(), Fault> {
        if !self.batch.is_empty() {
            self.flush();
        }
        self.queue = None;
        let mut outcome = Ok(());
        for thread in self.threads {
            let done =
                thread.join().unwrap_or_else(|_| Err((Vec::new(), io::Error::other("a thread has died"))));
            match done {
                Ok(done) => applied.add(done),
                Err(fault) => outcome = outcome.and(Err(fault)),
            }
        }
        outcome
    }
}

fn work(batches: &Queue<'_>) -> Result<Applied, Fault> {
    let mut applied = Applied::default();
    loop {
        // Held while waiting: the others wait behind.
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return Ok(applied) };
        for placing in batch {
            placing.place(&mut applied).map_err(|error| (placing.path.to_vec(), error))?;
        }
    }
}

impl Placing<'_> {
    /// Makes the file, whole or not at all.
    pub fn place(&self, applied: &mut Applied) -> io::Result<()> {
        let placed = self.make(applied);
        if placed.is_err() {
            // The first error is the one to be told.
            let _ = fs::remove_file(&self.near);
        }
        placed
    }

    /// Gives it owner, mode and time, in this order, then its name: by its descriptor, as each path costs a walk.
    fn make(&self, applied: &mut Applied) -> io::Result<()> {
        let Self { path, node, near, place, bytes } = self;
        let mut file = create(near)?;
        file.write_all(bytes)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (node.uid, node.gid)
            && let Err(error) = fchown(&file, Some(node.uid), Some(node.gid))
        {
            applied.refused(path, &error);
        }
        file.set_permissions(fs::Permissions::from_mode(node.mode))?;
        rustix::fs::futimens(&file, &timestamps(node.modified))?;
        fs::rename(near, place)?;
        applied.written += bytes.len() as u64;
        // With the time at which it got its name.
        let meta = file.metadata()?;
        applied.note(path, scan::node(&meta, node.content.clone()), Stamp::of(&meta, soon()));
        Ok(())
    }
}

/// A new file that nobody else may read yet.
pub fn create(place: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)
}

/// Nobody else writes here: what was put a moment ago is relied on.
pub fn soon() -> SystemTime {
    SystemTime::now() + limits::UNSURE + limits::UNSURE
}
