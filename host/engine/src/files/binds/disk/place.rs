//! What is deleted on the user's side, and directories: only what still is as it was seen is changed.

use std::io;

use rustix::{
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, fchmod, fchown, mkdirat, unlinkat},
    io::Errno,
};
use sockerless_ports::link::listing::{Listed, Time};

use super::{Disk, too_deep};
use crate::tuning;

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

    /// Has a directory in a place, and gives that: one that is there is taken as it is. Anything else that is not as it was
    /// `seen` stays, and the directory lies beside it.
    pub fn directory(&mut self, path: &[u8], dress: Dress, seen: Option<&Listed>) -> io::Result<Vec<u8>> {
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
pub(super) fn given(done: rustix::io::Result<()>) -> io::Result<u64> {
    match done {
        Err(Errno::PERM) => Ok(1),
        done => Ok(done.map(|()| 0)?),
    }
}

/// Whether what stands somewhere is what a scan saw there. Not by `ctime`: another name of the same file that comes or goes
/// changes it.
pub(super) fn is_as_seen(seen: Option<&Listed>, now: &Listed) -> bool {
    let own = |it: &Listed| (it.mode, it.uid, it.gid, it.inode);
    let content = |it: &Listed| (it.size, it.modified);
    seen.is_some_and(|seen| match now.is_directory() {
        // What is in it is looked at by itself.
        true => seen.is_directory() && seen.inode == now.inode,
        false => own(seen) == own(now) && (!now.is_file() || content(seen) == content(now)),
    })
}

pub(super) fn times((seconds, nanoseconds): Time) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
