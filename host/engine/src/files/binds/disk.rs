//! The user's side: a directory, or one file, of the daemon's machine.
//!
//! Paths are walked part by part, and no link is followed: what comes from a container must not lead anything out of the
//! directory, whoever made the link and when.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chownat, fchmod, fchown,
        linkat, mkdirat, mknodat, openat, readlinkat, renameat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};
use sockerless_ports::link::listing::{Listed, Time};

use crate::files::member::{Kind, Meta};

/// For directories that are made on the way.
const IMPLIED: u32 = 0o755;

/// A place on the user's side, opened.
pub(super) struct Disk {
    root: OwnedFd,
    /// The name in it that an empty path means, if it is a file alone that is mounted.
    file: Option<Vec<u8>>,
    /// To say where something failed.
    shown: PathBuf,
    /// May give files away.
    is_root: bool,
    /// The container's short id: files that are being written have it in their names.
    tag: String,
    /// The directory that was looked at last.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories that were made or changed, with what can be given to them only once all is in them.
    directories: Vec<(Vec<u8>, Dress)>,
}

/// What a thing gets beside its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dress {
    pub permissions: u32,
    /// None for whom it belongs to by itself.
    pub owner: Option<(u32, u32)>,
    pub modified: Option<Time>,
}

impl Disk {
    /// `source`: resolved; a directory, or a file.
    pub fn open(source: &Path, is_file: bool, tag: &str) -> io::Result<Self> {
        let (folder, file) = match (is_file, source.parent(), source.file_name()) {
            (true, Some(folder), Some(name)) => (folder, Some(name.as_bytes().to_vec())),
            _ => (source, None),
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(Self {
            root: openat(CWD, folder, flags, Mode::empty())?,
            file,
            shown: folder.to_owned(),
            is_root: rustix::process::geteuid().is_root(),
            tag: tag.to_owned(),
            last: None,
            directories: Vec::new(),
        })
    }

    /// The directory that a path is in, relative to the root, and its name there.
    fn split(&self, path: &[u8]) -> (Vec<u8>, Vec<u8>) {
        if let Some(file) = &self.file {
            return (Vec::new(), [file, path].concat());
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
        self.shown.join(relative).display().to_string()
    }

    fn folder(&mut self, folder: &[u8], make: bool) -> io::Result<&OwnedFd> {
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            let mut at = self.root.as_fd().try_clone_to_owned()?;
            for part in folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
                at = match openat(&at, part, flags, Mode::empty()) {
                    Err(Errno::NOENT) if make => {
                        mkdirat(&at, part, Mode::from_raw_mode(IMPLIED))?;
                        openat(&at, part, flags, Mode::empty())?
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
        let found = self.folder(&folder, false).and_then(|folder| {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(openat(folder, name.as_slice(), flags, Mode::empty())?);
            let mut listed = Listed::new(path, &file.metadata()?);
            if listed.is_symlink() {
                listed.target = readlinkat(folder, name.as_slice(), Vec::new())?.into_bytes();
            }
            Ok(listed)
        });
        match found {
            Err(error) if is_gone(&error) => Ok(None),
            found => found.map(Some),
        }
    }

    /// A file to be read, and its size now; none if there is no such file any more.
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

    /// Deletes something. A directory that holds anything stays.
    pub fn delete(&mut self, path: &[u8]) -> io::Result<()> {
        let Some(there) = self.look(path)? else { return Ok(()) };
        let (folder, name) = self.split(path);
        let flags = if there.is_directory() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        self.last.take_if(|_| there.is_directory());
        match unlinkat(self.folder(&folder, false)?, name.as_slice(), flags) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) if there.is_directory() => Ok(()),
            Err(Errno::NOENT) => Ok(()),
            deleted => Ok(deleted?),
        }
    }

    /// Puts something in its place; whatever was there before is replaced at once, or not at all. False for what is left out.
    pub fn place(
        &mut self,
        path: &[u8],
        meta: &Meta,
        dress: Dress,
        content: &mut dyn Read,
    ) -> io::Result<bool> {
        let mode = Mode::from_raw_mode(0o600);
        match meta.kind {
            Kind::Directory => return self.directory(path, dress).map(|()| true),
            // As root the daemon could make devices that it must not.
            Kind::Character | Kind::Block => return Ok(false),
            Kind::File | Kind::Symlink | Kind::Fifo => {}
        }
        let owner = dress.owner.filter(|_| self.is_root);
        let (uid, gid) = (owner.map(|(uid, _)| Uid::from_raw(uid)), owner.map(|(_, gid)| Gid::from_raw(gid)));
        let permissions = Mode::from_raw_mode(dress.permissions);
        self.swap(path, |folder, name| {
            match meta.kind {
                Kind::Symlink => {
                    symlinkat(meta.target.as_slice(), folder, name)?;
                    chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                }
                Kind::Fifo => {
                    mknodat(folder, name, FileType::Fifo, permissions, 0)?;
                    chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                }
                _ => {
                    let flags =
                        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let mut file = File::from(openat(folder, name, flags, mode)?);
                    io::copy(content, &mut file)?;
                    // In this order: a new owner costs the setuid bit.
                    fchown(&file, uid, gid)?;
                    fchmod(&file, permissions)?;
                }
            }
            date(folder, name, dress.modified)
        })?;
        Ok(true)
    }

    /// Gives another name to what was placed before.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let (folder, name) = self.split(target);
        let from = self.folder(&folder, false)?.try_clone()?;
        self.swap(path, |folder, new| Ok(linkat(&from, name.as_slice(), folder, new, AtFlags::empty())?))
    }

    /// Makes something under a name of its own, which then takes the right one.
    fn swap(&mut self, path: &[u8], make: impl FnOnce(&OwnedFd, &[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.look(path)?.is_some_and(|there| there.is_directory()) {
            // Empty, or this fails.
            let (folder, name) = self.split(path);
            self.last = None;
            unlinkat(self.folder(&folder, false)?, name.as_slice(), AtFlags::REMOVEDIR)?;
        }
        let (folder, name) = self.split(path);
        let draft = draft(&self.tag);
        let folder = self.folder(&folder, true)?;
        let made =
            make(folder, &draft).and_then(|()| Ok(renameat(folder, &*draft, folder, name.as_slice())?));
        if made.is_err() {
            // The error is what counts; a sweep finds the rest.
            let _ = unlinkat(folder, &*draft, AtFlags::empty());
        }
        made
    }

    fn directory(&mut self, path: &[u8], dress: Dress) -> io::Result<()> {
        let (folder, name) = self.split(path);
        let there = self.look(path)?;
        if there.as_ref().is_some_and(|there| !there.is_directory()) {
            unlinkat(self.folder(&folder, false)?, name.as_slice(), AtFlags::empty())?;
        }
        if there.is_none_or(|there| !there.is_directory()) {
            let folder = self.folder(&folder, true)?;
            // Whoever fills it has to be able to.
            mkdirat(folder, name.as_slice(), Mode::from_raw_mode(dress.permissions | 0o700))?;
        }
        self.directories.push((path.to_vec(), dress));
        Ok(())
    }

    /// Gives directories what they are to have once all is in them. What was made of them meanwhile is left alone.
    pub fn finish(&mut self) -> io::Result<()> {
        for (path, dress) in std::mem::take(&mut self.directories).into_iter().rev() {
            if !self.look(&path)?.is_some_and(|there| there.is_directory()) {
                continue;
            }
            let owner = dress.owner.filter(|_| self.is_root);
            let directory = self.folder(&path, false)?;
            if let Some((uid, gid)) = owner {
                fchown(directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            }
            fchmod(directory, Mode::from_raw_mode(dress.permissions))?;
            if let Some(modified) = dress.modified {
                rustix::fs::futimens(directory, &times(modified))?;
            }
        }
        Ok(())
    }
}

/// A name that a scan leaves out.
fn draft(tag: &str) -> Vec<u8> {
    format!(".sockerless-{tag}-{}.partial", hex::encode(rand::random::<[u8; 6]>())).into_bytes()
}

/// Whether a name is that of a file that was being written; whether by this container's merge is said by the tag.
pub(super) fn is_draft(name: &[u8]) -> bool {
    name.starts_with(b".sockerless-") && name.ends_with(b".partial")
}

/// Whether it was left behind by a merge of this container, of which there is one at a time.
pub(super) fn is_own_draft(name: &[u8], tag: &str) -> bool {
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

fn is_gone(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Makes a directory with those above it.
pub(super) fn make(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    const PLAIN: Dress = Dress { permissions: 0o640, owner: None, modified: Some((1_000_000_000, 5)) };

    fn file(content: &str) -> Meta {
        Meta { size: content.len() as u64, ..Meta::default() }
    }

    fn open(folder: &tempfile::TempDir) -> Disk {
        Disk::open(folder.path(), false, "c0ffee").unwrap()
    }

    fn put(disk: &mut Disk, path: &str, content: &str) -> io::Result<bool> {
        disk.place(path.as_bytes(), &file(content), PLAIN, &mut content.as_bytes())
    }

    #[test]
    fn a_file_takes_its_place_at_once_with_all_that_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = open(&folder);
        put(&mut disk, "new/sub/a", "first").unwrap();
        put(&mut disk, "new/sub/a", "second").unwrap();
        let path = folder.path().join("new/sub/a");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o640, 1_000_000_000, 5));
        assert_eq!(disk.look(b"new/sub/a").unwrap().unwrap().size, 6);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "and nothing else is left");
        disk.link(b"new/b", b"new/sub/a").unwrap();
        assert_eq!(fs::metadata(folder.path().join("new/b")).unwrap().ino(), meta.ino());
        disk.delete(b"new/sub/a").unwrap();
        disk.delete(b"new/sub/a").unwrap();
        disk.delete(b"new").unwrap();
        assert!(folder.path().join("new/b").exists(), "a directory that holds something stays");
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "old").unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        let mut disk = open(&folder);
        assert!(put(&mut disk, "link/secret", "new").is_err());
        assert!(put(&mut disk, "link/more", "new").is_err());
        disk.delete(b"link/secret").unwrap();
        assert_eq!(disk.look(b"link/secret").unwrap(), None);
        assert!(disk.read(b"link/secret").unwrap().is_none());
        assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "old");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        // In its own place a link is replaced, and not what it leads to.
        put(&mut disk, "link", "new").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("link")).unwrap(), "new");
        assert!(outside.path().join("secret").exists());
        assert!(Disk::open(&folder.path().join("link"), false, "c").is_err());
    }

    #[test]
    fn directories_get_their_permissions_last_and_devices_are_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = open(&folder);
        let directory = Meta::directory();
        let dress = Dress { permissions: 0o555, ..PLAIN };
        disk.place(b"sub", &directory, dress, &mut io::empty()).unwrap();
        put(&mut disk, "sub/a", "x").unwrap();
        disk.finish().unwrap();
        let meta = fs::metadata(folder.path().join("sub")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o555, 1_000_000_000));
        fs::set_permissions(folder.path().join("sub"), fs::Permissions::from_mode(0o755)).unwrap();
        let device = Meta { kind: Kind::Character, device: (1, 3), ..Meta::default() };
        assert!(!disk.place(b"null", &device, PLAIN, &mut io::empty()).unwrap());
        let link = Meta { kind: Kind::Symlink, target: b"/etc/passwd".to_vec(), ..Meta::default() };
        assert!(disk.place(b"l", &link, PLAIN, &mut io::empty()).unwrap());
        assert_eq!(disk.look(b"l").unwrap().unwrap().target, b"/etc/passwd");
        let fifo = Meta { kind: Kind::Fifo, ..Meta::default() };
        assert!(disk.place(b"f", &fifo, PLAIN, &mut io::empty()).unwrap());
        assert!(disk.read(b"f").unwrap().is_none(), "nobody waits for who writes into it");
        // A directory in the place of a file, and a file in the place of an empty one.
        disk.place(b"l", &directory, PLAIN, &mut io::empty()).unwrap();
        put(&mut disk, "l", "file").unwrap();
        assert!(put(&mut disk, "sub", "file").is_err(), "what is in it would be lost");
    }

    #[test]
    fn a_file_alone_has_the_empty_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conf");
        fs::write(&path, "old").unwrap();
        let mut disk = Disk::open(&path, true, "c0ffee").unwrap();
        assert_eq!(disk.look(b"").unwrap().unwrap().size, 3);
        put(&mut disk, "", "newer").unwrap();
        put(&mut disk, ".conflict-c0ffee", "other").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(fs::read_to_string(folder.path().join("conf.conflict-c0ffee")).unwrap(), "other");
    }
}
