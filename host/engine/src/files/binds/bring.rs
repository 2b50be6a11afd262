//! What the container changed takes its place on the user's side.

use std::io::{self, Read};

use sockerless_ports::link::listing::Listed;

use super::{
    disk::{Disk, Dress},
    merge::{Base, Plan, Tree},
};
use crate::{
    Error, ErrorKind, Result,
    files::{
        member::{Kind, Meta, What},
        read::{self, Stream},
    },
};

/// What is brought, and what both sides were.
pub(super) struct Bringing {
    pub plan: Plan,
    pub base: Base,
    pub user: Tree,
    pub container: Tree,
    /// Where it was put.
    pub placed: Vec<Vec<u8>>,
}

impl Bringing {
    /// Deletes what the plan says.
    pub fn delete(&self, disk: &mut Disk) -> Result<()> {
        for path in &self.plan.delete {
            disk.delete(path).map_err(|error| shown(disk, path, &error))?;
        }
        Ok(())
    }

    /// Takes an archive's members to their places. What nobody asked for is left out.
    pub fn take(&mut self, disk: &mut Disk, input: impl Read, is_file: bool) -> Result<()> {
        let mut archive = read::Archive::new(Stream(input));
        let broken = |error: io::Error| {
            Error::new(ErrorKind::Internal, format!("what the container changed could not be read: {error}"))
        };
        let path_of = |name: &[u8]| match is_file {
            true => Vec::new(),
            false => name.strip_suffix(b"/").unwrap_or(name).to_vec(),
        };
        while let Some(member) = archive.next().map_err(broken)? {
            let path = path_of(&member.name);
            let Some(to) = self.plan.bring.get(&path).cloned() else { continue };
            // A mounted file stays one: a link in its place would lead the next step anywhere.
            if is_file && !matches!(&member.what, What::Thing(meta) if meta.kind == Kind::File) {
                continue;
            }
            let placed = match member.what {
                What::Thing(meta) => {
                    let dress = self.dress(&path, &to, &meta);
                    disk.place(&to, &meta, dress, &mut archive)
                }
                What::Hard(target) => match self.plan.bring.get(&path_of(&target)) {
                    Some(target) => disk.link(&to, target).map(|()| true),
                    None => Ok(false),
                },
                What::Other => Ok(false),
            };
            if placed.map_err(|error| shown(disk, &to, &error))? {
                self.placed.push(to);
            }
        }
        archive.drain().map_err(broken)
    }

    /// What the container left as it was stays what the user has: it may be what could not be kept on the way there.
    fn dress(&self, path: &[u8], to: &[u8], meta: &Meta) -> Dress {
        let (before, now) = (self.base.container.get(path), self.container.get(path));
        let theirs = self.user.get(to);
        let kept = |same: fn(&Listed, &Listed) -> bool| {
            let is_kept = before.zip(now).is_some_and(|(before, now)| same(before, now));
            theirs.filter(|_| is_kept)
        };
        let number = |id: u64| u32::try_from(id).unwrap_or_default();
        let permissions = kept(|before, now| before.permissions() == now.permissions());
        let owner = kept(|before, now| (before.uid, before.gid) == (now.uid, now.gid));
        let is_known = meta.kind == Kind::Directory && theirs.is_some();
        Dress {
            permissions: permissions.map_or(meta.mode & 0o7777, Listed::permissions),
            owner: Some(
                owner.map_or((number(meta.uid), number(meta.gid)), |theirs| (theirs.uid, theirs.gid)),
            ),
            modified: (!is_known).then_some(meta.modified),
        }
    }

    /// What is there now of what was placed.
    pub fn look(&self, disk: &mut Disk) -> Result<Tree> {
        let mut tree = Tree::new();
        for path in &self.placed {
            if let Some(listed) = disk.look(path).map_err(|error| shown(disk, path, &error))? {
                tree.insert(path.clone(), listed);
            }
        }
        Ok(tree)
    }
}

fn shown(disk: &Disk, path: &[u8], error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("{}: {error}", disk.show(path)))
}
