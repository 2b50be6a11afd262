//! Reading archives, with dockerd's words for what is wrong with them.

use std::{
    fs::File,
    io::{self, BufReader, Read},
};

use sockerless_pax::{self as pax, ATTRIBUTE, BLOCK, Record};
use tar::{EntryType, Header};

use super::member::{Kind, Member, Meta, What};

/// Where a header says how many bytes follow.
const SIZE: std::ops::Range<usize> = 124..136;

/// Bytes of an extended header. What it says has to be held in memory.
const EXTENDED: u64 = 1 << 20;

/// Where an archive comes from.
pub(super) trait Input: Read + Sized {
    /// Goes on so many bytes. Errors: there are not as many.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(cut_short()) }
    }
}

/// A stream of bytes.
pub(super) struct Stream<R>(pub R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Input for Stream<R> {}

/// A file, of which only the headers are read.
pub(super) struct Headers {
    file: BufReader<File>,
    left: u64,
}

impl Headers {
    pub fn of(file: File) -> io::Result<Self> {
        let left = file.metadata()?.len();
        Ok(Self { file: BufReader::new(file), left })
    }
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

impl Input for Headers {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(cut_short)?;
        self.file.seek_relative(i64::try_from(bytes).map_err(|_| cut_short())?)
    }
}

/// An archive that is being read. As a reader it gives the present member's bytes.
pub(super) struct Archive<I> {
    input: I,
    /// Bytes of the present member, and of the padding behind them.
    content: u64,
    padding: u64,
    /// The present member's bytes are not as they are in the file.
    sparse: bool,
}

/// What extended headers say of the member behind them.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Vec<Record>,
}

impl<I: Input> Archive<I> {
    pub fn new(input: I) -> Self {
        Self { input, content: 0, padding: 0, sparse: false }
    }

    /// The next member; none at the end, which is zeros or, as for Go's reader, the end of the stream.
    pub fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extended = Extended::default();
        loop {
            if self.content > 0 {
                self.input.skip(self.content)?;
                self.content = 0;
            }
            self.pad()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.entry_type().as_byte() {
                b'x' => extended.records = pax::records(&self.all(&header)?).ok_or_else(invalid)?,
                b'L' => extended.name = Some(pax::text(self.all(&header)?)),
                b'K' => extended.link = Some(pax::text(self.all(&header)?)),
                b'g' => drop(self.all(&header)?),
                _ => return self.member(&header, extended).map(Some),
            }
        }
    }

    /// Reads what follows the archive: a sender may fill its last record.
    pub fn drain(mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink()).map(drop)
    }

    /// Padding may be missing at the very end, which is no loss.
    fn pad(&mut self) -> io::Result<()> {
        let mut rest = self.input.by_ref().take(std::mem::take(&mut self.padding));
        io::copy(&mut rest, &mut io::sink()).map(drop)
    }

    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(cut_short()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let bytes = header.as_bytes().iter().enumerate();
        let sum: u32 =
            bytes.map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
        if header.cksum().ok() == Some(sum) { Ok(Some(header)) } else { Err(invalid()) }
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// The whole content of an extended header.
    fn all(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        let size = unsigned(&header.as_bytes()[SIZE])?;
        if size > EXTENDED {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "archive/tar: header field too long"));
        }
        self.begin(size);
        self.sparse = false;
        let mut all = Vec::new();
        self.read_to_end(&mut all)?;
        Ok(all)
    }

    fn member(&mut self, header: &Header, extended: Extended) -> io::Result<Member> {
        let name = extended.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = || header.link_name_bytes().unwrap_or_default().into_owned();
        let mut link = extended.link.unwrap_or_else(link);
        let bytes = header.as_bytes();
        let stored = unsigned(&bytes[SIZE])?;
        let mut member = Member { name, what: What::Other };
        let mut meta = Meta {
            mode: u32::try_from(unsigned(&bytes[100..108])? & 0o7777).unwrap_or_default(),
            uid: unsigned(&bytes[108..116])?,
            gid: unsigned(&bytes[116..124])?,
            size: stored,
            modified: (number(&bytes[136..148])?, 0),
            ..Meta::default()
        };
        for (key, value) in extended.records {
            match key.as_slice() {
                b"path" => member.name = value,
                b"linkpath" => link = value,
                _ => amend(&mut meta, &key, value)?,
            }
        }
        self.sparse = header.entry_type().is_gnu_sparse();
        self.begin(meta.size);
        // Before POSIX directories were told by their names.
        let old_directory = header.as_bytes()[156] == 0 && member.name.ends_with(b"/");
        meta.kind = match header.entry_type() {
            EntryType::Regular if old_directory => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::GNUSparse => {
                self.skip_map(header)?;
                meta.size = header.as_gnu().ok_or_else(invalid)?.real_size().map_err(|_| invalid())?;
                Kind::File
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Char => Kind::Character,
            EntryType::Block => Kind::Block,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Link => {
                // Some programs say the target's size here, and none sends its bytes again.
                self.begin(0);
                member.what = What::Hard(link);
                return Ok(member);
            }
            _ => return Ok(member),
        };
        if meta.kind != Kind::File {
            // Only files have content, whatever the header says.
            self.begin(0);
            meta.size = 0;
        }
        match meta.kind {
            // Whatever the header says: no file system knows another mode for them.
            Kind::Symlink => (meta.target, meta.mode) = (link, 0o777),
            Kind::Character | Kind::Block => {
                let part = |value: io::Result<Option<u32>>| value.ok().flatten().unwrap_or_default();
                meta.device = (part(header.device_major()), part(header.device_minor()));
            }
            _ => {}
        }
        member.what = What::Thing(meta);
        Ok(member)
    }

    /// The rest of GNU's list of where a file has bytes.
    fn skip_map(&mut self, header: &Header) -> io::Result<()> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Err(cut_short());
            }
            more = block[504] == 1;
        }
        Ok(())
    }
}

