//! Reading a tar archive from pieces of a stream.
//!
//! The fields are read by the `tar` crate; its iterator is not used, since it parts extended records at line ends, which
//! capabilities and names may contain, and copies all content once more.

use std::ops::Range;

use bytes::{Buf, Bytes};
use sockerless_agent_wire::request::{Fault, FaultKind};
use sockerless_pax::{Record, text};
use tar::{EntryType, Header};

use super::{
    fields::{invalid, number, records, size},
    header::{BLOCK, Member},
};
use crate::work::{fault::fault, stream::In};

/// An extended header is not larger, bytes: what Go's reader takes.
const EXTENDED: u64 = 1 << 20;

/// See the module.
pub struct Reader {
    source: In,
    piece: Bytes,
    /// Content of the present member that was not read.
    left: u64,
    /// What fills its last block.
    padding: u64,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Vec<Record>,
}

impl Reader {
    /// An archive from its beginning.
    pub fn new(source: In) -> Self {
        Self { source, piece: Bytes::new(), left: 0, padding: 0 }
    }

    /// The next member; what was not read of the last one's content is passed over. None at the end of the archive.
    pub fn next(&mut self) -> Result<Option<Member>, Fault> {
        let mut extended = Extended::default();
        let mut is_extended = false;
        loop {
            while self.content()?.is_some() {}
            let Some(header) = self.header()? else {
                return if is_extended { Err(cut_short()) } else { Ok(None) };
            };
            is_extended = true;
            let kind = header.entry_type();
            match kind.as_byte() {
                b'x' => extended.records = records(&self.all(&header)?)?,
                b'L' => extended.name = Some(text(self.all(&header)?)),
                b'K' => extended.link = Some(text(self.all(&header)?)),
                b'g' => drop(self.all(&header)?),
                _ => return self.member(&header, extended).map(Some),
            }
        }
    }

    /// The next piece of the present member's content; none at its end.
    pub fn content(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.left == 0 {
            while self.padding > 0 {
                self.padding -= self.take(self.padding)?.len() as u64;
            }
            return Ok(None);
        }
        let piece = self.take(self.left)?;
        self.left -= piece.len() as u64;
        Ok(Some(piece))
    }

    /// Reads what follows the archive: a sender may fill its last record.
    pub fn drain(&mut self) -> Result<(), Fault> {
        self.piece = Bytes::new();
        while self.source.next()?.is_some() {}
        Ok(())
    }

    /// At most so much of what comes next, and at least a byte.
    fn take(&mut self, most: u64) -> Result<Bytes, Fault> {
        if self.piece.is_empty() {
            self.piece = self.source.next()?.ok_or_else(cut_short)?;
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.piece.len());
        Ok(self.piece.split_to(count))
    }

    /// A block; false at the end of the stream.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Fault> {
        let mut filled = 0;
        while filled < BLOCK {
            if self.piece.is_empty() {
                match self.source.next()? {
                    Some(piece) => self.piece = piece,
                    None if filled == 0 => return Ok(false),
                    None => return Err(cut_short()),
                }
            }
            let count = self.piece.len().min(BLOCK - filled);
            self.piece.copy_to_slice(&mut block[filled..filled + count]);
            filled += count;
        }
        Ok(true)
    }

    /// The next header; none at the end, which is two blocks of zeros, or, as Go's reader has it, the end of the stream.
    fn header(&mut self) -> Result<Option<Header>, Fault> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return match self.block(header.as_mut_bytes())? {
                true if header.as_bytes().iter().any(|byte| *byte != 0) => Err(invalid()),
                _ => Ok(None),
            };
        }
        let bytes = header.as_bytes();
        let sum = |value: fn(u8) -> i64| {
            bytes
                .iter()
                .enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { value(*byte) })
                .sum()
        };
        // Old programs summed signed bytes.
        let (unsigned, signed): (i64, i64) = (sum(i64::from), sum(|byte| i64::from(byte.cast_signed())));
        let said = number(&bytes[148..156])?;
        if said != unsigned && said != signed {
            return Err(invalid());
        }
        Ok(Some(header))
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// The whole content of an extended header.
    fn all(&mut self, header: &Header) -> Result<Vec<u8>, Fault> {
        let size = size(header)?;
        if size > EXTENDED {
            return Err(fault(FaultKind::Invalid, "archive/tar: header field too long"));
        }
        self.begin(size);
        let mut all = Vec::new();
        while let Some(piece) = self.content()? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    fn member(&mut self, header: &Header, extended: Extended) -> Result<Member, Fault> {
        let field = |range: Range<usize>| number(&header.as_bytes()[range]);
        let id = |range| u32::try_from(field(range)?).map_err(|_| invalid());
        let mut member = Member {
            name: extended.name.unwrap_or_else(|| header.path_bytes().into_owned()),
            kind: header.entry_type(),
            mode: (field(100..108)? & 0o7777) as u32,
            uid: id(108..116)?,
            gid: id(116..124)?,
            size: size(header)?,
            modified: (field(136..148)?, 0),
            accessed: None,
            link: extended.link.or_else(|| Some(header.link_name_bytes()?.into_owned())).unwrap_or_default(),
            device: (0, 0),
            attributes: Vec::new(),
        };
        if member.kind.is_character_special() || member.kind.is_block_special() {
            member.device = (id(329..337)?, id(337..345)?);
        }
        for (key, value) in extended.records {
            member.amend(key, value)?;
        }
        if member.kind.is_contiguous() {
            member.kind = EntryType::Regular;
        }
        // Before POSIX directories were told by their names.
        if header.as_bytes()[156] == 0 && member.name.ends_with(b"/") {
            member.kind = EntryType::Directory;
        }
        // Only files have content, whatever the header says.
        if !member.kind.is_file() && matches!(member.kind.as_byte(), b'1'..=b'6') {
            member.size = 0;
        }
        self.begin(member.size);
        Ok(member)
    }
}

