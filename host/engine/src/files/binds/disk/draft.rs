//! Things under names of their own, until they take those that they are meant for: each at once, or not at all.
//!
//! Many are made before the first of them takes its place: a file system that has just let many files go may be slow to make
//! others (ext4 without a journal looks for numbers that were not in use a moment ago), and each that is replaced goes.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid, chownat, fchmod, fchown, fstatvfs, linkat,
        mknodat, openat, renameat, renameat_with, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};
use sockerless_ports::link::listing::{Listed, Time};

use super::{
    Disk,
    place::{Dress, given, is_as_seen, times},
};
use crate::files::{
    binds::beside::Beside,
    member::{Kind, Meta},
};

/// Something that has yet to take its place.
#[derive(Debug)]
pub(in crate::files::binds) struct Draft {
    /// The directory that it is in, and its name there.
    folder: Vec<u8>,
    name: Vec<u8>,
    /// Where it is meant to go.
    path: Vec<u8>,
}

impl Draft {
    /// Where it is meant to go.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

impl Disk {
    /// Makes something that is no directory. None for what is left out.
    pub fn draft(
        &mut self,
        path: &[u8],
        meta: &Meta,
        dress: Dress,
        content: &mut dyn Read,
    ) -> io::Result<Option<Draft>> {
        // As root the daemon could make devices that it must not.
        if matches!(meta.kind, Kind::Character | Kind::Block) {
            return Ok(None);
        }
        let owner = dress.owner.filter(|_| self.is_root);
        let (uid, gid) = (owner.map(|(uid, _)| Uid::from_raw(uid)), owner.map(|(_, gid)| Gid::from_raw(gid)));
        let permissions = Mode::from_raw_mode(dress.permissions);
        let mut not_given = 0;
        let made = self.make(path, |folder, name| {
            match meta.kind {
                Kind::Symlink => {
                    symlinkat(meta.target.as_slice(), folder, name)?;
                    not_given = given(chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
                }
                Kind::Fifo => {
                    mknodat(folder, name, FileType::Fifo, permissions, 0)?;
                    not_given = given(chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
                }
                _ => {
                    let flags =
                        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let mut file = File::from(openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
                    io::copy(content, &mut file)?;
                    // In this order: a new owner costs the setuid bit.
                    not_given = given(fchown(&file, uid, gid))?;
                    // Who runs it is not to get the rights of another.
                    let kept = if not_given > 0 { dress.permissions & 0o1777 } else { dress.permissions };
                    not_given |= given(fchmod(&file, Mode::from_raw_mode(kept)))?;
                }
            }
            date(folder, name, dress.modified)
        })?;
        self.not_given += not_given;
        Ok(Some(made))
    }

    /// Makes another name of what was placed before.
    pub fn link(&mut self, path: &[u8], placed: &[u8]) -> io::Result<Draft> {
        let (folder, name) = self.split(placed);
        self.link_to(path, &folder, &name)
    }

    /// Makes another name of what has yet to take its place.
    pub fn link_draft(&mut self, path: &[u8], draft: &Draft) -> io::Result<Draft> {
        self.link_to(path, &draft.folder, &draft.name)
    }

    fn link_to(&mut self, path: &[u8], folder: &[u8], name: &[u8]) -> io::Result<Draft> {
        let from = self.folder(folder, false)?.try_clone()?;
        self.make(path, |folder, new| Ok(linkat(&from, name, folder, new, AtFlags::empty())?))
    }

    fn make(
        &mut self,
        path: &[u8],
        make: impl FnOnce(&OwnedFd, &[u8]) -> io::Result<()>,
    ) -> io::Result<Draft> {
        let (folder, name) = (self.split(path).0, name(&self.tag));
        let at = self.folder(&folder, true)?;
        if let Err(error) = make(at, &name) {
            // The error is what counts; a sweep finds the rest.
            let _ = unlinkat(at, &*name, AtFlags::empty());
            return Err(error);
        }
        Ok(Draft { folder, name, path: path.to_vec() })
    }

    /// Puts a draft in its place, and gives that; whatever was there before is replaced at once, or not at all. What is not as
    /// it was `seen` stays, and the new lies beside it.
    pub fn settle(&mut self, draft: &Draft, seen: Option<&Listed>) -> io::Result<Vec<u8>> {
        let folder = self.folder(&draft.folder, false)?.try_clone()?;
        let settled = self.rename(&folder, draft, seen);
        if settled.is_err() {
            let _ = unlinkat(&folder, &*draft.name, AtFlags::empty());
        }
        settled
    }

    fn rename(&mut self, folder: &OwnedFd, draft: &Draft, seen: Option<&Listed>) -> io::Result<Vec<u8>> {
        let from = draft.name.as_slice();
        loop {
            let to = self.free(&draft.path, seen, false)?;
            let (_, name) = self.split(&to);
            match self.look(&to)? {
                Some(there) if there.is_directory() => {
                    // Empty, or this fails.
                    self.last = None;
                    unlinkat(folder, name.as_slice(), AtFlags::REMOVEDIR)?;
                }
                Some(_) => {
                    renameat(folder, from, folder, name.as_slice())?;
                    return Ok(to);
                }
                None => {}
            }
            match renameat_with(folder, from, folder, name.as_slice(), RenameFlags::NOREPLACE) {
                // Somebody was faster.
                Err(Errno::EXIST) => {}
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    renameat(folder, from, folder, name.as_slice())?;
                    return Ok(to);
                }
                renamed => return Ok(renamed.map(|()| to)?),
            }
        }
    }

    /// Where something can go that is meant for a path: there, or beside what the user has put there since `seen`.
    pub(super) fn free(
        &mut self,
        path: &[u8],
        seen: Option<&Listed>,
        is_directory: bool,
    ) -> io::Result<Vec<u8>> {
        let Some(now) = self.look(path)? else { return Ok(path.to_vec()) };
        if is_as_seen(seen, &now) || is_directory && now.is_directory() {
            return Ok(path.to_vec());
        }
        let tag = self.tag.clone();
        let mut names = Beside::new(path, &tag);
        let mut beside = names.another();
        while self.look(&beside)?.is_some() {
            beside = names.another();
        }
        let (path, beside_it) = (self.show(path), self.show(&beside));
        tracing::warn!(path, beside = beside_it, "a file was changed while it was merged: both are kept");
        Ok(beside)
    }

    /// Bytes that the daemon may still write there.
    pub fn room(&self) -> io::Result<u64> {
        let told = fstatvfs(self.root.directory())?;
        Ok(told.f_bavail.saturating_mul(told.f_frsize))
    }
}

/// A name that a scan leaves out.
fn name(tag: &str) -> Vec<u8> {
    format!(".sockerless-{tag}-{}.partial", hex::encode(rand::random::<[u8; 6]>())).into_bytes()
}

/// Whether a name is that of a draft; whether by this container's merge is said by the tag.
pub(in crate::files::binds) fn is_draft(name: &[u8]) -> bool {
    name.starts_with(b".sockerless-") && name.ends_with(b".partial")
}

/// Whether it was left behind by a merge of this container, of which there is one at a time.
pub(in crate::files::binds) fn is_own_draft(name: &[u8], tag: &str) -> bool {
    is_draft(name) && name.starts_with(format!(".sockerless-{tag}-").as_bytes())
}

fn date(folder: &OwnedFd, name: &[u8], modified: Option<Time>) -> io::Result<()> {
    let Some(modified) = modified else { return Ok(()) };
    Ok(utimensat(folder, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?)
}
