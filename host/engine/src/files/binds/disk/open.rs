//! A bind mount's source, held open.

use std::{
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat},
    io::Errno,
};

use super::IMPLIED;

/// Directories are opened to be listed and changed, and never through a link.
pub(in crate::files::binds) const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// What is mounted, from the moment at which it was seen to be what may be: whatever takes its place afterwards, or comes on
/// the way to it, is not looked at.
#[derive(Debug)]
pub(in crate::files::binds) struct Opened {
    /// The directory, or the one that the file is in.
    at: OwnedFd,
    /// The file's name in it.
    file: Option<Vec<u8>>,
    /// Without links on it.
    path: PathBuf,
}

impl Opened {
    /// Opens a path part by part. `was_file`: what it was before, where that is known: a file may be gone since. `makes`: it is
    /// made, as a directory, where nothing is.
    ///
    /// Errors: `ELOOP` or `ENOTDIR` where a link is on the way; `Unsupported` for what is neither a directory nor a file.
    pub fn open(path: &Path, was_file: Option<bool>, makes: bool) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = walk(folder, makes)?;
        let kind = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) if was_file == Some(true) => FileType::RegularFile,
            Err(Errno::NOENT) if makes => {
                mkdirat(&folder, name, Mode::from_raw_mode(IMPLIED))?;
                FileType::Directory
            }
            Err(error) => return Err(error.into()),
        };
        let (at, file) = match kind {
            FileType::RegularFile => (folder, Some(name.as_bytes().to_vec())),
            FileType::Directory => (openat(&folder, name, DIRECTORY, Mode::empty())?, None),
            FileType::Symlink => return Err(Errno::LOOP.into()),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { at, file, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// The name of the file that is mounted.
    pub fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    /// The directory, or the one that the file is in.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.at.as_fd()
    }

    /// Of the directory.
    pub fn meta(&self) -> io::Result<Metadata> {
        File::from(self.at.try_clone()?).metadata()
    }
}

/// Opens a directory, part by part: a link on the way is an error.
fn walk(path: &Path, makes: bool) -> io::Result<OwnedFd> {
    // To pass through a directory nobody has to be allowed to list it.
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::PATH;
    let mut at = openat(CWD, "/", flags, Mode::empty())?;
    for part in path.components() {
        let part = match part {
            Component::RootDir => continue,
            Component::Normal(part) => part,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        at = match openat(&at, part, flags, Mode::empty()) {
            Err(Errno::NOENT) if makes => {
                mkdirat(&at, part, Mode::from_raw_mode(IMPLIED))?;
                openat(&at, part, flags, Mode::empty())?
            }
            opened => opened?,
        };
    }
    Ok(at)
}

/// Whether a path led through a link, or through something else that is no directory.
pub(in crate::files::binds) fn leads_elsewhere(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::NOTDIR | Errno::LOOP))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
    };

    use super::*;

    #[test]
    fn no_link_is_followed_on_the_way_to_what_is_mounted_nor_in_its_place() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(outside.path().join("sub")).unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        for path in ["link", "link/sub", "link/new"] {
            let error = Opened::open(&folder.path().join(path), None, true).unwrap_err();
            assert!(leads_elsewhere(&error), "{path}: {error}");
        }
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn what_was_opened_stays_what_it_is_whatever_takes_its_place() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a/b");
        assert!(Opened::open(&path, None, false).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        let opened = Opened::open(&path, None, true).unwrap();
        assert!(path.is_dir() && !opened.is_file());
        fs::rename(&path, folder.path().join("moved")).unwrap();
        symlink(outside.path(), &path).unwrap();
        mkdirat(opened.directory(), "here", Mode::from_raw_mode(IMPLIED)).unwrap();
        assert!(folder.path().join("moved/here").is_dir());
        assert!(!outside.path().join("here").exists());
    }

    #[test]
    fn a_file_that_is_gone_is_known_to_have_been_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conf");
        assert!(Opened::open(&path, Some(true), true).unwrap().is_file());
        assert!(!path.exists());
        let _socket = UnixListener::bind(&path).unwrap();
        let error = Opened::open(&path, None, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