impl<I: Input> Read for Archive<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.sparse && self.content > 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a sparse file in an archive cannot be read",
            ));
        }
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(cut_short());
        }
        self.content -= count as u64;
        Ok(count)
    }
}

/// A header's number.
fn number(field: &[u8]) -> io::Result<i64> {
    pax::number(field).ok_or_else(invalid)
}

fn unsigned(field: &[u8]) -> io::Result<u64> {
    pax::unsigned(field).ok_or_else(invalid)
}

/// Applies a record of an extended header.
fn amend(meta: &mut Meta, key: &[u8], value: Vec<u8>) -> io::Result<()> {
    let number = || std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).ok_or_else(invalid);
    match key {
        b"uid" => meta.uid = number()?,
        b"gid" => meta.gid = number()?,
        b"size" => meta.size = number()?,
        b"mtime" => meta.modified = pax::seconds(&value).ok_or_else(invalid)?,
        key => {
            let name = key.strip_prefix(ATTRIBUTE.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
            if let Some(name) = name {
                meta.attributes.push((name.to_owned(), value));
            }
        }
    }
    Ok(())
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "archive/tar: invalid tar header")
}

/// All members of an archive, to its end.
pub(super) fn members<I: Input>(input: I) -> io::Result<Vec<Member>> {
    let mut archive = Archive::new(input);
    let mut members = Vec::new();
    while let Some(member) = archive.next()? {
        members.push(member);
    }
    archive.drain()?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in ["a".to_owned(), "x/".repeat(90) + "b"] {
            let mut header = Header::new_gnu();
            header.set_size(700);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            builder.append_data(&mut header, name, &[7; 700][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn both(bytes: &[u8]) -> Result<Vec<Member>, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let of_file = members(Headers::of(file).unwrap()).map_err(|error| error.to_string());
        let of_stream = members(Stream(bytes)).map_err(|error| error.to_string());
        assert_eq!(of_file, of_stream);
        of_file
    }

    #[test]
    fn an_archive_is_listed_and_its_end_may_be_missing() {
        let bytes = archive();
        let all = both(&bytes).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].name, ("x/".repeat(90) + "b").into_bytes());
        for end in [1024, 1500, 1024 + (1024 - 700)] {
            assert_eq!(both(&bytes[..bytes.len() - end.min(1024 + 324)]).unwrap(), all);
        }
        assert_eq!(both(&[]).unwrap(), []);
        assert_eq!(both(&[0; 512]).unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_or_no_archive_is_told_in_dockerds_words() {
        let bytes = archive();
        for cut in [100, 600, 512 + 699, 512 + 1024 + 100, 512 + 1024 + 512 + 50] {
            assert_eq!(both(&bytes[..cut]), Err("unexpected EOF".into()), "{cut}");
        }
        assert_eq!(both(&b"hello world".repeat(100)), Err("archive/tar: invalid tar header".into()));
    }

    #[test]
    fn the_bytes_of_a_member_can_be_read_or_left() {
        let bytes = archive();
        let mut archive = Archive::new(Stream(bytes.as_slice()));
        archive.next().unwrap().unwrap();
        archive.read_exact(&mut [0; 100]).unwrap();
        archive.next().unwrap().unwrap();
        let mut content = Vec::new();
        archive.read_to_end(&mut content).unwrap();
        assert_eq!(content, [7; 700]);
        assert_eq!(archive.next().unwrap(), None);
        let mut cut = Archive::new(Stream(&bytes[..1000]));
        cut.next().unwrap().unwrap();
        assert_eq!(cut.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "unexpected EOF");
    }
}
