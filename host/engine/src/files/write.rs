//! Writing members of archives as dockerd does: POSIX, with extended records only for what has no other place.

use std::io::{self, Read, Write};

use sockerless_pax::{ATTRIBUTE, BLOCK, extend, fraction, record};
use tar::{EntryType, Header};

use super::{
    member::{Kind, Meta},
    tree::WHITEOUT,
};

/// The largest that eleven octal digits say.
const LARGEST: u64 = 0o77_777_777_777;
/// The largest that seven octal digits say.
const LARGEST_ID: u64 = 0o7_777_777;
/// Bytes of the fields for a name and for a link's target.
const NAME: usize = 100;

/// Writes members; `precise` with fractions of seconds, which dockerd leaves out of what it hands to clients.
///
/// Unlike the library's builder it writes nothing when it is dropped: an archive that nobody finished has no end.
pub(super) struct Writer<W: Write> {
    out: W,
    precise: bool,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, precise: bool) -> Self {
        Self { out, precise }
    }

    /// One member with its bytes, of which there have to be as many as `meta` says.
    pub fn append(&mut self, name: &[u8], meta: &Meta, mut content: impl Read) -> io::Result<()> {
        let kind = match meta.kind {
            Kind::File => EntryType::Regular,
            Kind::Directory => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::Character => EntryType::Char,
            Kind::Block => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
        };
        let mut name = name.to_vec();
        if meta.kind == Kind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        self.header(&name, kind, meta, &meta.target)?;
        let copied = io::copy(&mut content.by_ref().take(meta.size), &mut self.out)?;
        if copied < meta.size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF"));
        }
        self.pad(copied)
    }

    /// Another name of a member that was written before.
    pub fn append_hard(&mut self, name: &[u8], meta: &Meta, target: &[u8]) -> io::Result<()> {
        let meta = Meta { size: 0, attributes: Vec::new(), ..meta.clone() };
        self.header(name, EntryType::Link, &meta, target)
    }

    /// What takes a thing away from the layers below.
    pub fn append_whiteout(&mut self, path: &[u8]) -> io::Result<()> {
        let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let name = [&path[..at], WHITEOUT, &path[at..]].concat();
        let meta = Meta { mode: 0o600, ..Meta::default() };
        self.append(&name, &meta, io::empty())
    }

    /// The end of the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let over = usize::try_from(bytes % BLOCK as u64).unwrap_or_default();
        self.out.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }

    fn header(&mut self, name: &[u8], kind: EntryType, meta: &Meta, link: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        let mut field = |range: std::ops::Range<usize>, text: &[u8], key: &str, header: &mut Header| {
            let fits = text.len() <= range.len() && text.is_ascii();
            let cut = &text[..text.len().min(NAME)];
            header.as_mut_bytes()[range.start..range.start + cut.len()].copy_from_slice(cut);
            if !fits {
                records.push((key.to_owned(), text.to_vec()));
            }
        };
        field(0..NAME, name, "path", &mut header);
        field(157..157 + NAME, link, "linkpath", &mut header);
        let mut number = |value: u64, most: u64, key: &str| {
            if value > most {
                records.push((key.to_owned(), value.to_string().into_bytes()));
            }
            if value > most { 0 } else { value }
        };
        header.set_uid(number(meta.uid, LARGEST_ID, "uid"));
        header.set_gid(number(meta.gid, LARGEST_ID, "gid"));
        header.set_size(number(meta.size, LARGEST, "size"));
        let (seconds, nanoseconds) = meta.modified;
        let whole = u64::try_from(seconds).ok().filter(|seconds| *seconds <= LARGEST);
        header.set_mtime(whole.unwrap_or_default());
        if whole.is_none() || self.precise && nanoseconds > 0 {
            records.push(("mtime".to_owned(), fraction(seconds, nanoseconds).into_bytes()));
        }
        for (name, value) in &meta.attributes {
            records.push((format!("{ATTRIBUTE}{name}"), value.clone()));
        }
        header.set_mode(meta.mode & 0o7777);
        header.set_entry_type(kind);
        if matches!(meta.kind, Kind::Character | Kind::Block) {
            header.set_device_major(meta.device.0)?;
            header.set_device_minor(meta.device.1)?;
        }
        header.set_cksum();
        if !records.is_empty() {
            let (mut all, mut extended) = (Vec::new(), Vec::new());
            records.iter().for_each(|(key, value)| record(&mut all, key.as_bytes(), value));
            extend(name, &all, &mut extended);
            self.out.write_all(&extended)?;
        }
        self.out.write_all(header.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::{
        member::{Member, What},
        read::{Stream, members},
    };

    fn meta() -> impl Strategy<Value = Meta> {
        let kinds = prop_oneof![
            Just(Kind::File),
            Just(Kind::Directory),
            Just(Kind::Symlink),
            Just(Kind::Character),
            Just(Kind::Fifo)
        ];
        let text = || proptest::collection::vec(1u8.., 1..200);
        let attributes = proptest::collection::vec(("[a-z.]{1,20}", text()), 0..2);
        let times = (-9_000_000_000i64..9_000_000_000, 0u32..1_000_000_000);
        (
            kinds,
            0u32..0o10000,
            0u64..u64::from(u32::MAX),
            0u64..5000,
            times,
            text(),
            any::<(u16, u16)>(),
            attributes,
        )
            .prop_map(|(kind, mode, uid, size, modified, target, device, attributes)| Meta {
                kind,
                mode: if kind == Kind::Symlink { 0o777 } else { mode },
                uid,
                gid: uid / 3,
                size: if kind == Kind::File { size } else { 0 },
                modified,
                target: if kind == Kind::Symlink { target } else { Vec::new() },
                device: if kind == Kind::Character { (device.0.into(), device.1.into()) } else { (0, 0) },
                attributes,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec((proptest::collection::vec(1u8.., 1..250), meta()), 0..5)) {
            let mut writer = Writer::new(Vec::new(), true);
            for (name, meta) in &all {
                writer.append(name, meta, io::repeat(1)).unwrap();
            }
            let read = members(Stream(writer.finish().unwrap().as_slice())).unwrap();
            let expected: Vec<Member> = all.into_iter().map(|(mut name, meta)| {
                if meta.kind == Kind::Directory && !name.ends_with(b"/") {
                    name.push(b'/');
                }
                Member { name, what: What::Thing(meta) }
            }).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_member_with_too_few_bytes_is_an_error() {
        let meta = Meta { size: 10, ..Meta::default() };
        assert!(Writer::new(Vec::new(), false).append(b"a", &meta, &b"short"[..]).is_err());
    }

    #[test]
    fn whiteouts_stand_beside_what_they_take_away() {
        let mut writer = Writer::new(Vec::new(), false);
        writer.append_whiteout(b"a").unwrap();
        writer.append_whiteout(b"b/c").unwrap();
        let read = members(Stream(writer.finish().unwrap().as_slice())).unwrap();
        assert_eq!([&read[0].name[..], &read[1].name[..]], [&b".wh.a"[..], b"b/.wh.c"]);
    }
}
