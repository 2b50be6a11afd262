//! What turns one state into another.

use std::collections::HashMap;

use crate::{Content, Manifest, Node};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Takes a name away; what was in it was taken away before.
    Remove {
        /// Where.
        path: Vec<u8>,
        /// It is a directory.
        directory: bool,
    },
    /// Makes a name, or makes it what it shall be.
    Put {
        /// Where.
        path: Vec<u8>,
        /// What it shall be.
        node: Node,
        /// What is there now is of the same content: mode, owner and time have to be set, no bytes are needed.
        content_stays: bool,
        /// Another name of the same file, which stays as it is: this one becomes a hard link to it.
        link: Option<Vec<u8>>,
    },
}

impl Change {
    /// Where.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Remove { path, .. } | Self::Put { path, .. } => path,
        }
    }
}

/// The steps from one state to another, in an order that can be carried out: first what goes, the deepest first; then what
/// comes, directories before what is in them. The top itself is never removed.
pub fn difference(from: &Manifest, to: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    for (path, node) in from.iter().rev() {
        let directory = node.content.is_directory();
        // A directory cannot be replaced by something else, nor the reverse.
        let goes = to.get(path).is_none_or(|other| other.content.is_directory() != directory);
        if goes && !path.is_empty() {
            changes.push(Change::Remove { path: path.to_vec(), directory });
        }
    }
    let mut staying = HashMap::new();
    for (path, node) in to.iter().filter(|(path, node)| from.get(path) == Some(node)) {
        staying.extend(node.group().map(|group| (group, path)));
    }
    for (path, node) in to.iter() {
        let before = from.get(path);
        if before == Some(node) {
            continue;
        }
        // A file that gets other hard links is made anew: its old name may share its bytes with others.
        let stays = before.is_some_and(|before| match (&before.content, &node.content) {
            (Content::File(one), Content::File(other)) => one == other,
            (one, other) => one == other,
        });
        let link = node.group().and_then(|group| staying.get(group)).map(|path| path.to_vec());
        changes.push(Change::Put { path: path.to_vec(), node: node.clone(), content_stays: stays, link });
    }
    changes
}
