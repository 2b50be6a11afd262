//! Writing the headers of a tar archive, as dockerd does: POSIX, with extended records only for what has no other place.

use sockerless_pax::{ATTRIBUTE, extend, fraction, record};
use tar::{EntryType, Header};

pub use sockerless_pax::BLOCK;

/// The one extended attribute that archives carry.
pub const CAPABILITY: &str = "security.capability";

/// The largest that seven octal digits say.
const OWNER_MOST: u32 = 0o7_777_777;
/// The largest that eleven octal digits say.
const SIZE_MOST: u64 = 0o77_777_777_777;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As it stands in the archive; a directory's ends in `/`.
    pub name: Vec<u8>,
    pub kind: EntryType,
    /// Permissions, with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of content that follow.
    pub size: u64,
    /// Seconds since 1970, and nanoseconds in addition.
    pub modified: (i64, u32),
    /// When it was read, if the archive says.
    pub accessed: Option<(i64, u32)>,
    /// Of a symbolic or hard link.
    pub link: Vec<u8>,
    /// Of a device: major, minor.
    pub device: (u32, u32),
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// An empty file of root's.
    pub fn new(name: impl Into<Vec<u8>>, kind: EntryType) -> Self {
        Self {
            name: name.into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            modified: (0, 0),
            accessed: None,
            link: Vec::new(),
            device: (0, 0),
            attributes: Vec::new(),
        }
    }

    /// Appends the header, and an extended one before it where that is needed. `precise`: with nanoseconds, which dockerd
    /// leaves out.
    pub fn encode(&self, precise: bool, out: &mut Vec<u8>) {
        let mut records = Vec::new();
        let mut header = Header::new_ustar();
        let fields = header.as_mut_bytes();
        let fits = self.name.is_ascii() && place_name(&self.name, fields);
        if !fits {
            place(&self.name, &mut fields[..100]);
            record(&mut records, b"path", &self.name);
        }
        if !place(&self.link, &mut fields[157..257]) || !self.link.is_ascii() {
            record(&mut records, b"linkpath", &self.link);
        }
        for (key, number, most, set) in [
            (
                &b"uid"[..],
                u64::from(self.uid),
                u64::from(OWNER_MOST),
                Header::set_uid as fn(&mut Header, u64),
            ),
            (b"gid", u64::from(self.gid), u64::from(OWNER_MOST), Header::set_gid),
            (b"size", self.size, SIZE_MOST, Header::set_size),
        ] {
            if number > most {
                record(&mut records, key, number.to_string().as_bytes());
            }
            set(&mut header, if number > most { 0 } else { number });
        }
        let (seconds, nanoseconds) = self.modified;
        let whole = u64::try_from(seconds).ok().filter(|seconds| *seconds <= SIZE_MOST);
        header.set_mtime(whole.unwrap_or_default());
        if whole.is_none() || precise && nanoseconds > 0 {
            record(&mut records, b"mtime", fraction(seconds, nanoseconds).as_bytes());
        }
        for (name, value) in &self.attributes {
            record(&mut records, &[ATTRIBUTE.as_bytes(), name].concat(), value);
        }
        header.set_mode(self.mode & 0o7777);
        header.set_entry_type(self.kind);
        if self.kind.is_character_special() || self.kind.is_block_special() {
            // Neither can fail: the format has these fields.
            let _ = header.set_device_major(self.device.0);
            let _ = header.set_device_minor(self.device.1);
        }
        header.set_cksum();
        if !records.is_empty() {
            extend(&self.name, &records, out);
        }
        out.extend_from_slice(header.as_bytes());
    }
}

/// Writes into a field; false if that had to be cut.
fn place(text: &[u8], field: &mut [u8]) -> bool {
    let fits = text.len() <= field.len();
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    fits
}

/// Writes a name, parted at a `/` when it is long; false if that is of no use.
fn place_name(name: &[u8], header: &mut [u8; BLOCK]) -> bool {
    if name.len() <= 100 {
        return place(name, &mut header[..100]);
    }
    let within = &name[..name.len().min(156)];
    let part = within.iter().rposition(|byte| *byte == b'/').filter(|at| *at > 0);
    let Some(at) = part.filter(|at| (1..=100).contains(&(name.len() - at - 1))) else { return false };
    place(&name[at + 1..], &mut header[..100]) && place(&name[..at], &mut header[345..500])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordinary_needs_one_block_only() {
        let blocks = |member: Member, precise| {
            let mut out = Vec::new();
            member.encode(precise, &mut out);
            out.len() / BLOCK
        };
        let file = || Member { modified: (1, 5), ..Member::new("a/b", EntryType::Regular) };
        assert_eq!(blocks(file(), false), 1);
        assert_eq!(blocks(file(), true), 3);
        assert_eq!(blocks(Member::new("d/".repeat(100), EntryType::Directory), false), 1);
        assert_eq!(blocks(Member::new("d".repeat(101), EntryType::Regular), false), 3);
        assert_eq!(blocks(Member { uid: 2_097_152, ..file() }, false), 3);
    }
}
