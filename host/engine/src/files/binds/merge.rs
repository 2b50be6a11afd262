//! What has to be done that two directories that have changed since they were the same become the same again: a pure
//! function. Nothing that anybody wrote is lost: what was changed on both sides stays on both.
//!
//! Each side is compared with itself as it was, so that it does not matter what a file cannot keep when it comes to the other
//! side, as an owner. Whether a file was changed is told by what its file system says, the time that nobody can set included.

use std::collections::{BTreeMap, HashMap};

use sockerless_ports::link::listing::Listed;

use super::beside::Beside;

/// A directory's things by path; one before what is in it.
pub(super) type Tree = BTreeMap<Vec<u8>, Listed>;

/// Both sides when they were the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Base {
    pub user: Tree,
    pub container: Tree,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be brought, and where to: mostly to the same path.
    pub bring: BTreeMap<Vec<u8>, Vec<u8>>,
    /// To be deleted on the user's side; what is in a directory before it. A directory that holds something stays.
    pub delete: Vec<Vec<u8>>,
    /// To be sent to the container; a directory before what is in it.
    pub send: Vec<Vec<u8>>,
    /// To be removed in the container; what is in a directory before it.
    pub remove: Vec<Vec<u8>>,
    /// The same on both sides by now.
    pub agreed: Vec<Vec<u8>>,
    /// Changed on both sides, and where the container's is, beside the user's.
    pub conflicts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Plan {
    /// Nothing is to be done on either side.
    pub fn is_empty(&self) -> bool {
        self.bring.is_empty() && self.delete.is_empty() && self.send.is_empty() && self.remove.is_empty()
    }
}

/// What became of a path.
#[derive(Debug, Clone, Copy)]
enum Change<'a> {
    None,
    Gone,
    Now(&'a Listed),
}

/// Whether a thing is as it was.
fn is_same(before: &Listed, now: &Listed) -> bool {
    let alike =
        (before.mode, before.uid, before.gid, &before.target) == (now.mode, now.uid, now.gid, &now.target);
    // Other things' coming and going changes a directory's times.
    let content = |listed: &Listed| (listed.size, listed.modified, listed.changed, listed.inode);
    alike && (!now.is_file() || content(before) == content(now))
}

/// Whether what is on one side could be a copy of what is on the other.
pub(super) fn agrees(one: &Listed, other: &Listed) -> bool {
    if one.kind() != other.kind() {
        return false;
    }
    let content = |listed: &Listed| (listed.size, listed.modified, listed.permissions());
    match one.is_file() {
        true => content(one) == content(other),
        false => one.target == other.target,
    }
}

/// Whether nothing is known of what a side has at a path: it cannot be looked at there, or something else is mounted.
pub(super) fn is_shut(tree: &Tree, path: &[u8]) -> bool {
    let is_closed = |path: &[u8]| tree.get(path).is_some_and(|it| it.closed);
    is_closed(path) || parents(path).any(is_closed)
}

fn change<'a>(before: &Tree, now: &'a Tree, path: &[u8]) -> Change<'a> {
    match (before.get(path), now.get(path)) {
        _ if is_shut(now, path) => Change::None,
        (None, None) => Change::None,
        (Some(_), None) => Change::Gone,
        (Some(before), Some(now)) if is_same(before, now) => Change::None,
        (_, Some(now)) => Change::Now(now),
    }
}

/// The directories that a path is in, the outermost first.
pub(super) fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.map(|end| &path[..end])
}

