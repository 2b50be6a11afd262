//! One turn: in, back, or both.

use std::{
    fs, io,
    io::Read,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sockerless_agent_wire::sync::{Sync, Synced};
use sockerless_tree::{
    Applied, Change, Content, Digest, Heard, LeftOut, Manifest, Merged, Node, Options, Scanned, apply,
    difference, display, is_below, limits as tree_limits, merge, parent, scan,
};

use super::{
    base::{Base, Known, has_all},
    limits, object,
    packs::{Packer, Unpacker},
    sweep::sweep,
    version::{self, Id, Version},
};

/// How often a directory is looked at whose files change all the time.
const LOOKS: usize = 3;

/// Does what was asked for at that time, and says each time that something has moved. Errors: what could not be done; the last
/// version is whole, and the same can be asked for again.
pub fn turn(sync: &Sync, asked: SystemTime, known: &mut Known, moves: &dyn Fn()) -> io::Result<Synced> {
    let (store, path) = (Path::new(&sync.store), Path::new(&sync.path));
    let id = sync
        .head
        .as_deref()
        .map(|head| version::id(head).ok_or_else(|| io::Error::other("a version has another name")));
    let id = id.transpose()?;
    let head = load(store, id, known)?;
    known.settle(id, &head);
    if known.base.is_none() && !sync.inwards {
        // It was never brought in: the container did not get that far.
        return Ok(Synced::default());
    }
    fs::create_dir_all(path).map_err(|error| object::at(path, &error))?;
    let mut turn = Turn { sync, asked, moves, store, path, id, head, done: Synced::default() };
    turn.take(known)?;
    Ok(turn.done)
}

fn load(store: &Path, id: Option<Id>, known: &mut Known) -> io::Result<Arc<Version>> {
    let Some(id) = id else { return Ok(Arc::default()) };
    if let Some((_, version)) = known.version.as_ref().filter(|(known, _)| *known == id) {
        return Ok(Arc::clone(version));
    }
    let version = Arc::new(Version::load(store, id)?);
    known.version = Some((id, Arc::clone(&version)));
    Ok(version)
}

struct Turn<'a> {
    sync: &'a Sync,
    asked: SystemTime,
    /// To be called when something has moved.
    moves: &'a dyn Fn(),
    store: &'a Path,
    path: &'a Path,
    id: Option<Id>,
    head: Arc<Version>,
    done: Synced,
}

