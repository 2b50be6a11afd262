//! What an agent knows of a directory: how it looked when it was last brought in or back, and what of the volume it has.

use std::sync::Arc;

use sockerless_tree::{Content, File, Manifest, Scanned};

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
        for (path, node) in read.iter_mut() {
            let (Some(seen), Some(truth)) = (self.seen.manifest.get(path), self.truth.get(path)) else {
                continue;
            };
            let same = |one: u32, other: u32, truth: u32| if one == other { truth } else { one };
            node.mode = same(node.mode, seen.mode, truth.mode);
            node.uid = same(node.uid, seen.uid, truth.uid);
            node.gid = same(node.gid, seen.gid, truth.gid);
            if node.modified == seen.modified {
                node.modified = truth.modified;
            }
            // Nothing else than its hard links can differ.
            if node.content == seen.content {
                node.content = truth.content.clone();
            }
        }
        read
    }
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
