//! What is different between an image and a container (`docker diff`), by dockerd's rules.

use std::{collections::BTreeMap, sync::Arc};

use sockerless_ports::link::request::Entry;

use super::{Node, Tree};
use crate::files::path::{self, Name};

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::files) struct Change {
    pub place: Vec<Name>,
    pub kind: ChangeKind,
}

/// The later state that a tree is compared with.
pub(in crate::files) trait Now: Sized {
    fn children(&self) -> &BTreeMap<Name, Self>;
    fn is_directory(&self) -> bool;
    /// Whether it is as it was; what is in a directory does not count.
    fn is_same(&self, old: &Node) -> bool;
    /// Nothing is known of what is in it, and nothing is said of it.
    fn is_closed(&self) -> bool;
    /// Whether the container made it, and not the machine before the container ran.
    fn is_made(&self) -> bool;
}

impl Now for Arc<Node> {
    fn children(&self) -> &BTreeMap<Name, Self> {
        &self.children
    }

    fn is_directory(&self) -> bool {
        Node::is_directory(self)
    }

    fn is_same(&self, old: &Node) -> bool {
        self.content == old.content && (Arc::ptr_eq(&self.meta, &old.meta) || self.meta == old.meta)
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn is_made(&self) -> bool {
        true
    }
}

/// A thing as the agent sees it.
#[derive(Debug, Default)]
pub(in crate::files) struct Seen {
    entry: Entry,
    /// Others, too, make things in it: its time says nothing.
    shared: bool,
    children: BTreeMap<Name, Self>,
}

impl Seen {
    /// Adds what a walk lists, in any order.
    pub fn add(&mut self, entry: Entry) {
        let mut seen = self;
        // Not the entry's own path, which moves.
        let path = entry.path.clone();
        for part in path::parts(path.as_bytes()) {
            seen = seen.children.entry(part.into()).or_default();
        }
        seen.entry = entry;
    }

    /// Takes a path out, as if nobody had looked there, with what making it did to the directory it is in.
    pub fn close(&mut self, path: &str) {
        let parts: Vec<&[u8]> = path::parts(path.as_bytes()).collect();
        let Some((last, parents)) = parts.split_last() else { return };
        let mut seen = self;
        for part in parents {
            let Some(child) = seen.children.get_mut(*part) else { return };
            seen = child;
        }
        seen.shared = true;
        let closed = Self { entry: Entry { closed: true, ..Entry::default() }, ..Self::default() };
        seen.children.insert((*last).into(), closed);
    }
}

impl Now for Seen {
    fn children(&self) -> &BTreeMap<Name, Self> {
        &self.children
    }

    fn is_directory(&self) -> bool {
        self.entry.mode & 0o170_000 == 0o040_000
    }

    fn is_same(&self, old: &Node) -> bool {
        let Entry { mode, uid, gid, size, modified, link, recent, .. } = &self.entry;
        let meta = &old.meta;
        let alike = *mode == meta.st_mode() && u64::from(*uid) == meta.uid && u64::from(*gid) == meta.gid;
        if self.is_directory() {
            // Making something in it changes its time. What the machine did while it unpacked the image does not count.
            return alike && (self.shared || !recent || *modified == meta.modified.0);
        }
        let file = meta.kind == crate::files::member::Kind::File;
        alike && !recent && (!file || *size == meta.size) && *link == String::from_utf8_lossy(&meta.target)
    }

    fn is_closed(&self) -> bool {
        self.entry.closed
    }

    fn is_made(&self) -> bool {
        self.entry.recent
    }
}

/// Whether a thing that an agent sees is as it was in the image; what is in a directory does not count.
pub(in crate::files) fn is_unchanged(thing: &Entry, old: &Node) -> bool {
    Seen { entry: thing.clone(), ..Seen::default() }.is_same(old)
}

/// All differences, sorted; a directory comes before what is in it. Of a directory that is gone only itself is told, and a
/// directory in which something is different is different.
pub(in crate::files) fn differences<N: Now>(old: &Tree, now: &N) -> Vec<Change> {
    let mut walk = Walk { place: Vec::new(), changes: Vec::new() };
    walk.inside(Some(&old.root), now, false);
    walk.changes
}

struct Walk {
    place: Vec<Name>,
    changes: Vec<Change>,
}

impl Walk {
    fn tell(&mut self, kind: ChangeKind) {
        self.changes.push(Change { place: self.place.clone(), kind });
    }

    /// `made`: the directory is the container's, and so is all that is in it.
    fn inside<N: Now>(&mut self, old: Option<&Arc<Node>>, now: &N, made: bool) {
        let empty = BTreeMap::new();
        let before = old.map_or(&empty, |old| &old.children);
        let after = now.children();
        let mut names: Vec<&Name> = before.keys().filter(|name| !after.contains_key(*name)).collect();
        names.extend(after.keys());
        names.sort_unstable();
        for name in names {
            self.place.push(name.clone());
            match (before.get(name), after.get(name)) {
                (Some(_), None) => self.tell(ChangeKind::Deleted),
                (_, Some(now)) if now.is_closed() => {}
                (old, Some(now)) => self.both(old, now, made),
                (None, None) => {}
            }
            self.place.pop();
        }
    }

    fn both<N: Now>(&mut self, old: Option<&Arc<Node>>, now: &N, made: bool) {
        let at = self.changes.len();
        let made = old.is_none() && (made || now.is_made());
        let kind = if old.is_none() { ChangeKind::Added } else { ChangeKind::Modified };
        let different = match old {
            None => made,
            Some(old) => !now.is_same(old),
        };
        if now.is_directory() {
            let replaced = old.is_some_and(|old| !old.is_directory());
            self.inside(old, now, made || replaced);
        }
        if different || self.changes.len() > at {
            let change = Change { place: self.place.clone(), kind };
            self.changes.insert(at, change);
        }
    }
}
