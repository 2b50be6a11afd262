//! What a directory holds ([`crate::request::Request::Scan`]): one record for each thing in it, in a form that both ends
//! can keep, too. Contents are not in it: what a file system says of a file tells whether it was changed.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use crate::limits;

/// Seconds since 1970, and nanoseconds.
pub type Time = (i64, u32);

/// Bytes of a record before its texts.
const FIXED: usize = 4 + 4 + 4 + 4 + 8 + 12 + 12 + 8 + 1;

/// Something in a directory, or the directory itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// From the directory on, with `/` between its parts and none at either end; empty for the directory itself.
    pub path: Vec<u8>,
    /// `st_mode`: kind and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; 0 for all but files.
    pub size: u64,
    /// When its content was changed, as everybody may set it.
    pub modified: Time,
    /// When anything of it was changed, as the kernel alone sets it.
    pub changed: Time,
    /// Its number in its file system.
    pub inode: u64,
    /// What cannot be looked into, or has something else mounted over it: nothing is known of what is there, nor below.
    pub closed: bool,
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
}

/// A list that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list of files is damaged")]
pub struct Damaged;

impl Listed {
    /// A thing by what its file system says of it.
    pub fn new(path: impl Into<Vec<u8>>, meta: &Metadata) -> Self {
        let nanoseconds = |count: i64| u32::try_from(count).unwrap_or_default();
        Self {
            path: path.into(),
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            size: if meta.is_file() { meta.size() } else { 0 },
            modified: (meta.mtime(), nanoseconds(meta.mtime_nsec())),
            changed: (meta.ctime(), nanoseconds(meta.ctime_nsec())),
            inode: meta.ino(),
            closed: false,
            target: Vec::new(),
        }
    }

    /// The kind, as it stands in `st_mode`.
    pub fn kind(&self) -> u32 {
        self.mode & 0o170_000
    }

    /// Permissions with setuid, setgid and sticky.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Whether it is a file of bytes.
    pub fn is_file(&self) -> bool {
        self.kind() == 0o100_000
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == 0o040_000
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind() == 0o120_000
    }

    /// Whether it is a named pipe.
    pub fn is_fifo(&self) -> bool {
        self.kind() == 0o010_000
    }

    /// Appends its record.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let length = FIXED + self.path.len() + self.target.len();
        // Paths are shorter than the kernel's 4,096 bytes, and so are targets.
        to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        to.extend(u32::try_from(self.path.len()).unwrap_or(u32::MAX).to_le_bytes());
        for number in [self.mode, self.uid, self.gid] {
            to.extend(number.to_le_bytes());
        }
        to.extend(self.size.to_le_bytes());
        for (seconds, nanoseconds) in [self.modified, self.changed] {
            to.extend(seconds.to_le_bytes());
            to.extend(nanoseconds.to_le_bytes());
        }
        to.extend(self.inode.to_le_bytes());
        to.push(u8::from(self.closed));
        to.extend(&self.path);
        to.extend(&self.target);
    }

    fn decode(mut record: &[u8]) -> Option<Self> {
        let path_length = usize::try_from(u32::from_le_bytes(take(&mut record)?)).ok()?;
        let mode = u32::from_le_bytes(take(&mut record)?);
        let uid = u32::from_le_bytes(take(&mut record)?);
        let gid = u32::from_le_bytes(take(&mut record)?);
        let size = u64::from_le_bytes(take(&mut record)?);
        let mut time =
            || Some((i64::from_le_bytes(take(&mut record)?), u32::from_le_bytes(take(&mut record)?)));
        let (modified, changed) = (time()?, time()?);
        let inode = u64::from_le_bytes(take(&mut record)?);
        let closed = match take::<1>(&mut record)? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let (path, target) = record.split_at_checked(path_length)?;
        let (path, target) = (path.to_vec(), target.to_vec());
        Some(Self { path, mode, uid, gid, size, modified, changed, inode, closed, target })
    }
}

fn take<const N: usize>(record: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = record.split_first_chunk()?;
    *record = rest;
    Some(*first)
}

/// Takes a list apart that comes in pieces.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(piece);
    }

    /// The next record; none before more has come.
    pub fn take(&mut self) -> Result<Option<Listed>, Damaged> {
        let Some((length, rest)) = self.bytes.get(self.at..).and_then(<[u8]>::split_first_chunk) else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damaged)?;
        if length > limits::LISTED {
            return Err(Damaged);
        }
        let Some(record) = rest.get(..length) else { return Ok(None) };
        let listed = Listed::decode(record).ok_or(Damaged)?;
        self.at += 4 + length;
        Ok(Some(listed))
    }

    /// Errors: the list breaks off within a record.
    pub fn finish(&self) -> Result<(), Damaged> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(Damaged) }
    }
}
