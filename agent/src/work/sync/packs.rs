//! Chunks in packs.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use sockerless_tree::{Chunks, Digest};

use super::{
    limits,
    object::{self, Draft},
    version::{Pack, Place, Version},
};

fn place(store: &Path, pack: &Pack) -> PathBuf {
    folder(store).join(hex::encode(pack.id))
}

pub fn folder(store: &Path) -> PathBuf {
    store.join("packs")
}

/// Adds chunks to a version, each once.
pub struct Packer<'a> {
    store: &'a Path,
    version: &'a mut Version,
    /// To be called when something has moved.
    moves: &'a dyn Fn(),
    draft: Option<Draft>,
    finishing: VecDeque<JoinHandle<io::Result<()>>>,
    /// Bytes that were written.
    pub written: u64,
    /// The first thing that went wrong.
    fault: Option<io::Error>,
}

impl<'a> Packer<'a> {
    pub fn new(store: &'a Path, version: &'a mut Version, moves: &'a dyn Fn()) -> Self {
        Self { store, version, moves, draft: None, finishing: VecDeque::new(), written: 0, fault: None }
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.version.index.contains_key(digest)
    }

    /// Keeps a chunk; what goes wrong is told at the end.
    pub fn add(&mut self, digest: &Digest, bytes: &[u8]) {
        (self.moves)();
        if self.fault.is_none()
            && !self.has(digest)
            && let Err(error) = self.append(digest, bytes)
        {
            self.fault = Some(error);
        }
    }

    fn append(&mut self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let draft = match &mut self.draft {
            Some(draft) => draft,
            empty => {
                let pack = Pack { id: object::name()?, size: 0 };
                let draft = Draft::new(&place(self.store, &pack))?;
                self.version.packs.push(pack);
                empty.insert(draft)
            }
        };
        let offset = draft.length;
        draft.write(bytes)?;
        self.written += bytes.len() as u64;
        let length = draft.length;
        let pack = self.version.packs.len() - 1;
        self.version.packs[pack].size = length;
        let place = Place { pack: pack as u32, offset, size: bytes.len() as u32 };
        self.version.index.insert(*digest, place);
        if length >= limits::PACK
            && let Some(full) = self.draft.take()
        {
            if self.finishing.len() >= limits::FINISHING {
                self.await_oldest()?;
            }
            self.finish_aside(full)?;
        }
        Ok(())
    }

    /// In a thread of its own, unless the container may have no more of them.
    fn finish_aside(&mut self, full: Draft) -> io::Result<()> {
        let full = Arc::new(Mutex::new(Some(full)));
        let take = |full: &Mutex<Option<Draft>>| full.lock().unwrap_or_else(PoisonError::into_inner).take();
        let for_thread = Arc::clone(&full);
        let finish = move || take(&for_thread).map_or(Ok(()), Draft::finish);
        match thread::Builder::new().spawn(finish) {
            Ok(thread) => self.finishing.push_back(thread),
            Err(_) => take(&full).map_or(Ok(()), Draft::finish)?,
        }
        Ok(())
    }

    fn await_oldest(&mut self) -> io::Result<()> {
        let died = |_| io::Error::other("the thread that wrote a pack has died");
        let finished = self.finishing.pop_front().map_or(Ok(()), |oldest| oldest.join().map_err(died)?);
        (self.moves)();
        finished
    }

    /// Sees everything to the storage. Errors: the first thing that went wrong.
    pub fn finish(mut self) -> io::Result<u64> {
        let mut outcome = match (self.fault.take(), self.draft.take()) {
            (Some(error), _) => Err(error),
            (None, draft) => draft.map_or(Ok(()), Draft::finish),
        };
        // Also after a fault: nothing is being written any more when the next try begins.
        while !self.finishing.is_empty() {
            outcome = outcome.and(self.await_oldest());
        }
        outcome.map(|()| self.written)
    }
}

/// Reads the chunks of a version: fast where those of a pack are asked for in the order in which they were written.
pub struct Unpacker<'a> {
    store: &'a Path,
    version: &'a Version,
    /// To be called when something has moved.
    moves: &'a dyn Fn(),
    /// The one that was asked for last at the end.
    windows: Vec<Window>,
}

/// What was read of a pack at once.
struct Window {
    pack: u32,
    file: File,
    from: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// Where in its bytes a chunk begins, if all of it is there.
    fn inside(&self, found: Place) -> Option<usize> {
        let from = usize::try_from(found.offset.checked_sub(self.from)?).ok()?;
        (from + found.size as usize <= self.bytes.len()).then_some(from)
    }
}

impl<'a> Unpacker<'a> {
    pub fn new(store: &'a Path, version: &'a Version, moves: &'a dyn Fn()) -> Self {
        Self { store, version, moves, windows: Vec::new() }
    }

    /// The window of the chunk's pack, with the chunk in it.
    fn window(&mut self, found: Place) -> io::Result<&Window> {
        let Some(pack) = self.version.packs.get(found.pack as usize) else {
            return Err(io::Error::other("there is no such pack"));
        };
        let place = place(self.store, pack);
        let known = self.windows.iter().position(|window| window.pack == found.pack);
        let mut window = match known {
            Some(number) => self.windows.remove(number),
            None => {
                if self.windows.len() >= limits::OPEN {
                    self.windows.remove(0);
                }
                let file = File::open(&place).map_err(|error| object::at(&place, &error))?;
                Window { pack: found.pack, file, from: 0, bytes: Vec::new() }
            }
        };
        if window.inside(found).is_none() {
            // On in the same pack, perhaps over what nobody needs any more: what follows will be asked for, too.
            let on = (window.from..=window.end() + limits::STEP as u64).contains(&found.offset);
            let wanted = found.size as usize;
            let room = usize::try_from(pack.size.saturating_sub(found.offset)).unwrap_or(usize::MAX);
            window.bytes.resize(if on { limits::STEP.min(room).max(wanted) } else { wanted }, 0);
            window.from = found.offset;
            let read = window.file.read_exact_at(&mut window.bytes, found.offset);
            read.map_err(|error| object::at(&place, &error))?;
        }
        self.windows.push(window);
        self.windows.last().ok_or_else(|| io::Error::other("there is no such pack"))
    }
}

impl Chunks for Unpacker<'_> {
    fn chunk(&mut self, digest: &Digest, size: usize) -> io::Result<&[u8]> {
        (self.moves)();
        let Some(found) = self.version.index.get(digest).copied() else {
            return Err(io::Error::other("the volume does not have its bytes"));
        };
        if found.size as usize != size {
            return Err(io::Error::other("a chunk has another size"));
        }
        let window = self.window(found)?;
        let from = window.inside(found).unwrap_or_default();
        let chunk = window.bytes.get(from..from + size).unwrap_or_default();
        if Digest::of(chunk) != *digest {
            return Err(io::Error::other("a chunk in the storage is damaged"));
        }
        Ok(chunk)
    }
}
