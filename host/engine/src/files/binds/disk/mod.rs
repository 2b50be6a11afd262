//! The user's side: a directory, or one file, of the daemon's machine.
//!
//! Paths are walked part by part, and no link is followed: what comes from a container must not lead anything out of the
//! directory, whoever made the link and when.

mod draft;
mod open;
mod place;

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Stat, mkdirat, openat, readlinkat, statat},
    io::Errno,
};
use sockerless_ports::link::listing::Listed;

pub(super) use self::{
    draft::{Draft, is_draft, is_own_draft},
    open::{DIRECTORY, Opened, leads_elsewhere},
    place::Dress,
};
use super::beside::fitting;
use crate::tuning;

/// For directories that are made on the way.
const IMPLIED: u32 = 0o755;

/// What is mounted, to be read and changed.
pub(super) struct Disk {
    root: Arc<Opened>,
    /// May give files away.
    is_root: bool,
    /// The container's short id: files that are being written have it in their names.
    tag: String,
    /// The directory that was looked at last.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories that were made or changed, with what can be given to them only once all is in them.
    directories: Vec<(Vec<u8>, Dress)>,
    /// How many things could not be given to whom they belong.
    not_given: u64,
}

impl Disk {
    pub fn new(root: Arc<Opened>, tag: &str) -> Self {
        Self {
            root,
            is_root: rustix::process::geteuid().is_root(),
            tag: tag.to_owned(),
            last: None,
            directories: Vec::new(),
            not_given: 0,
        }
    }

    /// The directory that a path is in, relative to the root, and its name there. A file alone has the empty path.
    fn split(&self, path: &[u8]) -> (Vec<u8>, Vec<u8>) {
        if let Some(file) = self.root.file() {
            return (Vec::new(), fitting(file, path));
        }
        match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (path[..at].to_vec(), path[at + 1..].to_vec()),
            None => (Vec::new(), path.to_vec()),
        }
    }

    /// For people.
    pub fn show(&self, path: &[u8]) -> String {
        let (folder, name) = self.split(path);
        let relative: PathBuf = [folder, name].map(OsString::from_vec).iter().collect();
        let root = self.root.path();
        let root = if self.root.is_file() { root.parent().unwrap_or(root) } else { root };
        root.join(relative).display().to_string()
    }

    fn folder(&mut self, folder: &[u8], make: bool) -> io::Result<&OwnedFd> {
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            let mut at = self.root.directory().try_clone_to_owned()?;
            let parts = folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
            for (depth, part) in parts.enumerate() {
                if depth >= tuning::BIND_DEPTH {
                    return Err(io::Error::other(too_deep()));
                }
                at = match openat(&at, part, DIRECTORY, Mode::empty()) {
                    Err(Errno::NOENT) if make => {
                        mkdirat(&at, part, Mode::from_raw_mode(IMPLIED))?;
                        openat(&at, part, DIRECTORY, Mode::empty())?
                    }
                    opened => opened?,
                };
            }
            self.last = Some((folder.to_vec(), at));
        }
        match &self.last {
            Some((_, at)) => Ok(at),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What is there; none if that is nothing.
    pub fn look(&mut self, path: &[u8]) -> io::Result<Option<Listed>> {
        let (folder, name) = self.split(path);
        let found = self.folder(&folder, false).and_then(|folder| Ok(look(folder, &name, path)?));
        match found {
            Err(error) if is_gone(&error) => Ok(None),
            found => found.map(Some),
        }
    }

    /// A file to be read, and what it is now; none if there is no such file any more. Who writes into a pipe is not waited for.
    pub fn read(&mut self, path: &[u8]) -> io::Result<Option<(File, Listed)>> {
        let (folder, name) = self.split(path);
        let opened = self.folder(&folder, false).and_then(|folder| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(File::from(openat(folder, name.as_slice(), flags, Mode::empty())?))
        });
        let file = match opened {
            Err(error) if is_gone(&error) => return Ok(None),
            opened => opened?,
        };
        let meta = file.metadata()?;
        Ok(meta.is_file().then(|| (file, Listed::new(path, &meta))))
    }
}

/// What a directory has under a name, as a list says it of a path.
pub(super) fn look(folder: impl AsFd, name: &[u8], path: &[u8]) -> Result<Listed, Errno> {
    let mut listed = listed(path, &statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
    if listed.is_symlink() {
        listed.target = readlinkat(folder, name, Vec::new())?.into_bytes();
    }
    Ok(listed)
}

/// As [`Listed::new`] has it.
fn listed(path: &[u8], stat: &Stat) -> Listed {
    let mut listed = Listed {
        path: path.to_vec(),
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
        changed: (stat.st_ctime, u32::try_from(stat.st_ctime_nsec).unwrap_or_default()),
        inode: stat.st_ino,
        ..Listed::default()
    };
    if listed.is_file() {
        listed.size = u64::try_from(stat.st_size).unwrap_or_default();
    }
    listed
}

/// Why something is neither looked at nor made.
pub(super) fn too_deep() -> String {
    format!("it is more than {} directories deep", tuning::BIND_DEPTH)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || leads_elsewhere(error)
}

#[cfg(test)]
mod tests;
