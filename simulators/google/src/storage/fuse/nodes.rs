//! Inodes: what the kernel knows of the files by their numbers, and what of them is not yet in the bucket.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File,
    Link,
}

/// Content that is written here and not in the bucket yet.
#[derive(Debug)]
pub struct Dirty {
    /// Where it is staged.
    pub path: PathBuf,
    pub file: File,
    /// The generation that it came from; 0: it is new.
    pub source: i64,
    pub mtime: SystemTime,
}

/// An inode.
#[derive(Debug)]
pub struct Node {
    /// Relative to the mount, without slashes at its ends; empty for the root.
    pub name: String,
    pub kind: Kind,
    /// A folder's times: it has no others.
    pub made: SystemTime,
    /// How often the kernel has looked it up and not forgotten it.
    pub lookups: u64,
    /// Open handles.
    pub handles: u64,
    pub dirty: Option<Dirty>,
    /// The generation that this mount wrote last, which its open handles follow.
    pub own: i64,
    /// It has no name any more.
    pub gone: bool,
}

/// The root's number.
pub const ROOT: u64 = 1;

/// All inodes of a mount.
#[derive(Debug)]
pub struct Nodes {
    all: HashMap<u64, Node>,
    by_name: HashMap<String, u64>,
    next: u64,
}

impl Nodes {
    /// The root alone.
    pub fn new() -> Self {
        let mut nodes = Self { all: HashMap::new(), by_name: HashMap::new(), next: ROOT };
        nodes.find(String::new(), Kind::Folder);
        nodes
    }

    /// An inode by number.
    pub fn get(&self, ino: u64) -> Option<&Node> {
        self.all.get(&ino)
    }

    /// An inode by number, to change.
    pub fn get_mut(&mut self, ino: u64) -> Option<&mut Node> {
        self.all.get_mut(&ino)
    }

    /// The number of a name that has one.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// The number of a name, a new one if it had none or was something else.
    pub fn find(&mut self, name: String, kind: Kind) -> u64 {
        if let Some(ino) = self.number(&name) {
            if self.all.get(&ino).is_some_and(|node| node.kind == kind) {
                return ino;
            }
            self.unname(ino);
        }
        let ino = self.next;
        self.next += 1;
        let made = SystemTime::now();
        let node =
            Node { name: name.clone(), kind, made, lookups: 0, handles: 0, dirty: None, own: 0, gone: false };
        self.all.insert(ino, node);
        self.by_name.insert(name, ino);
        ino
    }

    /// The inode has lost its name; who has it open keeps it.
    pub fn unname(&mut self, ino: u64) {
        if let Some(node) = self.all.get_mut(&ino) {
            node.gone = true;
            if self.by_name.get(&node.name) == Some(&ino) {
                self.by_name.remove(&node.name);
            }
        }
    }

    /// The inode has another name now.
    pub fn rename(&mut self, ino: u64, to: &str) {
        if let Some(other) = self.number(to).filter(|other| *other != ino) {
            self.unname(other);
        }
        let Some(node) = self.all.get_mut(&ino) else { return };
        if self.by_name.get(&node.name) == Some(&ino) {
            self.by_name.remove(&node.name);
        }
        to.clone_into(&mut node.name);
        self.by_name.insert(to.to_owned(), ino);
    }

    /// Those whose name lies below a folder's (with a slash at its end).
    pub fn below(&self, folder: &str) -> Vec<u64> {
        let inside = |node: &Node| !node.gone && node.name.starts_with(folder) && !node.name.is_empty();
        self.all.iter().filter(|(_, node)| inside(node)).map(|(ino, _)| *ino).collect()
    }

    /// All that is staged, of inodes with a name and without.
    pub fn take_dirty(&mut self) -> Vec<Dirty> {
        self.all.values_mut().filter_map(|node| node.dirty.take()).collect()
    }

    /// The kernel has forgotten it so many times.
    pub fn forget(&mut self, ino: u64, count: u64) {
        let Some(node) = self.all.get_mut(&ino) else { return };
        node.lookups = node.lookups.saturating_sub(count);
        self.drop_unused(ino);
    }

    /// Removes it if nobody knows it any more.
    pub fn drop_unused(&mut self, ino: u64) {
        let unused = |node: &Node| node.lookups == 0 && node.handles == 0 && node.dirty.is_none();
        if ino != ROOT && self.all.get(&ino).is_some_and(unused) {
            self.unname(ino);
            self.all.remove(&ino);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_with_a_name_until_it_is_forgotten() {
        let mut nodes = Nodes::new();
        let ino = nodes.find("a".into(), Kind::File);
        nodes.get_mut(ino).unwrap().lookups = 2;
        assert_eq!(nodes.find("a".into(), Kind::File), ino);
        nodes.forget(ino, 1);
        assert_eq!(nodes.number("a"), Some(ino));
        nodes.forget(ino, 1);
        assert!(nodes.get(ino).is_none() && nodes.number("a").is_none());
        assert_ne!(nodes.find("a".into(), Kind::File), ino);
    }

    #[test]
    fn a_renamed_inode_takes_the_place_of_another() {
        let mut nodes = Nodes::new();
        let (one, two) = (nodes.find("one".into(), Kind::File), nodes.find("two".into(), Kind::File));
        nodes.rename(one, "two");
        assert_eq!((nodes.number("one"), nodes.number("two")), (None, Some(one)));
        assert!(nodes.get(two).unwrap().gone);
        nodes.unname(two);
        assert_eq!(nodes.number("two"), Some(one), "the old holder's end does not take the name away");
    }

    #[test]
    fn a_name_that_became_a_folder_is_another_inode() {
        let mut nodes = Nodes::new();
        let file = nodes.find("a".into(), Kind::File);
        let folder = nodes.find("a".into(), Kind::Folder);
        assert_ne!(file, folder);
        assert!(nodes.get(file).unwrap().gone);
    }
}
