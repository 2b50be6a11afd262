//! Two states that were made of one, as one.

use crate::{Manifest, Node, limits, links::Linked, path};

/// What came of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The one state.
    pub manifest: Manifest,
    /// What both sides had changed in different ways.
    pub conflicts: Vec<Conflict>,
}

/// Both sides had changed one name. Both versions are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both had changed: *their* version stands there.
    pub path: Vec<u8>,
    /// Where *our* version is.
    pub kept: Vec<u8>,
}

/// Makes one state of `ours` and `theirs`, which both came from `base`.
///
/// What one side alone has changed counts. What both have changed in the same way is the same. What one side has removed and
/// the other has changed stays. Of a file that both have changed, theirs keeps the name, and ours is kept beside it as
/// `NAME.conflict-LABEL`; so is whatever was put into a directory that is none on the other side. Mode, owner and time are
/// merged one by one; where both have changed them, ours count. Names that are one file on either side are one file, unless
/// the other side has parted them. Merging the result with ours again gives the result.
pub fn merge(base: &Manifest, ours: &Manifest, theirs: &Manifest, label: &str) -> Merged {
    let linked = Linked::new(base, ours, theirs);
    let (base, ours, theirs) = (&*linked.base, &*linked.ours, &*linked.theirs);
    let mut merge = Merge { ours, theirs, label, merged: Merged::default(), beside: Vec::new() };
    let mut paths: Vec<&[u8]> =
        base.iter().chain(ours.iter()).chain(theirs.iter()).map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut late = Vec::new();
    for path in paths {
        match decide(base.get(path), ours.get(path), theirs.get(path)) {
            Decision::Gone => {}
            Decision::Is(node) => merge.place(path, node),
            Decision::Both { theirs, ours } => {
                merge.place(path, theirs);
                late.push((path, ours));
            }
        }
    }
    // After all others, so that no name is taken from anybody.
    for (path, node) in late {
        merge.keep_beside(path, node);
    }
    for (path, node) in std::mem::take(&mut merge.beside) {
        merge.put_beside(&path, node);
    }
    merge.merged.manifest.tidy();
    merge.merged
}

enum Decision {
    Gone,
    Is(Node),
    Both { theirs: Node, ours: Node },
}

fn decide(base: Option<&Node>, ours: Option<&Node>, theirs: Option<&Node>) -> Decision {
    match (ours, theirs) {
        (None, None) => Decision::Gone,
        (ours, theirs) if ours == base => theirs.map_or(Decision::Gone, |node| Decision::Is(node.clone())),
        (ours, theirs) if theirs == base => ours.map_or(Decision::Gone, |node| Decision::Is(node.clone())),
        (Some(node), None) | (None, Some(node)) => {
            // A directory whose time alone has changed says nothing: what was removed is gone, unless something is in it.
            let only_time = node.content.is_directory() && base.is_some_and(|base| base.same(node));
            if only_time { Decision::Gone } else { Decision::Is(node.clone()) }
        }
        (Some(ours), Some(theirs)) => both(base, ours, theirs),
    }
}

fn both(base: Option<&Node>, ours: &Node, theirs: &Node) -> Decision {
    let is_ours = |node: &Node| base.is_some_and(|base| base.content.same(&node.content));
    let content = if ours.content.same(&theirs.content) {
        // Whoever has changed it has the links that count.
        let changed = base.is_none_or(|base| base.content != ours.content);
        if changed { &ours.content } else { &theirs.content }
    } else if is_ours(ours) {
        &theirs.content
    } else if is_ours(theirs) {
        &ours.content
    } else {
        return Decision::Both { theirs: theirs.clone(), ours: ours.clone() };
    };
    let pick = |of: fn(&Node) -> u32| {
        if base.is_some_and(|base| of(base) == of(ours)) { of(theirs) } else { of(ours) }
    };
    let modified = match (content.same(&ours.content), content.same(&theirs.content)) {
        (true, false) => ours.modified,
        (false, true) => theirs.modified,
        _ => match base {
            Some(base) if base.modified == ours.modified => theirs.modified,
            Some(base) if base.modified == theirs.modified => ours.modified,
            _ => ours.modified.max(theirs.modified),
        },
    };
    let node = Node {
        mode: pick(|node| node.mode),
        uid: pick(|node| node.uid),
        gid: pick(|node| node.gid),
        modified,
        content: content.clone(),
    };
    Decision::Is(node)
}

