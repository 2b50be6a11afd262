//! Carrying out what turns one state into another.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, PermissionsExt, lchown, symlink},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::{Change, Content, Digest, File, Manifest, Node, Stamp, limits, path, scan};

/// Where the bytes are.
pub trait Chunks {
    /// The bytes of a chunk, of which `size` are expected.
    ///
    /// # Errors
    /// They are not there, or cannot be read.
    fn chunk(&mut self, digest: &Digest, size: usize) -> io::Result<&[u8]>;
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// What the file system shows of what was put: another owner, say, where the user may not give files away.
    pub shown: HashMap<Vec<u8>, Node>,
    /// Of the files that were put: to be taken up in the next scan. Only those that can be relied on.
    pub stamps: HashMap<Vec<u8>, Stamp>,
    /// Bytes that were written.
    pub written: u64,
    /// What could not be given to its owner, and why: the first.
    pub not_owned: Option<(Vec<u8>, String)>,
    /// How many could not.
    pub not_owned_count: u64,
}

/// Carries changes out below a directory, which is there. Each file appears whole under its name or not at all.
///
/// # Errors
/// The first thing that cannot be done, with its path. What came before it is done.
pub fn apply(directory: &Path, changes: &[Change], chunks: &mut dyn Chunks) -> io::Result<Applied> {
    let mut apply = Apply {
        directory,
        chunks,
        applied: Applied::default(),
        groups: HashMap::new(),
        touched: HashMap::new(),
        count: 0,
    };
    let mut directories = Vec::new();
    for change in changes {
        apply.touch(change.path());
        let done = match change {
            Change::Remove { path, directory } => apply.remove(path, *directory),
            Change::Put { path, node, content_stays } => {
                if node.content.is_directory() {
                    directories.push((path, node));
                }
                apply.put(path, node, *content_stays)
            }
        };
        done.map_err(|error| at(change.path(), &error))?;
    }
    // What was put into a directory has changed its time; one that nobody may write to had to wait.
    apply.restore();
    for (path, node) in directories.into_iter().rev() {
        apply.dress(path, node).map_err(|error| at(path, &error))?;
    }
    apply.look(changes);
    Ok(apply.applied)
}

fn at(path: &[u8], error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path::display(path)))
}

struct Apply<'a> {
    directory: &'a Path,
    chunks: &'a mut dyn Chunks,
    applied: Applied,
    /// The first name that was put of each file with several, by that name.
    groups: HashMap<Vec<u8>, Vec<u8>>,
    /// Directories in which something was changed: as they were.
    touched: HashMap<Vec<u8>, Node>,
    count: u64,
}