fn cut_short() -> Fault {
    fault(FaultKind::Invalid, "unexpected EOF: the archive is cut short")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::work::stream::tests::input;

    fn read(bytes: &[u8], pieces: usize) -> Result<Vec<(Member, Vec<u8>)>, String> {
        let mut reader = Reader::new(input(bytes, pieces));
        let mut members = Vec::new();
        while let Some(member) = reader.next().map_err(|fault| fault.message)? {
            let mut content = Vec::new();
            while let Some(piece) = reader.content().map_err(|fault| fault.message)? {
                content.extend_from_slice(&piece);
            }
            members.push((member, content));
        }
        Ok(members)
    }

    fn write(members: &[(Member, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (member, content) in members {
            member.encode(true, &mut out);
            out.extend_from_slice(content);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        out.resize(out.len() + 2 * BLOCK, 0);
        out
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'\n'), 1u8..], 1..300),
            "[a-z/]{1,300}".prop_map(String::into_bytes),
        ]
    }

    fn member() -> impl Strategy<Value = (Member, Vec<u8>)> {
        let content = proptest::collection::vec(any::<u8>(), 0..1500);
        let times = (-3_000_000_000i64..10_000_000_000, 0u32..1_000_000_000);
        let attributes = proptest::collection::vec(
            ("[a-z.]{1,20}".prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..40)),
            0..3,
        );
        (name(), name(), 0u32..0o10000, any::<(u32, u32)>(), times, content, attributes, any::<bool>())
            .prop_map(|(name, link, mode, (uid, gid), modified, content, attributes, is_link)| {
                let kind = if is_link { EntryType::Symlink } else { EntryType::Regular };
                let (link, content) = if is_link { (link, Vec::new()) } else { (Vec::new(), content) };
                let size = content.len() as u64;
                let member =
                    Member { mode, uid, gid, size, modified, link, attributes, ..Member::new(name, kind) };
                (member, content)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_in_pieces_of_any_size(
            members in proptest::collection::vec(member(), 0..4), pieces in 1usize..2000,
        ) {
            prop_assert_eq!(read(&write(&members), pieces).unwrap(), members);
        }

        #[test]
        fn no_bytes_make_the_reader_fail_otherwise_than_by_saying_so(
            members in proptest::collection::vec(member(), 1..3),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = write(&members);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = read(&bytes, 700);
        }

        #[test]
        fn an_archive_that_is_cut_within_a_member_is_an_error(members in proptest::collection::vec(member(), 1..3), cut in 1usize..512) {
            let bytes = write(&members);
            let end = bytes.len() - 2 * BLOCK - cut;
            prop_assert!(read(&bytes[..end], 4096).unwrap_err().contains("unexpected EOF"));
        }
    }

    #[test]
    fn the_end_of_the_stream_ends_an_archive_and_zeros_do_too() {
        let bytes = write(&[(Member::new("a", EntryType::Regular), Vec::new())]);
        for end in [BLOCK, 2 * BLOCK, 3 * BLOCK] {
            assert_eq!(read(&bytes[..end], 4096).unwrap().len(), 1);
        }
        assert_eq!(read(&[], 1).unwrap(), []);
        assert_eq!(read(&[bytes.clone(), b"whatever".to_vec()].concat(), 100).unwrap().len(), 1);
        let split = [&bytes[..2 * BLOCK], &bytes[..BLOCK]].concat();
        assert_eq!(read(&split, 100), Err("archive/tar: invalid tar header".to_owned()));
        assert_eq!(read(&[b'x'; 1024], 100), Err("archive/tar: invalid tar header".to_owned()));
    }

    #[test]
    fn names_of_any_length_in_gnus_manner_are_read() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(3);
        header.set_cksum();
        let long = format!("{}/end", "long/".repeat(60));
        builder.append_data(&mut header, &long, &b"abc"[..]).unwrap();
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Link);
        link.set_size(0);
        builder.append_link(&mut link, "short", &long).unwrap();
        let members = read(&builder.into_inner().unwrap(), 333).unwrap();
        assert_eq!((members[0].0.name.as_slice(), members[0].1.as_slice()), (long.as_bytes(), &b"abc"[..]));
        assert_eq!(members[1].0.link, long.as_bytes());
    }

    #[test]
    fn what_is_written_is_what_others_read() {
        let long = format!("{}\u{fc}end", "long/".repeat(60));
        let mut file = Member { size: 3, uid: 3_000_000, ..Member::new(long.as_bytes(), EntryType::Regular) };
        file.mode = 0o4755;
        let bytes =
            write(&[(file, b"abc".to_vec()), (Member::new("d/".repeat(90), EntryType::Directory), vec![])]);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entries = archive.entries().unwrap();
        let first = entries.next().unwrap().unwrap();
        assert_eq!(
            (first.header().uid().unwrap(), first.header().mode().unwrap(), first.size()),
            (3_000_000, 0o4755, 3)
        );
        assert_eq!(entries.next().unwrap().unwrap().path_bytes().as_ref(), "d/".repeat(90).as_bytes());
    }
}
