//! Carrying out what turns one state into another.

mod applied;
mod placers;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, lchown, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

pub use self::applied::{Applied, Chunks};
use self::placers::{Fault, Placers, Placing};
use crate::{Change, Content, Digest, File, Manifest, Node, Stamp, limits, path, scan};

/// Carries changes out below a directory, which is there. Each file appears whole under its name or not at all.
///
/// The order is that of [`crate::difference`], but for files that are put: they may come in any, after the directories.
///
/// # Errors
/// The first thing that cannot be done, with its path. What came before it is done, and some of what came after.
pub fn apply(directory: &Path, changes: &[Change], chunks: &mut dyn Chunks) -> io::Result<Applied> {
    let mut apply = Apply {
        directory,
        chunks,
        applied: Applied::default(),
        groups: HashMap::new(),
        touched: HashMap::new(),
        count: 0,
    };
    let done = std::thread::scope(|scope| {
        let is_small = |change: &&Change| matches!(change, Change::Put { node, .. } if is_small(node));
        let is_worth = changes.iter().filter(is_small).count() > limits::BATCH;
        let mut placers = is_worth.then(|| Placers::new(scope)).flatten();
        let done = apply.all(changes, placers.as_mut());
        let placed = placers.map_or(Ok(()), |placers| placers.finish(&mut apply.applied));
        done.and(placed)
    });
    done.map_err(|(path, error)| at(&path, &error))?;
    // What was put into a directory has changed its time; one that nobody may write to had to wait.
    apply.restore();
    for change in changes.iter().rev() {
        if let Change::Put { path, node, .. } = change
            && node.content.is_directory()
        {
            apply.dress(path, node).map_err(|error| at(path, &error))?;
        }
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
    fn all<'s, 'a: 's>(
        &mut self,
        changes: &'a [Change],
        mut placers: Option<&mut Placers<'s, 'a>>,
    ) -> Result<(), Fault> {
        for change in changes {
            self.touch(change.path());
            let done = match change {
                Change::Remove { path, directory } => self.remove(path, *directory).map(|()| true),
                Change::Put { path, node, content_stays: false, .. } if is_small(node) => {
                    self.put_small(path, node, placers.as_deref_mut())
                }
                Change::Put { path, node, content_stays, link } => {
                    self.put(path, node, *content_stays, link.as_deref()).map(|()| true)
                }
            };
            match done {
                Ok(true) => {}
                // They say why.
                Ok(false) => return Ok(()),
                Err(error) => return Err((change.path().to_vec(), error)),
            }
        }
        Ok(())
    }

    /// Puts a small file, or has others put it: false if they have given up.
    fn put_small<'s, 'a: 's>(
        &mut self,
        path: &'a [u8],
        node: &'a Node,
        placers: Option<&mut Placers<'s, 'a>>,
    ) -> io::Result<bool> {
        let mut bytes = Vec::new();
        if let Some((file, digest)) = node.file().and_then(|file| Some((file, file.chunks.first()?))) {
            bytes.extend_from_slice(self.chunk(file, 0, digest)?);
        }
        let placing = Placing { path, node, near: self.near(path), place: self.place(path), bytes };
        match placers {
            Some(placers) => Ok(placers.place(placing)),
            None => placing.place(&mut self.applied).map(|()| true),
        }
    }

    fn chunk(&mut self, file: &File, number: usize, digest: &Digest) -> io::Result<&[u8]> {
        let size = file.chunk_size(number);
        let chunk = self.chunks.chunk(digest, size)?;
        if chunk.len() != size {
            return Err(io::Error::other("a chunk has not the size that it should have"));
        }
        Ok(chunk)
    }

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

    fn put(&mut self, path: &[u8], node: &Node, content_stays: bool, link: Option<&[u8]>) -> io::Result<()> {
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
        if let Some(first) = node.group().and_then(|group| self.groups.get(group).map(Vec::as_slice)).or(link)
        {
            let first = self.place(first);
            let near = self.near(path);
            if fs::hard_link(first, &near).is_ok() {
                return self.rename(&near, &place);
            }
            // What may not be linked to (it is somebody else's, or lies below another mount) is made once more: with the
            // same bytes, and shown as a file of its own.
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
        if let Some(group) = node.group() {
            self.groups.insert(group.to_vec(), path.to_vec());
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
                let mut to = placers::create(place)?;
                for (number, digest) in file.chunks.iter().enumerate() {
                    to.write_all(self.chunk(file, number, digest)?)?;
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
            self.applied.refused(path, &error);
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
        lenient(set_time(place, node.modified))
    }

    /// Looks at what was put, where nobody has done so when it was.
    fn look(&mut self, changes: &[Change]) {
        let now = placers::soon();
        for change in changes {
            let Change::Put { path, node, .. } = change else { continue };
            if self.applied.shown.contains_key(path) {
                continue;
            }
            let Ok(meta) = fs::symlink_metadata(self.place(path)) else { continue };
            let mut shown = scan::node(&meta, node.content.clone());
            if meta.nlink() == 1 {
                shown.set_group(None);
            }
            self.applied.note(path, shown, Stamp::of(&meta, now));
        }
    }
}

/// A file with one name, and of one chunk at most: all its bytes are in memory at once.
fn is_small(node: &Node) -> bool {
    node.file().is_some_and(|file| file.group.is_none() && file.chunks.len() <= 1)
}

/// Nanoseconds since 1970.
fn set_time(place: &Path, modified: i64) -> io::Result<()> {
    Ok(utimensat(CWD, place, &timestamps(modified), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn timestamps(modified: i64) -> Timestamps {
    let (seconds, rest) = (modified.div_euclid(1_000_000_000), modified.rem_euclid(1_000_000_000));
    let time = Timespec { tv_sec: seconds, tv_nsec: rest };
    Timestamps { last_access: time, last_modification: time }
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