impl Apply<'_> {
    /// Notes the directory of what is being changed, and opens it for the change.
    fn touch(&mut self, path: &[u8]) {
        let Some(parent) = path::parent(path) else { return };
        if self.touched.contains_key(parent) {
            return;
        }
        let place = self.place(parent);
        // What is missing shows where it is needed.
        let Ok(meta) = fs::symlink_metadata(&place) else { return };
        let node = scan::node(&meta, Content::Directory);
        if node.mode & 0o700 != 0o700 {
            let _ = fs::set_permissions(&place, fs::Permissions::from_mode(node.mode | 0o700));
        }
        self.touched.insert(parent.to_vec(), node);
    }

    /// Gives them back what they had. Some are gone by now.
    fn restore(&mut self) {
        for (path, node) in std::mem::take(&mut self.touched) {
            let place = self.place(&path);
            if node.mode & 0o700 != 0o700 {
                let _ = fs::set_permissions(&place, fs::Permissions::from_mode(node.mode));
            }
            let _ = set_time(&place, node.modified);
        }
    }

    fn place(&self, path: &[u8]) -> PathBuf {
        match path {
            [] => self.directory.to_owned(),
            path => self.directory.join(OsStr::from_bytes(path)),
        }
    }

    fn remove(&mut self, path: &[u8], directory: bool) -> io::Result<()> {
        // Whatever comes in its place has a time of its own.
        self.touched.remove(path);
        let place = self.place(path);
        let removed = if directory { fs::remove_dir(place) } else { fs::remove_file(place) };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // What is not ours to see lies in it (a socket, a mount): it stays.
            Err(error) if directory && error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed,
        }
    }

    fn put(&mut self, path: &[u8], node: &Node, content_stays: bool) -> io::Result<()> {
        let place = self.place(path);
        if let Content::Directory = &node.content {
            match fs::create_dir(&place) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && place.is_dir() => {}
                made => made?,
            }
            // Until all is in it.
            if node.mode & 0o700 != 0o700 {
                return fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).or(Ok(()));
            }
            return Ok(());
        }
        if let Content::File(File { group: Some(group), .. }) = &node.content
            && let Some(first) = self.groups.get(group).cloned()
        {
            let near = self.near(path);
            fs::hard_link(self.place(&first), &near)?;
            return self.rename(&near, &place);
        }
        // What is somebody else's can be replaced where it cannot be changed.
        if !(content_stays && self.dressed(path, node)) {
            let near = self.near(path);
            let made = self.make(&near, node).and_then(|()| self.dress_at(&near, path, node));
            if let Err(error) = made.and_then(|()| fs::rename(&near, &place)) {
                // The first error is the one to be told.
                let _ = fs::remove_file(&near);
                return Err(error);
            }
        }
        if let Content::File(File { group: Some(group), .. }) = &node.content {
            self.groups.insert(group.clone(), path.to_vec());
        }
        Ok(())
    }

    fn rename(&self, near: &Path, place: &Path) -> io::Result<()> {
        let renamed = fs::rename(near, place);
        // Two names of one file are left as they are by a rename.
        let _ = fs::remove_file(near);
        renamed
    }

    /// A name for what is being made, in the same directory.
    fn near(&mut self, path: &[u8]) -> PathBuf {
        self.count += 1;
        let name = format!(".sockerless-{}-{}", std::process::id(), self.count);
        self.place(&path::join(path::parent(path).unwrap_or_default(), name.as_bytes()))
    }

    fn make(&mut self, place: &Path, node: &Node) -> io::Result<()> {
        match &node.content {
            Content::Directory => Ok(()),
            Content::Link(target) => symlink(OsStr::from_bytes(target), place),
            Content::Pipe => Ok(mknodat(CWD, place, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?),
            Content::File(file) => {
                let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
                for (number, digest) in file.chunks.iter().enumerate() {
                    let size = file.chunk_size(number);
                    let chunk = self.chunks.chunk(digest, size)?;
                    if chunk.len() != size {
                        return Err(io::Error::other("a chunk has not the size that it should have"));
                    }
                    to.write_all(chunk)?;
                }
                self.applied.written += file.size;
                Ok(())
            }
        }
    }

    /// Whether what is there could be made to look as it shall.
    fn dressed(&mut self, path: &[u8], node: &Node) -> bool {
        let before = (self.applied.not_owned_count, self.applied.not_owned.clone());
        let is_dressed = self.dress(path, node).is_ok();
        if !is_dressed {
            (self.applied.not_owned_count, self.applied.not_owned) = before;
        }
        is_dressed
    }

    fn dress(&mut self, path: &[u8], node: &Node) -> io::Result<()> {
        let place = self.place(path);
        self.dress_at(&place, path, node)
    }

    /// Gives owner, mode and time, in this order: a new owner takes set-user-id away.
    fn dress_at(&mut self, place: &Path, path: &[u8], node: &Node) -> io::Result<()> {
        let meta = fs::symlink_metadata(place)?;
        let shown = scan::node(&meta, Content::Directory);
        if (shown.uid, shown.gid) != (node.uid, node.gid)
            && let Err(error) = lchown(place, Some(node.uid), Some(node.gid))
        {
            self.applied.not_owned_count += 1;
            self.applied.not_owned.get_or_insert_with(|| (path.to_vec(), error.to_string()));
        }
        let is_link = matches!(node.content, Content::Link(_));
        // The top may be somebody else's, and so may a directory below it, which cannot be made anew.
        let is_directory = node.content.is_directory();
        let lenient = |done: io::Result<()>| match done {
            Err(_) if path.is_empty() => Ok(()),
            Err(error) if is_directory && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            done => done,
        };
        if !is_link {
            lenient(fs::set_permissions(place, fs::Permissions::from_mode(node.mode)))?;
        }
        let (seconds, rest) =
            (node.modified.div_euclid(1_000_000_000), node.modified.rem_euclid(1_000_000_000));
        let time = Timespec { tv_sec: seconds, tv_nsec: rest };
        let times = Timestamps { last_access: time, last_modification: time };
        let set = utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW);
        lenient(set.map_err(io::Error::from))
    }

    /// Looks at what was put.
    fn look(&mut self, changes: &[Change]) {
        // Nobody else writes here: what was put a moment ago is relied on.
        let now = SystemTime::now() + limits::UNSURE + limits::UNSURE;
        for change in changes {
            let Change::Put { path, node, .. } = change else { continue };
            let Ok(meta) = fs::symlink_metadata(self.place(path)) else { continue };
            self.applied.shown.insert(path.clone(), scan::node(&meta, node.content.clone()));
            if node.file().is_some()
                && let Some(stamp) = Stamp::of(&meta, now)
            {
                self.applied.stamps.insert(path.clone(), stamp);
            }
        }
    }
}

/// Nanoseconds since 1970.
fn set_time(place: &Path, modified: i64) -> io::Result<()> {
    let (seconds, rest) = (modified.div_euclid(1_000_000_000), modified.rem_euclid(1_000_000_000));
    let time = Timespec { tv_sec: seconds, tv_nsec: rest };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

impl Manifest {
    /// The chunks of its files with their sizes, in the order in which they are read; some more than once.
    pub fn chunks(&self) -> impl Iterator<Item = (Digest, usize)> {
        let files = self.iter().filter_map(|(_, node)| node.file());
        files.flat_map(|file| {
            file.chunks.iter().enumerate().map(|(number, digest)| (*digest, file.chunk_size(number)))
        })
    }
}