/// All paths of some trees, each once, in order.
fn paths<'a>(trees: &[&'a Tree]) -> Vec<&'a Vec<u8>> {
    let mut paths: Vec<_> = trees.iter().flat_map(|tree| tree.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Merges both sides. `tag` marks what is kept beside something; with `sends` the container gets the user's changes, too. A
/// bind of a file alone has it under the empty path, which is never deleted: a mount cannot be.
pub(super) fn merge(base: &Base, user: &Tree, container: &Tree, tag: &str, sends: bool) -> Plan {
    let mut plan = Plan::default();
    let (mut gone, mut placed) = (Vec::new(), Vec::new());
    for path in paths(&[&base.user, &base.container, user, container]) {
        // What the user changes there waits until it can be told from what the container does.
        if is_shut(container, path) {
            continue;
        }
        let (in_container, at_user) =
            (change(&base.container, container, path), change(&base.user, user, path));
        match (in_container, at_user) {
            (Change::None, Change::None) => {}
            (Change::Gone, Change::Gone) => plan.agreed.push(path.clone()),
            (Change::Gone, Change::None) if !user.contains_key(path) => plan.agreed.push(path.clone()),
            (Change::Gone, Change::None) if path.is_empty() => plan.send.push(path.clone()),
            (Change::Gone, Change::None) => gone.push(path),
            (Change::None, Change::Gone) if path.is_empty() => {}
            (Change::None, Change::Gone) => plan.remove.push(path.clone()),
            (Change::Now(it), Change::None) if user.get(path).is_some_and(|user| agrees(it, user)) => {
                plan.agreed.push(path.clone());
            }
            (Change::Now(it), Change::None | Change::Gone) => placed.push((path, it, false)),
            (Change::Now(it), Change::Now(user)) if agrees(it, user) => plan.agreed.push(path.clone()),
            (Change::Now(it), Change::Now(_)) => {
                placed.push((path, it, true));
                plan.send.push(path.clone());
            }
            (Change::None, Change::Now(it))
                if container.get(path).is_some_and(|inside| agrees(inside, it)) =>
            {
                plan.agreed.push(path.clone());
            }
            (Change::None | Change::Gone, Change::Now(_)) => plan.send.push(path.clone()),
        }
    }
    plan.remove.reverse();
    let mut there = There::new(user, tag);
    for path in gone.into_iter().rev() {
        if there.delete(path) {
            plan.delete.push(path.clone());
        }
    }
    for (path, it, conflict) in placed {
        let to = there.place(path, it, conflict);
        if to != *path {
            plan.conflicts.push((path.clone(), to.clone()));
        }
        // It may have been brought before a merge that did not come to its end.
        if !user.get(&to).is_some_and(|user| agrees(it, user)) {
            plan.bring.insert(path.clone(), to);
        }
    }
    if !sends {
        plan.send.clear();
        plan.remove.clear();
    }
    plan
}

/// Makes the container's side what the user's is. Without a base it is not known what is the same already.
pub(super) fn mirror(base: Option<&Base>, user: &Tree, container: &Tree) -> Plan {
    let mut plan = Plan::default();
    for path in user.keys() {
        let is_known = base.is_some_and(|base| {
            matches!(change(&base.user, user, path), Change::None)
                && matches!(change(&base.container, container, path), Change::None)
                && container.contains_key(path)
        });
        if !(is_known || base.is_some() && is_shut(container, path)) {
            plan.send.push(path.clone());
        }
    }
    let superfluous =
        container.iter().filter(|(path, it)| !path.is_empty() && !it.closed && !user.contains_key(*path));
    plan.remove = superfluous.rev().map(|(path, _)| path.clone()).collect();
    plan
}

/// What will be on the user's side.
struct There<'a> {
    /// Whether it is a directory.
    all: BTreeMap<Vec<u8>, bool>,
    user: &'a Tree,
    tag: &'a str,
    /// Names that were given to what could not have its own.
    moved: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'a> There<'a> {
    fn new(user: &'a Tree, tag: &'a str) -> Self {
        let all = user.iter().map(|(path, it)| (path.clone(), it.is_directory())).collect();
        Self { all, user, tag, moved: HashMap::new() }
    }

    fn holds_something(&self, directory: &[u8]) -> bool {
        let below = [directory, b"/"].concat();
        self.all.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    }

    /// False for a directory that holds something.
    fn delete(&mut self, path: &[u8]) -> bool {
        let deleted = !self.holds_something(path);
        if deleted {
            self.all.remove(path);
        }
        deleted
    }

    /// Finds a place for what the container has at a path.
    fn place(&mut self, path: &[u8], it: &Listed, conflict: bool) -> Vec<u8> {
        let mut to = Vec::new();
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            if !to.is_empty() {
                to.push(b'/');
            }
            to.extend_from_slice(part);
            let taken = self.all.get(&to).copied();
            let is_last = parts.peek().is_none();
            let moves = match (is_last, taken) {
                (false, taken) => taken == Some(false),
                (true, Some(true)) if !it.is_directory() => conflict || self.holds_something(&to),
                (true, _) => conflict,
            };
            if moves {
                to = self.moved(to, if is_last { Some(it) } else { None });
            }
        }
        self.all.insert(to.clone(), it.is_directory());
        to
    }

    /// A name beside a path: one that nothing has, or the same thing. `it`: none for a directory that something is in.
    fn moved(&mut self, path: Vec<u8>, it: Option<&Listed>) -> Vec<u8> {
        if let Some(known) = self.moved.get(&path) {
            return known.clone();
        }
        let mut names = Beside::new(&path, self.tag);
        let mut candidate = names.another();
        while self.all.contains_key(&candidate) && !self.is_free_for(&candidate, it) {
            candidate = names.another();
        }
        // Shortened names of others may be the same.
        self.all.insert(candidate.clone(), it.is_none_or(Listed::is_directory));
        self.moved.insert(path, candidate.clone());
        candidate
    }

    fn is_free_for(&self, candidate: &[u8], it: Option<&Listed>) -> bool {
        match (self.user.get(candidate), it) {
            (Some(user), Some(it)) => agrees(it, user),
            (Some(user), None) => user.is_directory(),
            (None, _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
