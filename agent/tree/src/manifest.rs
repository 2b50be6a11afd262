//! What a directory holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    Digest,
    links::{Files, claim},
    path,
};

/// Everything below a directory, and the directory itself under the empty path. Sorted by path, so that a directory comes
/// before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    nodes: BTreeMap<Vec<u8>, Node>,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permissions, with set-user-id, set-group-id and the sticky bit: 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When its content was changed, nanoseconds since 1970.
    pub modified: i64,
    /// What it is.
    pub content: Content,
}

/// What a name stands for. Devices and sockets are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file.
    File(File),
    /// A symbolic link, and where it leads.
    Link(Vec<u8>),
    /// A named pipe.
    Pipe,
}

/// A file's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// The digests of its chunks, [`crate::limits::CHUNK`] bytes each but for the last one.
    pub chunks: Vec<Digest>,
    /// Names with the same word here are hard links to one file: the first of their paths.
    pub group: Option<Vec<u8>>,
}

impl File {
    /// Bytes of the chunk with this number.
    pub fn chunk_size(&self, number: usize) -> usize {
        let before = (number as u64).saturating_mul(crate::limits::CHUNK as u64);
        usize::try_from(self.size.saturating_sub(before)).unwrap_or(usize::MAX).min(crate::limits::CHUNK)
    }
}

impl Content {
    /// Whether it is the same but for hard links.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one.size == other.size && one.chunks == other.chunks,
            (one, other) => one == other,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }
}

impl Node {
    /// A directory that nobody has said anything of.
    pub fn directory() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, modified: 0, content: Content::Directory }
    }

    /// The same for whoever reads it: whatever its time and its hard links.
    pub fn same(&self, other: &Self) -> bool {
        self.content.same(&other.content)
            && (self.uid, self.gid) == (other.uid, other.gid)
            // A symbolic link's mode is never asked for.
            && (self.mode == other.mode || matches!(self.content, Content::Link(_)))
    }

    /// The file that it is.
    pub fn file(&self) -> Option<&File> {
        match &self.content {
            Content::File(file) => Some(file),
            _ => None,
        }
    }

    /// The word that it shares with the other names of its file, if there are any.
    pub(crate) fn group(&self) -> Option<&[u8]> {
        self.file()?.group.as_deref()
    }

    /// Gives a file another word; nothing else has one.
    pub(crate) fn set_group(&mut self, word: Option<Vec<u8>>) {
        if let Content::File(file) = &mut self.content {
            file.group = word;
        }
    }
}

impl Manifest {
    /// Of nothing at all: not even the directory is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a path is.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The same with the path as it is kept.
    pub(crate) fn entry(&self, path: &[u8]) -> Option<(&[u8], &Node)> {
        self.nodes.get_key_value(path).map(|(path, node)| (path.as_slice(), node))
    }

    /// Adds or replaces one name. Those above it have to be there, too, for the manifest to be whole.
    pub fn insert(&mut self, path: Vec<u8>, node: Node) -> Option<Node> {
        self.nodes.insert(path, node)
    }

    /// Takes one name away, and nothing below it.
    pub fn remove(&mut self, path: &[u8]) -> Option<Node> {
        self.nodes.remove(path)
    }

