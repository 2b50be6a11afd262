//! What the container changed takes its place on the user's side.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    sync::Arc,
};

use sockerless_ports::link::listing::Listed;

use super::{
    disk::{Disk, Dress},
    merge::{Base, Plan, Tree},
    turns::Turn,
};
use crate::{
    Error, ErrorKind, Result,
    files::{
        member::{Kind, Meta, What},
        read::{self, Stream},
    },
};

/// What is brought, and what both sides were.
pub(super) struct Bringing {
    pub plan: Plan,
    pub base: Base,
    pub user: Tree,
    pub container: Tree,
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

/// What could not be done, while the rest was: the first thing and how many.
#[derive(Debug, Default)]
pub(super) struct Failures {
    first: Option<Error>,
    count: u64,
}

impl Failures {
    pub fn add(&mut self, error: Error) {
        self.first.get_or_insert(error);
        self.count += 1;
    }

    pub fn append(&mut self, other: Self) {
        self.first = self.first.take().or(other.first);
        self.count += other.count;
    }

    /// With other words for the first.
    pub fn map(self, words: impl FnOnce(Error) -> Error) -> Self {
        Self { first: self.first.map(words), ..self }
    }

    pub fn told(self) -> Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        if self.count == 1 {
            return Err(first);
        }
        let message = format!("{} (and {} more)", first.message, self.count - 1);
        Err(Error::new(first.kind, message))
    }
}

impl Bringing {
    pub fn new(plan: Plan, base: Base, user: Tree, container: Tree, turn: Arc<Turn>) -> Self {
        Self {
            plan,
            base,
            user,
            container,
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
    /// than was listed.
    pub fn take(&mut self, disk: &mut Disk, input: impl Read, is_file: bool) -> Result<()> {
        let mut archive = read::Archive::new(Stream(input));
        let broken = |error: io::Error| {
            Error::new(ErrorKind::Internal, format!("what the container changed could not be read: {error}"))
        };
        let path_of = |name: &[u8]| match is_file {
            true => Vec::new(),
            false => name.strip_suffix(b"/").unwrap_or(name).to_vec(),
        };
        while let Some(member) = archive.next().map_err(broken)? {
            let path = path_of(&member.name);
            let Some(to) = self.plan.bring.get(&path) else { continue };
            if self.placed.contains_key(&path) || !self.is_listed(&path, &member.what, is_file) {
                continue;
            }
            let (to, meant) = (self.moved(to), to.clone());
            let seen = self.user.get(&to);
            let placed = match member.what {
                What::Thing(meta) => {
                    let dress = self.dress(&path, &to, &meta);
                    disk.place(&to, &meta, dress, seen, &mut archive)
                }
                What::Hard(target) => match self.placed.get(&path_of(&target)) {
                    Some(target) => disk.link(&to, target, seen).map(Some),
                    None => Ok(None),
                },
                What::Other => Ok(None),
            };
            match placed {
                Ok(Some(at)) => {
                    if at != meant {
                        self.moved.push((meant, at.clone()));
                    }
                    self.placed.insert(path, at);
                }
                Ok(None) => {}
                Err(error) => self.failures.add(shown(disk, &to, &error)),
            }
        }
        archive.drain().map_err(broken)
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
