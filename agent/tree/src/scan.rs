//! Reading what a directory holds.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, Metadata},
    io::{self, Read},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::{Duration, SystemTime},
};

use crate::{Content, Digest, File, Manifest, Node, limits, path};

/// Whether something is left out, by its path and whether it is a directory.
pub type Without<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// Hears each chunk that was read, and its digest.
pub type Heard<'a> = &'a mut dyn FnMut(&Digest, &[u8]);

/// How a directory is scanned.
#[derive(Default)]
pub struct Options<'a> {
    /// The last scan of the same directory: files that look as they did then are not read again.
    pub known: Option<&'a Scanned>,
    /// What is left out: as if it were not there, and nothing is said of it.
    pub without: Option<Without<'a>>,
    /// What is done with the chunks that are read.
    pub read: Option<Heard<'a>>,
}

/// What a directory holds, and what to know it again by.
#[derive(Debug, Clone, Default)]
pub struct Scanned {
    /// Everything that could be read.
    pub manifest: Manifest,
    /// Of its files.
    pub stamps: HashMap<Vec<u8>, Stamp>,
    /// What is there, but is not in the manifest, nor is anything below it.
    pub left_out: Vec<LeftOut>,
    /// Bytes that were read from files.
    pub read: u64,
}

/// A file that shows the same stamp has the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Content was changed, nanoseconds since 1970.
    pub modified: i64,
    /// Content or anything else was changed, nanoseconds since 1970.
    pub changed: i64,
    /// Number of the device.
    pub device: u64,
    /// Number of the file.
    pub inode: u64,
}

impl Stamp {
    /// What a file shows now. None if it was changed so shortly before `now` that another change might show the same.
    pub fn of(meta: &Metadata, now: SystemTime) -> Option<Self> {
        let changed = nanoseconds(meta.ctime(), meta.ctime_nsec());
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let sure = now.saturating_sub(limits::UNSURE).as_nanos();
        if i128::from(changed) > i128::try_from(sure).unwrap_or(i128::MAX) {
            return None;
        }
        let modified = nanoseconds(meta.mtime(), meta.mtime_nsec());
        Some(Self { size: meta.size(), modified, changed, device: meta.dev(), inode: meta.ino() })
    }
}

/// Something that could not, or shall not, be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where.
    pub path: Vec<u8>,
    /// Why, in a few words.
    pub why: String,
    /// It may be kept by others and could not be read here: it is not to be taken for removed.
    pub unread: bool,
}

/// Seconds and nanoseconds as one number.
pub(crate) fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Reads a directory. What is mounted into it is left out, as are devices and sockets; what cannot be read is left out with
/// its reason. What vanishes while it is looked at was never there; a file that is written meanwhile is taken as it was read.
///
/// # Errors
/// The directory itself is not there, is none, or cannot be listed.
pub fn scan(directory: &Path, mut options: Options<'_>) -> io::Result<Scanned> {
    let top = fs::metadata(directory)?;
    let entries = fs::read_dir(directory)?;
    let mut scan = Scan {
        device: top.dev(),
        options: &mut options,
        found: Scanned::default(),
        groups: HashMap::new(),
        buffer: vec![0; limits::CHUNK],
    };
    scan.found.manifest.insert(Vec::new(), node(&top, Content::Directory));
    scan.list(directory, b"", entries, 0);
    let mut found = scan.found;
    found.manifest.tidy();
    Ok(found)
}