    /// All, in the order of their paths.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), node))
    }

    /// All, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut Node)> {
        self.nodes.iter_mut().map(|(path, node)| (path.as_slice(), node))
    }

    /// How many names there are, the top among them.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing is in the directory.
    pub fn is_empty(&self) -> bool {
        self.nodes.keys().all(Vec::is_empty)
    }

    /// What is strictly below a path.
    pub fn below(&self, directory: &[u8]) -> impl Iterator<Item = (&[u8], &Node)> {
        let start = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
        let directory = directory.to_vec();
        self.nodes
            .range(start..)
            .map(|(path, node)| (path.as_slice(), node))
            .skip_while(|(path, _)| path.is_empty())
            .take_while(move |(path, _)| path::is_below(path, &directory))
    }

    /// Files, and the sum of their bytes; hard links count once.
    pub fn weight(&self) -> (u64, u64) {
        let first = |path: &[u8], file: &File| file.group.as_deref().is_none_or(|group| group == path);
        let files = self.iter().filter_map(|(path, node)| Some((path, node.file()?)));
        files
            .filter(|(path, file)| first(path, file))
            .fold((0, 0), |(count, bytes), (_, file)| (count + 1, bytes + file.size))
    }

    /// A directory of it as a manifest of its own. None if there is no such directory.
    pub fn subtree(&self, directory: &[u8]) -> Option<Self> {
        let top = self.get(directory).filter(|node| node.content.is_directory())?;
        if directory.is_empty() {
            return Some(self.clone());
        }
        let cut = directory.len() + 1;
        let mut part = Self { nodes: BTreeMap::from([(Vec::new(), top.clone())]) };
        part.nodes.extend(self.below(directory).map(|(path, node)| (path[cut..].to_vec(), node.clone())));
        part.regroup(|group| {
            group.get(cut..).filter(|_| path::is_below(group, directory)).map(<[u8]>::to_vec)
        });
        Some(part)
    }

    /// Replaces a directory of it by another one's content. Directories that are missing above it are made; files that have
    /// names outside, too, keep those.
    pub fn graft(&mut self, directory: &[u8], part: &Self) {
        if directory.is_empty() {
            *self = part.clone();
            return;
        }
        let words = self.words_outside(directory, part);
        let old: Vec<Vec<u8>> = self.below(directory).map(|(path, _)| path.to_vec()).collect();
        for path in &old {
            self.nodes.remove(path);
        }
        let mut above = path::parent(directory);
        while let Some(path) = above {
            self.nodes.entry(path.to_vec()).or_insert_with(Node::directory);
            above = path::parent(path);
        }
        for (path, node) in part.iter() {
            let mut node = node.clone();
            let first = node.group().unwrap_or(path);
            let word = words.get(first).cloned().or_else(|| Some(path::join(directory, node.group()?)));
            node.set_group(word);
            let at = if path.is_empty() { directory.to_vec() } else { path::join(directory, path) };
            self.nodes.insert(at, node);
        }
        self.tidy();
    }

    /// The words that files of a directory share with names outside of it, by the first name of each in what takes the
    /// directory's place: as far as they are still the same there.
    fn words_outside(&self, directory: &[u8], part: &Self) -> HashMap<Vec<u8>, Vec<u8>> {
        let is_outside = |path: &&[u8]| !path::is_below(path, directory);
        let outside: HashSet<&[u8]> =
            self.iter().filter(|(path, _)| is_outside(path)).filter_map(|(_, node)| node.group()).collect();
        let mut files = Files::new();
        for (path, node) in part.iter().filter(|_| !outside.is_empty()) {
            files.entry(node.group().unwrap_or(path)).or_default().push(path);
        }
        let known = |path: &[u8]| {
            let before = self.get(&path::join(directory, path))?;
            let same = part.get(path).is_some_and(|node| node.same(before));
            before.group().filter(|word| same && outside.contains(word))
        };
        let words = claim(&files, known);
        words.into_iter().map(|(first, word)| (first.to_vec(), word.to_vec())).collect()
    }

    fn regroup(&mut self, name: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for node in self.nodes.values_mut() {
            if let Content::File(file) = &mut node.content
                && let Some(group) = &file.group
            {
                // What is outside has a name that no path has, until tidied.
                file.group = Some(name(group).unwrap_or_else(|| [b"/", group.as_slice()].concat()));
            }
        }
        self.tidy();
    }

    /// Names hard links anew: those of one group that are the same file are called by the first of their paths, whoever is
    /// alone has no group.
    pub fn tidy(&mut self) {
        type Key = (Vec<u8>, Vec<Digest>, u64, u32, u32, u32);
        let key = |node: &Node| -> Option<Key> {
            let file = node.file()?;
            let group = file.group.clone()?;
            Some((group, file.chunks.clone(), file.size, node.mode, node.uid, node.gid))
        };
        let mut groups = HashMap::<Key, Vec<Vec<u8>>>::new();
        for (path, node) in &self.nodes {
            if let Some(key) = key(node) {
                groups.entry(key).or_default().push(path.clone());
            }
        }
        for paths in groups.into_values() {
            let first = paths.first().filter(|_| paths.len() > 1).cloned();
            let modified =
                paths.iter().filter_map(|path| self.nodes.get(path)).map(|node| node.modified).max();
            for path in &paths {
                let Some(node) = self.nodes.get_mut(path) else { continue };
                if let (Some(modified), Some(_)) = (modified, &first) {
                    node.modified = modified;
                }
                if let Content::File(file) = &mut node.content {
                    file.group.clone_from(&first);
                }
            }
        }
    }
}

impl FromIterator<(Vec<u8>, Node)> for Manifest {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Node)>>(nodes: I) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}