impl Turn<'_> {
    fn take(&mut self, known: &mut Known) -> io::Result<()> {
        let mut next = self.head.next(self.id);
        let before = next.packs.len();
        let (scanned, written) = self.look(known.base.as_ref(), &mut next)?;
        let fresh = known.base.is_none();
        let top = scanned.manifest.get(b"").cloned().unwrap_or_else(Node::directory);
        let theirs = self.theirs(&top)?;
        let fill = fresh && self.sync.fill && theirs.is_empty();
        let mut ours =
            known.base.as_ref().map_or_else(|| scanned.manifest.clone(), |base| base.read(&scanned.manifest));
        if let Some(base) = &known.base {
            let mut left_out = scanned.left_out.clone();
            left_out.extend(self.covered(&ours));
            ours = with_unread(Scanned { manifest: ours, left_out, ..Scanned::default() }, &base.truth);
        }
        let Merged { manifest: merged, conflicts } = match &known.base {
            // What the image has there stays, or is hidden by the volume.
            None if fill => Merged { manifest: ours.clone(), ..Merged::default() },
            None => Merged { manifest: theirs.clone(), ..Merged::default() },
            Some(_) if !self.sync.back => Merged { manifest: theirs.clone(), ..Merged::default() },
            Some(base) => merge(&base.ancestor, &ours, &theirs, &self.sync.label),
        };
        self.done.conflict_count = conflicts.len() as u64;
        self.done.conflicts = conflicts
            .iter()
            .take(limits::TOLD)
            .map(|conflict| display(&conflict.kept).into_owned())
            .collect();
        self.done.left_out_count = scanned.left_out.len() as u64;
        self.done.left_out = scanned
            .left_out
            .iter()
            .take(limits::TOLD)
            .map(|left| format!("{}: {}", display(&left.path), left.why))
            .collect();
        let publish = self.sync.back && !fresh && merged != theirs;
        if publish {
            next.manifest.graft(self.sync.part.trim_matches('/').as_bytes(), &merged);
            self.publish(&mut next, written)?;
        } else if next.packs.len() > before {
            // What was written names no version: it goes with the next sweep.
            self.done.went = written;
        }
        let source = if publish { Arc::new(next) } else { Arc::clone(&self.head) };
        (self.done.files, self.done.bytes) = source.manifest.weight();
        let base = if self.sync.inwards {
            let (seen, truth) = self.bring_in(scanned, &ours, merged, &source)?;
            let ancestor = if self.sync.back && !fresh { Arc::clone(&truth) } else { Arc::new(theirs) };
            Base { seen, truth, ancestor }
        } else {
            let truth = Arc::new(ours);
            Base { seen: scanned, ancestor: Arc::clone(&truth), truth }
        };
        match self.done.version.as_deref().and_then(version::id) {
            Some(id) => {
                known.pending = Some((id, base));
                known.version = Some((id, source));
            }
            None => known.base = Some(base),
        }
        Ok(())
    }

    /// What the volume has for the directory.
    fn theirs(&self, top: &Node) -> io::Result<Manifest> {
        let part = self.sync.part.trim_matches('/');
        let empty = || [(Vec::new(), top.clone())].into_iter().collect();
        match self.head.manifest.subtree(part.as_bytes()) {
            Some(theirs) => Ok(theirs),
            None if part.is_empty() => Ok(empty()),
            // As dockerd, which makes no such directory.
            None => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("the volume has no directory {part}")))
            }
        }
    }

    /// Scans the directory; what it has and the version has not is added to that, if it is going back.
    fn look(&self, base: Option<&Base>, next: &mut Version) -> io::Result<(Scanned, u64)> {
        let mut packer = Packer::new(self.store, next, self.moves);
        let without: Vec<Vec<u8>> = self.without();
        let skip = |path: &[u8], _: bool| without.iter().any(|without| without == path);
        let back = self.sync.back && base.is_some();
        let mut known = base.map(|base| &base.seen);
        let mut looks = 0;
        loop {
            looks += 1;
            let mut add = |digest: &Digest, bytes: &[u8]| packer.add(digest, bytes);
            let read: Option<Heard<'_>> = if back { Some(&mut add) } else { None };
            let scanned = scan(self.path, Options { known, without: Some(&skip), read })
                .map_err(|error| object::at(self.path, &error))?;
            if !back || self.add_known(&scanned, &mut packer) {
                return Ok((scanned, packer.finish()?));
            }
            if looks == LOOKS {
                return Err(io::Error::other("files in it change faster than they are read"));
            }
            // Something is not as it was known to be.
            known = None;
        }
    }

    /// Other volumes in the directory, from it on.
    fn without(&self) -> Vec<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        let inside = self.sync.without.iter().filter_map(|path| Path::new(path).strip_prefix(self.path).ok());
        inside.map(|path| path.as_os_str().as_bytes().to_vec()).filter(|path| !path.is_empty()).collect()
    }

    /// What lies below other mounts cannot be seen, and is not gone for that; unless the directory that it was in is.
    fn covered(&self, ours: &Manifest) -> Vec<LeftOut> {
        let is_there = |path: &Vec<u8>| {
            parent(path).and_then(|parent| ours.get(parent)).is_some_and(|node| node.content.is_directory())
        };
        let paths = self.without().into_iter().filter(is_there);
        paths.map(|path| LeftOut { path, why: String::new(), unread: true }).collect()
    }

    /// Adds the bytes of files that were known, and so not read. False if they are not as they were known.
    fn add_known(&self, scanned: &Scanned, packer: &mut Packer<'_>) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let mut buffer = vec![0; tree_limits::CHUNK];
        for (path, node) in scanned.manifest.iter() {
            let Content::File(file) = &node.content else { continue };
            if file.chunks.iter().all(|digest| packer.has(digest)) {
                continue;
            }
            let Ok(mut from) = fs::File::open(self.path.join(std::ffi::OsStr::from_bytes(path))) else {
                return false;
            };
            for (number, digest) in file.chunks.iter().enumerate() {
                let chunk = &mut buffer[..file.chunk_size(number)];
                if from.read_exact(chunk).is_err() || Digest::of(chunk) != *digest {
                    return false;
                }
                packer.add(digest, chunk);
            }
        }
        true
    }

    fn publish(&mut self, next: &mut Version, written: u64) -> io::Result<()> {
        if next.manifest.iter().any(|(_, node)| !has_all(next, &node.content)) {
            return Err(io::Error::other("bytes of a file are missing"));
        }
        next.prune();
        let rewritten = self.rewrite(next)?;
        let (id, size) = next.save(self.store)?;
        self.done.went = written + rewritten + size;
        self.done.version = Some(hex::encode(id));
        let kept = [(self.id, self.head.as_ref()), (Some(id), &*next)];
        let keep = Duration::from_secs(self.sync.keep);
        // Whoever asked may have given up long ago: versions that came since are not known here, and are as old as that.
        if keep.is_zero() || self.asked.elapsed().is_ok_and(|age| age < keep / 2) {
            sweep(self.store, &kept, keep);
        }
        Ok(())
    }

    /// Moves what is alive out of packs that are mostly dead.
    fn rewrite(&self, next: &mut Version) -> io::Result<u64> {
        let worn = next.worn();
        if worn.is_empty() {
            return Ok(0);
        }
        let source = Version { packs: next.packs.clone(), index: next.index.clone(), ..Version::default() };
        let mut moved: Vec<_> = source
            .index
            .iter()
            .filter(|(_, place)| worn.contains(&place.pack))
            .map(|(digest, place)| (*digest, *place))
            .collect();
        moved.sort_unstable_by_key(|(_, place)| (place.pack, place.offset));
        next.index.retain(|_, place| !worn.contains(&place.pack));
        let mut packer = Packer::new(self.store, next, self.moves);
        let mut unpacker = Unpacker::new(self.store, &source, self.moves);
        for (digest, place) in moved {
            let chunk = sockerless_tree::Chunks::chunk(&mut unpacker, &digest, place.size as usize)?;
            packer.add(&digest, chunk);
        }
        let written = packer.finish()?;
        next.prune();
        Ok(written)
    }

    /// Makes the directory what it shall be.
    fn bring_in(
        &mut self,
        mut seen: Scanned,
        ours: &Manifest,
        merged: Manifest,
        source: &Version,
    ) -> io::Result<(Scanned, Arc<Manifest>)> {
        let mut changes = difference(ours, &merged);
        // It would be written into what is mounted there.
        let without = self.without();
        changes.retain(|change| {
            !without.iter().any(|path| change.path() == path || is_below(change.path(), path))
        });
        // Each pack once, from its beginning to its end: a bucket's client asks anew wherever it is not read on.
        changes.sort_by_cached_key(|change| source.order(change));
        let mut chunks = Unpacker::new(self.store, source, self.moves);
        let applied = apply(self.path, &changes, &mut chunks)?;
        self.done.changed = changes.len() as u64;
        self.done.came = applied.written;
        self.done.not_owned = applied.not_owned_count;
        let Applied { shown, stamps, .. } = applied;
        for change in &changes {
            if let Change::Remove { path, .. } = change {
                seen.manifest.remove(path);
                seen.stamps.remove(path);
            }
        }
        for (path, node) in shown {
            seen.stamps.remove(&path);
            seen.manifest.insert(path, node);
        }
        seen.stamps.extend(stamps);
        // What is not on this disk gives no file its word.
        seen.manifest.tidy();
        Ok((seen, Arc::new(merged)))
    }
}

/// What could not be read is as it was.
fn with_unread(mut scanned: Scanned, before: &Manifest) -> Manifest {
    scanned.keep_unread(before);
    scanned.manifest
}
