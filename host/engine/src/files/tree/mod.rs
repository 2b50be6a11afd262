//! A file system without its bytes, made of an image's layers and of what was copied into a container.
//!
//! A tree is cheap to copy: changing a copy makes new nodes on the way to the change alone.

mod compare;
mod layer;
mod resolve;
#[cfg(test)]
mod tests;
mod unpack;

use std::{collections::BTreeMap, sync::Arc};

pub(super) use compare::{Change, ChangeKind, Seen, differences, is_unchanged};
pub(super) use layer::WHITEOUT;
pub(super) use resolve::{Found, Missing};
pub(super) use unpack::Destination;

use super::{
    member::{Kind, Meta},
    path::Name,
};

/// A file system.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub root: Arc<Node>,
}

/// A thing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub meta: Arc<Meta>,
    /// A file's bytes.
    pub content: Option<Content>,
    /// Of a directory.
    pub children: BTreeMap<Name, Arc<Node>>,
}

/// Where a file's bytes are. Two names with the same content are hard links to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Content {
    /// Which archive, counted from the base layer on.
    pub source: u32,
    /// Which of its members.
    pub ordinal: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Arc::new(Node::new(Meta::directory())) }
    }
}

impl Node {
    pub fn new(meta: Meta) -> Self {
        Self { meta: Arc::new(meta), content: None, children: BTreeMap::new() }
    }

    pub fn is_directory(&self) -> bool {
        self.meta.kind == Kind::Directory
    }

    /// How many there are, with itself.
    pub fn count(&self) -> usize {
        1 + self.children.values().map(|child| child.count()).sum::<usize>()
    }
}

impl Tree {
    /// The thing at exactly these names: no link is followed.
    pub fn get<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>) -> Option<&Arc<Node>> {
        names.into_iter().try_fold(&self.root, |node, name| node.children.get(name))
    }

    /// The directory at exactly these names, to be changed. What is missing is made; what is no directory becomes one.
    fn directory<'a>(&mut self, names: impl IntoIterator<Item = &'a [u8]>) -> &mut Node {
        let mut node = Arc::make_mut(&mut self.root);
        for name in names {
            let child =
                node.children.entry(name.into()).or_insert_with(|| Arc::new(Node::new(Meta::directory())));
            if !child.is_directory() {
                *child = Arc::new(Node::new(Meta::directory()));
            }
            node = Arc::make_mut(child);
        }
        node
    }

    /// Puts something at a place. A directory keeps what is in it when it takes a directory's place.
    pub fn put(&mut self, names: &[Name], mut node: Node) {
        let Some((last, parents)) = names.split_last() else {
            if node.is_directory() {
                Arc::make_mut(&mut self.root).meta = node.meta;
            }
            return;
        };
        let parent = self.directory(parents.iter().map(AsRef::as_ref));
        if node.is_directory()
            && let Some(old) = parent.children.get(last).filter(|old| old.is_directory())
        {
            node.children = old.children.clone();
        }
        parent.children.insert(last.clone(), Arc::new(node));
    }

    /// Takes away what is in a directory.
    pub fn clear(&mut self, names: &[Name]) {
        let at = || names.iter().map(AsRef::as_ref);
        if self.get(at()).is_some_and(|node| node.is_directory()) {
            self.directory(at()).children.clear();
        }
    }

    /// Takes away what is at a place.
    fn remove(&mut self, names: &[Name]) {
        if let Some((last, parents)) = names.split_last()
            && self.get(names.iter().map(AsRef::as_ref)).is_some()
        {
            self.directory(parents.iter().map(AsRef::as_ref)).children.remove(last);
        }
    }
}
