//! What an agent knows of a directory: how it looked when it was last brought in or back, and what of the volume it has.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sockerless_tree::{Content, File, Manifest, Node, Scanned};

use super::version::{Id, Version};

/// See the module.
#[derive(Default)]
pub struct Known {
    /// None before the directory was brought in.
    pub base: Option<Base>,
    /// Takes the place of the base as soon as that version is the volume's, or is among those before it.
    pub pending: Option<(Id, Base)>,
    /// The version that was read last.
    pub version: Option<(Id, Arc<Version>)>,
}

/// See the module.
pub struct Base {
    /// What the disk showed.
    pub seen: Scanned,
    /// What that stands for: a file that could not be given to its owner is still that owner's.
    pub truth: Arc<Manifest>,
    /// What directory and volume come from.
    pub ancestor: Arc<Manifest>,
}

impl Base {
    /// What a scan stands for.
    pub fn read(&self, scanned: &Manifest) -> Manifest {
        let mut read = scanned.clone();
        let linked = self.linked(scanned);
        for (path, node) in read.iter_mut() {
            let file = group(node).and_then(|group| linked.get(group)).copied();
            let known = self.known(path);
            let same = known.filter(|(seen, _)| seen.content.same(&node.content));
            // A new name of a known file is whose that is.
            let Some((seen, truth)) = same.or(file).or(known) else { continue };
            let same = |one: u32, other: u32, truth: u32| if one == other { truth } else { one };
            node.mode = same(node.mode, seen.mode, truth.mode);
            node.uid = same(node.uid, seen.uid, truth.uid);
            node.gid = same(node.gid, seen.gid, truth.gid);
            if node.modified == seen.modified {
                node.modified = truth.modified;
            }
            if node.content == seen.content {
                // Nothing else than its hard links can differ.
                node.content = truth.content.clone();
            } else if let (Content::File(content), Some((_, truth))) = (&mut node.content, file) {
                // It has got other links: what is not on this disk is linked to it still.
                let word = group(truth).map(<[u8]>::to_vec);
                content.group = word.or(content.group.take());
            }
        }
        read
    }

    /// What the disk showed, and what that stands for.
    fn known(&self, path: &[u8]) -> Option<(&Node, &Node)> {
        self.seen.manifest.get(path).zip(self.truth.get(path))
    }

    /// As what files with several names were known, by the word that they have in a scan: each under one word alone.
    fn linked<'a>(&'a self, scanned: &'a Manifest) -> HashMap<&'a [u8], (&'a Node, &'a Node)> {
        let (mut linked, mut taken) = (HashMap::new(), HashSet::new());
        for (path, node) in scanned.iter() {
            if let (Some(word), Some((seen, truth))) = (group(node), self.known(path))
                && seen.content.same(&node.content)
                && !linked.contains_key(word)
                && group(truth).is_none_or(|word| taken.insert(word))
            {
                linked.insert(word, (seen, truth));
            }
        }
        linked
    }
}

/// The word that the names of one file share.
fn group(node: &Node) -> Option<&[u8]> {
    node.file()?.group.as_deref()
}

impl Known {
    /// The daemon says which version counts.
    pub fn settle(&mut self, head: Option<Id>, version: &Version) {
        if let Some((id, base)) = self.pending.take()
            && (head == Some(id) || version.history.contains(&id))
        {
            self.base = Some(base);
        }
    }
}

/// Whether a file's bytes are all in a version.
pub fn has_all(version: &Version, content: &Content) -> bool {
    match content {
        Content::File(File { chunks, .. }) => chunks.iter().all(|digest| version.index.contains_key(digest)),
        _ => true,
    }
}
