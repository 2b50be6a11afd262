//! What the container changed takes its place on the user's side.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    sync::Arc,
};

use sockerless_ports::link::listing::Listed;

use super::{
    disk::{Disk, Draft, Dress},
    failures::Failures,
    merge::{Base, Plan, Tree},
    turns::Turn,
};
use crate::{
    Error, ErrorKind, Result,
    files::{
        member::{Kind, Meta, What},
        read::{self, Stream},
    },
    tuning,
};

/// What is brought, and what both sides were.
pub(super) struct Bringing {
    pub plan: Plan,
    pub base: Base,
    pub user: Tree,
    pub container: Tree,
    /// What has yet to take its place, by where it is in the container, and the place that it was meant for at first.
    waiting: BTreeMap<Vec<u8>, (Draft, Vec<u8>)>,
    /// Bytes of that, and how many there may be.
    waiting_bytes: u64,
    waiting_most: u64,
    /// What was put where, by where it is in the container.
    pub placed: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Names beside those that were meant, since the user has just put something there.
    pub moved: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was to be deleted and was not.
    pub left: BTreeSet<Vec<u8>>,
    pub failures: Failures,
    /// Held by whoever does the work, should nobody wait for it any more.
    _turn: Arc<Turn>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// With the places that things really have.
    pub plan: Plan,
    /// What is there now of what was placed.
    pub tree: Tree,
    /// What is still to be done.
    pub undone: BTreeSet<Vec<u8>>,
    pub failures: Failures,
}

impl Bringing {
    pub fn new(plan: Plan, base: Base, user: Tree, container: Tree, turn: Arc<Turn>) -> Self {
        Self {
            plan,
            base,
            user,
            container,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            waiting_most: tuning::BIND_WAITING,
            placed: BTreeMap::new(),
            moved: Vec::new(),
            left: BTreeSet::new(),
            failures: Failures::default(),
            _turn: turn,
        }
    }

    /// Deletes what the plan says.
    pub fn delete(&mut self, disk: &mut Disk) {
        for path in &self.plan.delete {
            match disk.delete(path, self.user.get(path)) {
                Ok(true) => continue,
                // The user has just changed it.
                Ok(false) => {}
                Err(error) => self.failures.add(shown(disk, path, &error)),
            }
            self.left.insert(path.clone());
        }
    }

    /// Takes an archive's members to their places. What nobody asked for is left out, and so is what is another kind of thing
    /// than was listed. Should the archive break off, what has come takes its place all the same.
    pub fn take(&mut self, disk: &mut Disk, input: impl Read, is_file: bool) -> Result<()> {
        let taken = self.take_all(disk, read::Archive::new(Stream(input)), is_file);
        self.settle(disk);
        taken.map_err(|error| {
            Error::new(ErrorKind::Internal, format!("what the container changed could not be read: {error}"))
        })
    }

    fn take_all<R: Read>(
        &mut self,
        disk: &mut Disk,
        mut archive: read::Archive<Stream<R>>,
        is_file: bool,
    ) -> io::Result<()> {
        let path_of = |name: &[u8]| match is_file {
            true => Vec::new(),
            false => name.strip_suffix(b"/").unwrap_or(name).to_vec(),
        };
        while let Some(member) = archive.next()? {
            let path = path_of(&member.name);
            let Some(meant) = self.plan.bring.get(&path).cloned() else { continue };
            let is_known = self.placed.contains_key(&path) || self.waiting.contains_key(&path);
            if is_known || !self.is_listed(&path, &member.what, is_file) {
                continue;
            }
            let to = self.moved(&meant);
            match member.what {
                What::Thing(meta) if meta.kind == Kind::Directory => {
                    let dress = self.dress(&path, &to, &meta);
                    let placed = disk.directory(&to, dress, self.user.get(&to));
                    self.note(disk, path, meant, &to, placed);
                }
                What::Thing(meta) => {
                    self.make_room(disk, meta.size);
                    let dress = self.dress(&path, &to, &meta);
                    match disk.draft(&to, &meta, dress, &mut archive) {
                        Ok(draft) => self.wait(path, draft, meant, meta.size),
                        Err(error) => self.failures.add(shown(disk, &to, &error)),
                    }
                }
                What::Hard(target) => {
                    let target = path_of(&target);
                    let made = match (self.waiting.get(&target), self.placed.get(&target)) {
                        (Some((draft, _)), _) => disk.link_draft(&to, draft).map(Some),
                        (None, Some(placed)) => disk.link(&to, placed).map(Some),
                        (None, None) => Ok(None),
                    };
                    match made {
                        Ok(draft) => self.wait(path, draft, meant, 0),
                        Err(error) => self.failures.add(shown(disk, &to, &error)),
                    }
                }
                What::Other => {}
            }
        }
        archive.drain()
    }

    fn wait(&mut self, path: Vec<u8>, draft: Option<Draft>, meant: Vec<u8>, bytes: u64) {
        if let Some(draft) = draft {
            self.waiting.insert(path, (draft, meant));
            self.waiting_bytes += bytes;
        }
    }

