//! What a client's path means: as dockerd resolves it, within the container's root.

use std::sync::Arc;

use super::{Node, Tree};
use crate::files::{
    member::Kind,
    path::{self, Name},
};

/// As many links as dockerd follows on one path.
const LINKS: usize = 255;

/// What a path leads to.
#[derive(Debug, Clone)]
pub(in crate::files) struct Found {
    /// Where it really is.
    pub place: Vec<Name>,
    pub node: Arc<Node>,
}

/// Why a path leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::files) enum Missing {
    /// A part of it is not there.
    #[error("no such file or directory")]
    NotFound,
    /// A part of it that is no directory has something behind it.
    #[error("not a directory")]
    NotDirectory,
    /// Its links lead to each other.
    #[error("too many levels of symbolic links")]
    Loop,
}

impl Tree {
    /// Follows all links on a path, that of its last part, too, and never out of the root. What does not exist is taken as
    /// it is.
    pub fn follow(&self, path: &[u8]) -> Result<Vec<Name>, Missing> {
        self.trace(Vec::new(), path).map(|(leads, _)| leads)
    }

    /// The same from a place on, with the links on the way.
    pub fn trace(&self, mut done: Vec<Name>, path: &[u8]) -> Result<(Vec<Name>, Vec<Vec<Name>>), Missing> {
        let mut left: Vec<Name> = path::parts(path).rev().map(Into::into).collect();
        let mut links = Vec::new();
        while let Some(part) = left.pop() {
            if &*part == b".." {
                done.pop();
                continue;
            }
            let above = self.get(done.iter().map(AsRef::as_ref));
            if above.is_some_and(|above| !above.is_directory()) {
                return Err(Missing::NotDirectory);
            }
            let child = above.and_then(|above| above.children.get(&part));
            match child.filter(|child| child.meta.kind == Kind::Symlink) {
                Some(link) => {
                    if links.len() == LINKS {
                        return Err(Missing::Loop);
                    }
                    links.push(done.iter().chain([&part]).cloned().collect());
                    let target = &link.meta.target;
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    left.extend(path::parts(target).rev().map(Name::from));
                }
                None => done.push(part),
            }
        }
        Ok((done, links))
    }

    /// What an absolute path leads to, as [`path::absolute`] writes it: links before its last part are followed, the last
    /// one's own is not, unless the path ends in `/` or `/.`.
    pub fn find(&self, absolute: &str) -> Result<Found, Missing> {
        let (directory, last) = absolute.rsplit_once('/').unwrap_or(("", absolute));
        let mut place = self.follow(directory.as_bytes())?;
        let directory = self.get(place.iter().map(AsRef::as_ref)).ok_or(Missing::NotFound)?;
        if !directory.is_directory() {
            return Err(Missing::NotDirectory);
        }
        let node = match last {
            "" | "." => directory,
            name => {
                place.push(name.as_bytes().into());
                directory.children.get(name.as_bytes()).ok_or(Missing::NotFound)?
            }
        };
        Ok(Found { node: Arc::clone(node), place })
    }

    /// The directory that a path leads to, all links followed.
    pub fn find_followed(&self, absolute: &str) -> Result<Found, Missing> {
        let place = self.follow(absolute.as_bytes())?;
        let node = self.get(place.iter().map(AsRef::as_ref)).ok_or(Missing::NotFound)?;
        Ok(Found { node: Arc::clone(node), place })
    }
}
