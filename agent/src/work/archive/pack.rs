//! From files to a tar archive, as dockerd makes it.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    libc::{O_NOFOLLOW, O_NONBLOCK},
    sys::stat::{major, minor},
};
use rustix::fs::lgetxattr;
use sockerless_agent_wire::request::{End, Fault, FaultKind};
use tar::EntryType;

use super::{
    header::{BLOCK, CAPABILITY, Member},
    left_out::List,
};
use crate::work::{
    fault::{errno, failed, fault},
    files::{clock::Since, path::Root, tree::Found},
    stream::{Out, Problems},
};

/// A capability's size without the user that it is for, bytes (`VFS_CAP_REVISION_2`).
const CAPABILITY_SIZE: usize = 20;

/// Writes one archive.
pub struct Packer {
    /// With nanoseconds.
    precise: bool,
    since: Since,
    /// Names of files that have others, too.
    links: HashMap<(u64, u64), Vec<u8>>,
    left_out: List,
    problems: Problems,
}

impl Packer {
    /// An archive from its beginning.
    pub fn new(precise: bool, since: Since) -> Self {
        Self {
            precise,
            since,
            links: HashMap::new(),
            left_out: List::default(),
            problems: Problems::default(),
        }
    }

    /// Adds something under a name, without the `/` that a directory's gets. What the agent's user may not read is left
    /// out: told at the end, since the rest is of use. Errors: nobody wants more.
    pub fn add(&mut self, out: &mut Out, root: &Root, found: &Found<'_>, name: &[u8]) -> Result<(), Fault> {
        let place = &*root.place(found.path);
        let meta = found.meta;
        if let Some(fault) = &found.closed {
            self.left_out.note(fault, name, found.entry(self.since));
        }
        let Some(kind) = kind(meta) else { return Ok(()) };
        let mut member = describe(name, kind, meta);
        if kind.is_symlink() {
            match fs::read_link(place) {
                Ok(link) => member.link = link.as_os_str().as_bytes().to_owned(),
                Err(error) => return self.unread("readlink", found, name, &error),
            }
        }
        if !meta.is_dir() && meta.nlink() > 1 {
            let file = (meta.dev(), meta.ino());
            if let Some(first) = self.links.get(&file) {
                let link = first.clone();
                return self.member(out, &Member { kind: EntryType::Link, link, size: 0, ..member });
            }
            // Noted only once it is in the archive: a file that cannot be read must not be linked to.
            if !kind.is_file() {
                self.links.insert(file, name.to_owned());
            }
        }
        if !kind.is_file() {
            return self.member(out, &member);
        }
        let file = match open(place) {
            Ok(file) => file,
            Err(error) => return self.unread("open", found, name, &error),
        };
        // What was opened counts, should it be another by now.
        let (file, meta) = match file.metadata() {
            Ok(meta) if meta.is_file() => (file, meta),
            Ok(_) => return Ok(()),
            Err(error) => return self.unread("stat", found, name, &error),
        };
        let mut member = describe(name, kind, &meta);
        member.size = meta.size();
        member.attributes = capability(place).map(|value| (CAPABILITY.into(), value)).into_iter().collect();
        if meta.nlink() > 1 {
            self.links.insert((meta.dev(), meta.ino()), name.to_owned());
        }
        self.member(out, &member)?;
        self.content(out, place, &file, member.size)
    }

    /// Adds an entry without a file behind it.
    pub fn member(&mut self, out: &mut Out, member: &Member) -> Result<(), Fault> {
        member.encode(self.precise, out.buffer());
        out.sent()
    }

    /// Ends the archive; tells what was left out. Errors: a file could not be read to its end.
    pub fn finish(self, out: &mut Out) -> Result<End, Fault> {
        out.zeros(2 * BLOCK as u64)?;
        out.flush()?;
        self.problems.result()?;
        Ok(self.left_out.end())
    }

    fn content(&mut self, out: &mut Out, place: &Path, file: &File, size: u64) -> Result<(), Fault> {
        let mut left = size;
        while left > 0 {
            match out.copy(file, left)? {
                Ok(0) => {
                    self.problems.note(fault(
                        FaultKind::Internal,
                        format!("{} shrank while it was read", place.display()),
                    ));
                    break;
                }
                Ok(count) => left -= count as u64,
                Err(error) => {
                    self.problems.note(failed(format_args!("read {}", place.display()), &error));
                    break;
                }
            }
        }
        // The header's promise is kept.
        out.zeros(left + size.wrapping_neg() % BLOCK as u64)
    }

    /// What has vanished was never there; anything else is told.
    fn unread(&mut self, what: &str, found: &Found<'_>, name: &[u8], error: &io::Error) -> Result<(), Fault> {
        // A link is what cannot be opened as a file: it has just replaced one.
        if matches!(errno(error), Some(Errno::ENOENT | Errno::ELOOP)) {
            return Ok(());
        }
        let fault = failed(format_args!("{what} {}", found.path.display()), error);
        match fault.kind {
            FaultKind::Forbidden => self.left_out.note(&fault, name, found.entry(self.since)),
            _ => self.problems.note(fault),
        }
        Ok(())
    }
}

/// What something is in an archive; none for a socket, which cannot be in one.
fn kind(meta: &Metadata) -> Option<EntryType> {
    let kind = meta.file_type();
    let kinds = [
        (kind.is_file(), EntryType::Regular),
        (kind.is_dir(), EntryType::Directory),
        (kind.is_symlink(), EntryType::Symlink),
        (kind.is_fifo(), EntryType::Fifo),
        (kind.is_char_device(), EntryType::Char),
        (kind.is_block_device(), EntryType::Block),
    ];
    kinds.into_iter().find_map(|(is_it, kind)| is_it.then_some(kind))
}

fn describe(name: &[u8], kind: EntryType, meta: &Metadata) -> Member {
    let mut member = Member::new(name, kind);
    if kind.is_dir() && !name.ends_with(b"/") {
        member.name.push(b'/');
    }
    member.mode = meta.mode() & 0o7777;
    (member.uid, member.gid) = (meta.uid(), meta.gid());
    member.modified = (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or_default());
    let number = |number: u64| u32::try_from(number).unwrap_or_default();
    member.device = (number(major(meta.rdev())), number(minor(meta.rdev())));
    member
}

/// Not through a link, and not waiting for whoever writes to a fifo.
fn open(place: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(place)
}

/// A program's capabilities, without the user namespace that they are for: it is of no use elsewhere.
fn capability(place: &Path) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let count = lgetxattr(place, CAPABILITY, &mut value).ok()?;
    let mut value = value.get(..count)?.to_owned();
    // The revision stands in the highest byte of a little-endian word.
    if value.get(3) == Some(&3) {
        value[3] = 2;
        value.truncate(CAPABILITY_SIZE);
    }
    Some(value)
}