    /// What waits needs a place of its own on the disk beside what it replaces: not more than a little, and none that
    /// something else needs.
    fn make_room(&mut self, disk: &mut Disk, bytes: u64) {
        let is_much = self.waiting_bytes.saturating_add(bytes) > self.waiting_most;
        // Where nobody can tell how much there is, there is none to spare.
        let needed = bytes.saturating_add(self.waiting_most);
        if !self.waiting.is_empty() && (is_much || disk.room().map_or(true, |room| room < needed)) {
            self.settle(disk);
        }
    }

    /// Has everything that waits take its place.
    fn settle(&mut self, disk: &mut Disk) {
        self.waiting_bytes = 0;
        for (path, (draft, meant)) in std::mem::take(&mut self.waiting) {
            let to = draft.path().to_vec();
            let settled = disk.settle(&draft, self.user.get(&to));
            self.note(disk, path, meant, &to, settled);
        }
    }

    /// Notes where something is by now, or why it is not there.
    fn note(&mut self, disk: &Disk, path: Vec<u8>, meant: Vec<u8>, to: &[u8], placed: io::Result<Vec<u8>>) {
        match placed {
            Ok(at) => {
                if at != meant {
                    self.moved.push((meant, at.clone()));
                }
                self.placed.insert(path, at);
            }
            Err(error) => self.failures.add(shown(disk, to, &error)),
        }
    }

    /// Whether something is of the kind that the list said: else the container could make of a file what it likes.
    fn is_listed(&self, path: &[u8], what: &What, is_file: bool) -> bool {
        let Some(listed) = self.container.get(path) else { return false };
        match what {
            What::Thing(meta) => match meta.kind {
                Kind::File => listed.is_file(),
                Kind::Directory => listed.is_directory() && !is_file,
                Kind::Symlink => listed.is_symlink() && !is_file,
                Kind::Fifo => listed.is_fifo() && !is_file,
                Kind::Character | Kind::Block => false,
            },
            // Only what has come before: a file.
            What::Hard(_) => listed.is_file() && !is_file,
            What::Other => false,
        }
    }

    /// Where something goes that was meant for a place which may have another name by now.
    fn moved(&self, to: &[u8]) -> Vec<u8> {
        let moved = self.moved.iter().find_map(|(meant, at)| {
            let rest = to.strip_prefix(meant.as_slice())?;
            (rest.is_empty() || rest.starts_with(b"/")).then(|| [at, rest].concat())
        });
        moved.unwrap_or_else(|| to.to_vec())
    }

    /// What the container left as it was stays what the user has: it may be what could not be kept on the way there.
    fn dress(&self, path: &[u8], to: &[u8], meta: &Meta) -> Dress {
        let (before, now) = (self.base.container.get(path), self.container.get(path));
        let theirs = self.user.get(to);
        let kept = |same: fn(&Listed, &Listed) -> bool| {
            let is_kept = before.zip(now).is_some_and(|(before, now)| same(before, now));
            theirs.filter(|_| is_kept)
        };
        let number = |id: u64| u32::try_from(id).unwrap_or_default();
        let permissions = kept(|before, now| before.permissions() == now.permissions());
        let owner = kept(|before, now| (before.uid, before.gid) == (now.uid, now.gid));
        let is_known = meta.kind == Kind::Directory && theirs.is_some();
        Dress {
            permissions: permissions.map_or(meta.mode & 0o7777, Listed::permissions),
            owner: Some(
                owner.map_or((number(meta.uid), number(meta.gid)), |theirs| (theirs.uid, theirs.gid)),
            ),
            modified: (!is_known).then_some(meta.modified),
        }
    }

    /// Ends it.
    pub fn finish(mut self, disk: &mut Disk) -> Brought {
        for (path, error) in disk.finish() {
            self.failures.add(shown(disk, &path, &error));
        }
        let mut tree = Tree::new();
        for path in self.placed.values() {
            match disk.look(path) {
                Ok(Some(listed)) => drop(tree.insert(path.clone(), listed)),
                Ok(None) => {}
                Err(error) => self.failures.add(shown(disk, path, &error)),
            }
        }
        let mut undone = self.left;
        undone.extend(self.plan.bring.keys().filter(|path| !self.placed.contains_key(*path)).cloned());
        let mut plan = self.plan;
        plan.bring = self.placed;
        plan.delete.retain(|path| !undone.contains(path));
        // What the container has is not overwritten before it is here.
        let is_safe = |path: &Vec<u8>| {
            let below = [path, &b"/"[..]].concat();
            let next = undone.range(below.clone()..).next();
            !undone.contains(path) && !next.is_some_and(|next| next.starts_with(&below))
        };
        plan.send.retain(is_safe);
        plan.remove.retain(is_safe);
        Brought { plan, tree, undone, failures: self.failures }
    }
}

fn shown(disk: &Disk, path: &[u8], error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("{}: {error}", disk.show(path)))
}

#[cfg(test)]
mod tests;
