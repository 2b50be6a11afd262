//! What is changed on the user's side: only what still is as it was seen, and each thing at once or not at all.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, chownat, fchmod,
        fchown, linkat, mkdirat, mknodat, openat, renameat, renameat_with, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};
use sockerless_ports::link::listing::{Listed, Time};

use super::{Disk, too_deep};
use crate::{
    files::member::{Kind, Meta},
    tuning,
};

/// What a thing gets beside its content.
#[derive(Debug, Clone, Copy)]
pub(in crate::files::binds) struct Dress {
    pub permissions: u32,
    /// None for whom it belongs to by itself.
    pub owner: Option<(u32, u32)>,
    pub modified: Option<Time>,
}

impl Disk {
    /// Deletes something that is as it was `seen`. A directory that holds anything stays. False for what has changed since.
    pub fn delete(&mut self, path: &[u8], seen: Option<&Listed>) -> io::Result<bool> {
        let Some(there) = self.look(path)? else { return Ok(true) };
        if !is_as_seen(seen, &there) {
            return Ok(false);
        }
        let (folder, name) = self.split(path);
        let flags = if there.is_directory() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        self.last.take_if(|_| there.is_directory());
        match unlinkat(self.folder(&folder, false)?, name.as_slice(), flags) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) if there.is_directory() => Ok(true),
            Err(Errno::NOENT) => Ok(true),
            deleted => Ok(deleted.map(|()| true)?),
        }
    }

    /// Puts something in its place, and gives that; whatever was there before is replaced at once, or not at all. What is not
    /// as it was `seen` stays, and the new lies beside it. None for what is left out.
    pub fn place(
        &mut self,
        path: &[u8],
        meta: &Meta,
        dress: Dress,
        seen: Option<&Listed>,
        content: &mut dyn Read,
    ) -> io::Result<Option<Vec<u8>>> {
        match meta.kind {
            Kind::Directory => return self.directory(path, dress, seen).map(Some),
            // As root the daemon could make devices that it must not.
            Kind::Character | Kind::Block => return Ok(None),
            Kind::File | Kind::Symlink | Kind::Fifo => {}
        }
        let owner = dress.owner.filter(|_| self.is_root);
        let (uid, gid) = (owner.map(|(uid, _)| Uid::from_raw(uid)), owner.map(|(_, gid)| Gid::from_raw(gid)));
        let permissions = Mode::from_raw_mode(dress.permissions);
        let mut not_given = 0;
        let placed = self.swap(path, seen, |folder, name| {
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
        Ok(Some(placed))
    }

    /// Gives another name to what was placed before.
    pub fn link(&mut self, path: &[u8], target: &[u8], seen: Option<&Listed>) -> io::Result<Vec<u8>> {
        let (folder, name) = self.split(target);
        let from = self.folder(&folder, false)?.try_clone()?;
        self.swap(path, seen, |folder, new| {
            Ok(linkat(&from, name.as_slice(), folder, new, AtFlags::empty())?)
        })
    }

    /// Makes something under a name of its own, which then takes the right one: that is given.
    fn swap(
        &mut self,
        path: &[u8],
        seen: Option<&Listed>,
        make: impl FnOnce(&OwnedFd, &[u8]) -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        let (folder, _) = self.split(path);
        let draft = draft(&self.tag);
        let folder = self.folder(&folder, true)?.try_clone()?;
        // Only then: its content may have been long in coming.
        let made = make(&folder, &draft).and_then(|()| self.settle(&folder, &draft, path, seen));
        if made.is_err() {
            // The error is what counts; a sweep finds the rest.
            let _ = unlinkat(&folder, &*draft, AtFlags::empty());
        }
        made
    }

    /// Gives a draft its name: the right one, or one beside what the user has just put there.
    fn settle(
        &mut self,
        folder: &OwnedFd,
        draft: &[u8],
        path: &[u8],
        seen: Option<&Listed>,
    ) -> io::Result<Vec<u8>> {
        loop {
            let to = self.free(path, seen, false)?;
            let (_, name) = self.split(&to);
            match self.look(&to)? {
                Some(there) if there.is_directory() => {
                    // Empty, or this fails.
                    self.last = None;
                    unlinkat(folder, name.as_slice(), AtFlags::REMOVEDIR)?;
                }
                Some(_) => {
                    renameat(folder, draft, folder, name.as_slice())?;
                    return Ok(to);
                }
                None => {}
            }
            match renameat_with(folder, draft, folder, name.as_slice(), RenameFlags::NOREPLACE) {
                // Somebody was faster.
                Err(Errno::EXIST) => {}
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    renameat(folder, draft, folder, name.as_slice())?;
                    return Ok(to);
                }
                renamed => return Ok(renamed.map(|()| to)?),
            }
        }
    }

    /// Where something can go that is meant for a path: there, or beside what the user has put there since `seen`.
    fn free(&mut self, path: &[u8], seen: Option<&Listed>, is_directory: bool) -> io::Result<Vec<u8>> {
        let Some(now) = self.look(path)? else { return Ok(path.to_vec()) };
        if is_as_seen(seen, &now) || is_directory && now.is_directory() {
            return Ok(path.to_vec());
        }
        let name = [path, b".conflict-", self.tag.as_bytes()].concat();
        let (mut beside, mut number) = (name.clone(), 2_u32);
        while self.look(&beside)?.is_some() {
            beside = [&name, format!("-{number}").as_bytes()].concat();
            number += 1;
        }
        let (path, beside_it) = (self.show(path), self.show(&beside));
        tracing::warn!(path, beside = beside_it, "a file was changed while it was merged: both are kept");
        Ok(beside)
    }

    fn directory(&mut self, path: &[u8], dress: Dress, seen: Option<&Listed>) -> io::Result<Vec<u8>> {
        if path.split(|byte| *byte == b'/').count() > tuning::BIND_DEPTH {
            return Err(io::Error::other(too_deep()));
        }
        let to = self.free(path, seen, true)?;
        let (folder, name) = self.split(&to);
        let there = self.look(&to)?;
        if there.as_ref().is_some_and(|there| !there.is_directory()) {
            unlinkat(self.folder(&folder, false)?, name.as_slice(), AtFlags::empty())?;
        }
        if there.is_none_or(|there| !there.is_directory()) {
            let folder = self.folder(&folder, true)?;
            // Whoever fills it has to be able to.
            mkdirat(folder, name.as_slice(), Mode::from_raw_mode(dress.permissions | 0o700))?;
        }
        self.directories.push((to.clone(), dress));
        Ok(to)
    }

    /// Gives directories what they are to have once all is in them. What was made of them meanwhile is left alone. Gives the
    /// paths that failed, with why.
    pub fn finish(&mut self) -> Vec<(Vec<u8>, io::Error)> {
        let mut failed = Vec::new();
        for (path, dress) in std::mem::take(&mut self.directories).into_iter().rev() {
            if let Err(error) = self.dress(&path, dress) {
                failed.push((path, error));
            }
        }
        if self.not_given > 0 {
            let (path, count) = (self.root.path().display(), self.not_given);
            tracing::warn!(
                %path, count,
                "the daemon may not give things of a bind mount the owner or the permissions that they have in the container"
            );
        }
        failed
    }

    fn dress(&mut self, path: &[u8], dress: Dress) -> io::Result<()> {
        if !self.look(path)?.is_some_and(|there| there.is_directory()) {
            return Ok(());
        }
        let owner = dress.owner.filter(|_| self.is_root);
        let directory = self.folder(path, false)?;
        let mut not_given = 0;
        if let Some((uid, gid)) = owner {
            not_given = given(fchown(directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))?;
        }
        not_given |= given(fchmod(directory, Mode::from_raw_mode(dress.permissions)))?;
        if let Some(modified) = dress.modified {
            not_given |= given(rustix::fs::futimens(directory, &times(modified)))?;
        }
        self.not_given += not_given;
        Ok(())
    }
}

/// 1 where the daemon may not do that: it stays as it is then, and all the rest of it is as it should be.
fn given(done: rustix::io::Result<()>) -> io::Result<u64> {
    match done {
        Err(Errno::PERM) => Ok(1),
        done => Ok(done.map(|()| 0)?),
    }
}

/// Whether what stands somewhere is what a scan saw there. Not by `ctime`: another name of the same file that comes or goes
/// changes it.
fn is_as_seen(seen: Option<&Listed>, now: &Listed) -> bool {
    let own = |it: &Listed| (it.mode, it.uid, it.gid, it.inode);
    let content = |it: &Listed| (it.size, it.modified);
    seen.is_some_and(|seen| match now.is_directory() {
        // What is in it is looked at by itself.
        true => seen.is_directory() && seen.inode == now.inode,
        false => own(seen) == own(now) && (!now.is_file() || content(seen) == content(now)),
    })
}

/// A name that a scan leaves out.
fn draft(tag: &str) -> Vec<u8> {
    format!(".sockerless-{tag}-{}.partial", hex::encode(rand::random::<[u8; 6]>())).into_bytes()
}

/// Whether a name is that of a file that was being written; whether by this container's merge is said by the tag.
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

fn times((seconds, nanoseconds): Time) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
