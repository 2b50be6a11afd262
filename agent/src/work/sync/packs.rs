//! Chunks in packs.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
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
    draft: Option<Draft>,
    /// Bytes that were written.
    pub written: u64,
    /// The first thing that went wrong.
    fault: Option<io::Error>,
}

impl<'a> Packer<'a> {
    pub fn new(store: &'a Path, version: &'a mut Version) -> Self {
        Self { store, version, draft: None, written: 0, fault: None }
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.version.index.contains_key(digest)
    }

    /// Keeps a chunk; what goes wrong is told at the end.
    pub fn add(&mut self, digest: &Digest, bytes: &[u8]) {
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
        if length >= limits::PACK {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.draft.take().map_or(Ok(()), Draft::finish)
    }

    /// Sees everything to the storage. Errors: the first thing that went wrong.
    pub fn finish(mut self) -> io::Result<u64> {
        match self.fault.take() {
            Some(error) => Err(error),
            None => self.close().map(|()| self.written),
        }
    }
}

/// Reads the chunks of a version: fast where they are asked for in the order in which they were written.
pub struct Unpacker<'a> {
    store: &'a Path,
    version: &'a Version,
    open: HashMap<u32, File>,
    /// What was read at once: of which pack, from where.
    window: Vec<u8>,
    at: (u32, u64),
}

impl<'a> Unpacker<'a> {
    pub fn new(store: &'a Path, version: &'a Version) -> Self {
        Self { store, version, open: HashMap::new(), window: Vec::new(), at: (u32::MAX, 0) }
    }

    fn read(&mut self, found: Place) -> io::Result<()> {
        let Some(pack) = self.version.packs.get(found.pack as usize) else {
            return Err(io::Error::other("there is no such pack"));
        };
        let place = place(self.store, pack);
        if !self.open.contains_key(&found.pack) {
            if self.open.len() >= limits::OPEN {
                self.open.clear();
            }
            let file = File::open(&place).map_err(|error| object::at(&place, &error))?;
            self.open.insert(found.pack, file);
        }
        let Some(file) = self.open.get(&found.pack) else { return Ok(()) };
        let (pack, from) = self.at;
        let next = pack == found.pack && from + self.window.len() as u64 == found.offset;
        let wanted = found.size as usize;
        // On in the same pack: what follows will be asked for, too.
        let room = usize::try_from(self.version.packs[found.pack as usize].size.saturating_sub(found.offset))
            .unwrap_or(usize::MAX);
        let count = if next || found.offset == 0 { limits::STEP.min(room).max(wanted) } else { wanted };
        self.window.resize(count, 0);
        self.at = (found.pack, found.offset);
        file.read_exact_at(&mut self.window, found.offset).map_err(|error| object::at(&place, &error))
    }
}

impl Chunks for Unpacker<'_> {
    fn chunk(&mut self, digest: &Digest, size: usize) -> io::Result<&[u8]> {
        let Some(found) = self.version.index.get(digest).copied() else {
            return Err(io::Error::other("the volume does not have its bytes"));
        };
        if found.size as usize != size {
            return Err(io::Error::other("a chunk has another size"));
        }
        let inside = |at: (u32, u64), window: &[u8]| {
            let from = usize::try_from(found.offset.checked_sub(at.1)?).ok()?;
            (at.0 == found.pack && from + size <= window.len()).then_some(from)
        };
        if inside(self.at, &self.window).is_none()
            && let Err(error) = self.read(found)
        {
            self.at = (u32::MAX, 0);
            self.window.clear();
            return Err(error);
        }
        let from = inside(self.at, &self.window).unwrap_or_default();
        let chunk = &self.window[from..from + size];
        if Digest::of(chunk) != *digest {
            return Err(io::Error::other("a chunk in the storage is damaged"));
        }
        Ok(chunk)
    }
}