struct Scan<'o, 'a> {
    device: u64,
    options: &'o mut Options<'a>,
    found: Scanned,
    /// The first path of each file that has several.
    groups: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl Scan<'_, '_> {
    fn list(&mut self, directory: &Path, at: &[u8], entries: fs::ReadDir, depth: usize) {
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name().into_vec()),
                Err(error) => return self.unread(at, &error),
            }
        }
        // In their order, so that the first path of a file is the first that is seen.
        names.sort_unstable();
        for name in names {
            let path = path::join(at, &name);
            if let Err(error) = self.entry(&directory.join(OsStr::from_bytes(&name)), &path, depth)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.unread(&path, &error);
            }
        }
    }

    fn entry(&mut self, place: &Path, path: &[u8], depth: usize) -> io::Result<()> {
        let meta = fs::symlink_metadata(place)?;
        let kind = meta.file_type();
        if self.options.without.is_some_and(|without| without(path, kind.is_dir())) {
            return Ok(());
        }
        let content = if kind.is_dir() {
            if meta.dev() != self.device {
                self.leave_out(path, "something else is mounted there", true);
                return Ok(());
            }
            if depth >= limits::DEPTH {
                self.leave_out(path, "it is too deep", true);
                return Ok(());
            }
            let entries = fs::read_dir(place)?;
            self.found.manifest.insert(path.to_vec(), node(&meta, Content::Directory));
            self.list(place, path, entries, depth + 1);
            return Ok(());
        } else if kind.is_file() {
            let (meta, file) = self.file(place, path, &meta)?;
            self.found.manifest.insert(path.to_vec(), node(&meta, Content::File(file)));
            return Ok(());
        } else if kind.is_symlink() {
            Content::Link(fs::read_link(place)?.into_os_string().into_vec())
        } else if kind.is_fifo() {
            Content::Pipe
        } else {
            self.leave_out(path, if kind.is_socket() { "it is a socket" } else { "it is a device" }, false);
            return Ok(());
        };
        self.found.manifest.insert(path.to_vec(), node(&meta, content));
        Ok(())
    }

    /// A file, as it was when it was read.
    fn file(&mut self, place: &Path, path: &[u8], meta: &Metadata) -> io::Result<(Metadata, File)> {
        let now = SystemTime::now();
        let group = (meta.nlink() > 1)
            .then(|| self.groups.entry((meta.dev(), meta.ino())).or_insert_with(|| path.to_vec()).clone());
        let stamp = Stamp::of(meta, now);
        // The other names of a file need not be read.
        let known = match (&group, self.options.known) {
            (Some(first), _) if first.as_slice() != path => {
                self.found.manifest.get(first).and_then(Node::file)
            }
            (_, Some(known)) if stamp.is_some() && known.stamps.get(path) == stamp.as_ref() => {
                known.manifest.get(path).and_then(Node::file)
            }
            _ => None,
        };
        if let Some(known) = known.filter(|known| known.size == meta.size()) {
            let file = File { group, ..known.clone() };
            self.found.stamps.extend(stamp.map(|stamp| (path.to_vec(), stamp)));
            return Ok((meta.clone(), file));
        }
        // A pipe that took its place must not hold the scan up.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let mut opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(place)?;
        let before = opened.metadata()?;
        if !before.is_file() {
            return Err(io::Error::other("it was replaced while it was looked at"));
        }
        let mut file = File { size: 0, chunks: Vec::new(), group };
        loop {
            // One byte more than it shows would only say that there is none.
            let left = usize::try_from(before.size().saturating_sub(file.size)).unwrap_or(usize::MAX);
            let room = if left == 0 { limits::CHUNK } else { left.min(limits::CHUNK) };
            let count = fill(&mut opened, &mut self.buffer[..room])?;
            let chunk = &self.buffer[..count];
            if !chunk.is_empty() {
                let digest = Digest::of(chunk);
                if let Some(read) = &mut self.options.read {
                    read(&digest, chunk);
                }
                file.chunks.push(digest);
                file.size += count as u64;
            }
            // One that grew meanwhile shows another stamp, and is read again the next time.
            if count < limits::CHUNK || file.size == before.size() {
                break;
            }
        }
        self.found.read += file.size;
        let after = opened.metadata()?;
        let still = |one: &Metadata, other: &Metadata| Stamp::of(one, now) == Stamp::of(other, now);
        if let Some(stamp) =
            Stamp::of(&before, now).filter(|stamp| still(&before, &after) && stamp.size == file.size)
        {
            self.found.stamps.insert(path.to_vec(), stamp);
        }
        Ok((after, file))
    }

    fn unread(&mut self, path: &[u8], error: &io::Error) {
        self.found.manifest.remove(path);
        self.leave_out(path, &error.to_string(), true);
    }

    fn leave_out(&mut self, path: &[u8], why: &str, unread: bool) {
        self.found.left_out.push(LeftOut { path: path.to_vec(), why: why.to_owned(), unread });
    }
}

impl Scanned {
    /// What could not be read is taken to be as it was before, so that it is not taken for removed.
    pub fn keep_unread(&mut self, before: &Manifest) {
        let unread: Vec<_> =
            self.left_out.iter().filter(|left| left.unread).map(|left| left.path.clone()).collect();
        for path in unread {
            let kept = before.get(&path).map(|node| (path.clone(), node.clone()));
            let below = before.below(&path).map(|(path, node)| (path.to_vec(), node.clone()));
            for (path, node) in kept.into_iter().chain(below) {
                self.manifest.insert(path, node);
            }
        }
    }
}

/// What is in a file system beside its content.
pub(crate) fn node(meta: &Metadata, content: Content) -> Node {
    Node {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        modified: nanoseconds(meta.mtime(), meta.mtime_nsec()),
        content,
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(some) => count += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
