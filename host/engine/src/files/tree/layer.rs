//! A layer over what is below it (OCI image specification 1.1, "Image Layer Filesystem Changeset").

use std::sync::Arc;

use super::{Content, Node, Tree};
use crate::files::{
    member::{Kind, Member, What},
    path::{self, Name},
};

/// A member with this before its name takes away what the name stands for.
pub(in crate::files) const WHITEOUT: &[u8] = b".wh.";
/// A directory with this in it hides all that the layers below have in it.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names of AUFS's own, which mean nothing here.
const AUFS: &[u8] = b".wh..wh.";

impl Tree {
    /// Lays the archive with this number over the tree. A member that leads out of the root stays at it; a hard link to
    /// nothing is left out.
    pub fn lay(&mut self, source: u32, members: &[Member]) {
        // Whatever the order, what a layer takes away is of the layers below.
        let below = self.clone();
        for (ordinal, member) in members.iter().enumerate() {
            let Some(place) = self.place(&member.name) else { continue };
            match place.split_last() {
                Some((last, parents)) if last.starts_with(WHITEOUT) => {
                    if **last == *OPAQUE {
                        self.hide(&below, parents);
                    } else if !last.starts_with(AUFS) {
                        let gone = [parents, &[last[WHITEOUT.len()..].into()]].concat();
                        self.remove(&gone);
                    }
                }
                _ => {
                    let node = match &member.what {
                        What::Thing(meta) => {
                            let content =
                                u32::try_from(ordinal).ok().map(|ordinal| Content { source, ordinal });
                            let content = content.filter(|_| meta.kind == Kind::File);
                            Node { content, ..Node::new(meta.clone()) }
                        }
                        What::Hard(target) => {
                            let target = self.place(target).and_then(|target| {
                                self.get(target.iter().map(AsRef::as_ref)).filter(|node| !node.is_directory())
                            });
                            let Some(target) = target else { continue };
                            Node::clone(target)
                        }
                        What::Other => continue,
                    };
                    self.put(&place, node);
                }
            }
        }
    }

    /// Where a member goes: links before its last part are followed. None for one whose way leads in circles.
    fn place(&self, name: &[u8]) -> Option<Vec<Name>> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path::parts(name) {
            match part {
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let Some((last, parents)) = parts.split_last() else { return Some(Vec::new()) };
        let mut place = match self.follow(&path::join(parents.iter().copied())) {
            Ok(place) => place,
            // A file below stands where the layer has a directory: it is replaced.
            Err(super::Missing::NotDirectory) => parents.iter().map(|part| (*part).into()).collect(),
            Err(super::Missing::Loop | super::Missing::NotFound) => return None,
        };
        place.push((*last).into());
        Some(place)
    }

    fn hide(&mut self, below: &Self, directory: &[Name]) {
        let names = || directory.iter().map(AsRef::as_ref);
        let Some(old) = below.get(names()) else { return };
        let now = self.directory(names());
        for (name, old) in &old.children {
            let Some(kept) = now.children.remove(name) else { continue };
            if let Some(kept) = without(&kept, old) {
                now.children.insert(name.clone(), kept);
            }
        }
    }
}

/// What a layer has put below a place since then; none if nothing.
fn without(now: &Arc<Node>, old: &Arc<Node>) -> Option<Arc<Node>> {
    if Arc::ptr_eq(now, old) {
        return None;
    }
    let own = !Arc::ptr_eq(&now.meta, &old.meta);
    let mut kept = Node { children: std::collections::BTreeMap::new(), ..Node::clone(now) };
    for (name, child) in &now.children {
        let child = match old.children.get(name) {
            Some(old) => without(child, old),
            None => Some(Arc::clone(child)),
        };
        kept.children.extend(child.map(|child| (name.clone(), child)));
    }
    (own || !kept.children.is_empty()).then(|| Arc::new(kept))
}