struct Merge<'a> {
    ours: &'a Manifest,
    theirs: &'a Manifest,
    label: &'a str,
    merged: Merged,
    /// What has no directory to be in.
    beside: Vec<(Vec<u8>, Node)>,
}

impl Merge<'_> {
    /// Puts something in its place, where that is in a directory.
    fn place(&mut self, path: &[u8], node: Node) {
        if self.has_directory(path) {
            self.merged.manifest.insert(path.to_vec(), node);
        } else {
            self.beside.push((path.to_vec(), node));
        }
    }

    /// Makes the directories above a path, as either side has them. False if something else stands there.
    fn has_directory(&mut self, path: &[u8]) -> bool {
        let Some(parent) = path::parent(path) else { return true };
        match self.merged.manifest.get(parent) {
            Some(node) => node.content.is_directory(),
            None => {
                if !self.has_directory(parent) {
                    return false;
                }
                let mut known = [self.ours, self.theirs].into_iter().filter_map(|side| side.get(parent));
                let directory = known.find(|node| node.content.is_directory()).cloned();
                // Removed on this side, and something was put into it on the other.
                self.merged.manifest.insert(parent.to_vec(), directory.unwrap_or_else(Node::directory));
                true
            }
        }
    }

    /// Keeps our version of what both have changed.
    fn keep_beside(&mut self, path: &[u8], node: Node) {
        // What is in a directory is placed by itself.
        if node.content.is_directory() {
            return;
        }
        self.put_beside(path, node);
    }

    /// Puts something where nothing is in the way: the first part of its path that is no directory gets another name.
    fn put_beside(&mut self, path: &[u8], node: Node) {
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut at = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            let plain = path::join(&at, part);
            let fits = |there: Option<&Node>| match there {
                None => true,
                Some(there) if is_last => there.same(&node),
                Some(there) => there.content.is_directory(),
            };
            at = if fits(self.merged.manifest.get(&plain)) {
                plain
            } else {
                let mut names = (1..limits::NAMES).map(|number| self.beside_name(&plain, number));
                match names.find(|name| fits(self.merged.manifest.get(name))) {
                    Some(name) => name,
                    None => return,
                }
            };
            if !is_last && self.merged.manifest.get(&at).is_none() {
                let original = parts[..=number].join(&b'/');
                let mut known = [self.ours, self.theirs].into_iter().filter_map(|side| side.get(&original));
                let directory = known.find(|node| node.content.is_directory()).cloned();
                self.merged.manifest.insert(at.clone(), directory.unwrap_or_else(Node::directory));
            }
        }
        let mut node = node;
        // Alone under its new name.
        node.set_group(None);
        if at != path {
            self.merged.conflicts.push(Conflict { path: path.to_vec(), kept: at.clone() });
        }
        self.merged.manifest.insert(at, node);
    }

    /// `NAME.conflict-LABEL`, and with a number when that is taken.
    fn beside_name(&self, path: &[u8], number: u32) -> Vec<u8> {
        let suffix = match number {
            1 => format!(".conflict-{}", self.label),
            number => format!(".conflict-{}-{number}", self.label),
        };
        // File systems take names of up to 255 bytes.
        let (directory, name) = (path::parent(path).unwrap_or_default(), path::name(path));
        let room = limits::NAME.saturating_sub(suffix.len()).min(name.len());
        path::join(directory, &[&name[..room], suffix.as_bytes()].concat())
    }
}
