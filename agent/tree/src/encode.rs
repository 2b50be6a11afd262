//! The compact form of a manifest.
//!
//! `SLT1`, the number of names, and for each: how many bytes its path has in common with the one before, the rest of it,
//! kind, mode, owner, group, time, and what its kind needs. Numbers are of variable length (LEB128).

use crate::{Content, Digest, File, Manifest, Node, limits, path};

const MAGIC: &[u8; 4] = b"SLT1";

/// Bytes that are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a manifest that this version can read: {0}")]
pub struct Malformed(pub &'static str);

/// Writes numbers and bytes.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A number, in as many bytes as it needs.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number that may be negative.
    pub fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    /// Bytes with their count before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A digest.
    pub fn digest(&mut self, digest: &Digest) {
        self.0.extend_from_slice(&digest.0);
    }
}

/// Reads what a [`Writer`] has written.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// This many bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is too large"))
    }

    /// A number that may be negative.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok(((number >> 1) as i64) ^ -((number & 1) as i64))
    }

    /// A number of 32 bits.
    pub fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number is too large"))
    }

    /// How many things follow, of which each takes at least one byte.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed("a number is too large"))?;
        if count > self.0.len() { Err(Malformed("it is cut off")) } else { Ok(count) }
    }

    /// Bytes with their count before them.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count()?;
        self.take(count)
    }

    /// A digest.
    pub fn digest(&mut self) -> Result<Digest, Malformed> {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.take(32)?);
        Ok(Digest(digest))
    }
}

impl Manifest {
    /// The compact form.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer(MAGIC.to_vec());
        to.number(self.len() as u64);
        let mut before: &[u8] = b"";
        for (path, node) in self.iter() {
            let common = path.iter().zip(before).take_while(|(one, other)| one == other).count();
            to.number(common as u64);
            to.bytes(&path[common..]);
            before = path;
            write(&mut to, node);
        }
        to.0
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// What is wrong with it. Whatever is read can be used: all paths are sound, each has a directory above it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let manifest = Self::read(&mut from)?;
        if from.0.is_empty() { Ok(manifest) } else { Err(Malformed("it goes on behind its end")) }
    }

    /// Reads the compact form, with more behind it.
    ///
    /// # Errors
    /// As for [`Manifest::decode`].
    pub fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if from.take(4)? != MAGIC {
            return Err(Malformed("it does not begin as one"));
        }
        let count = from.count()?;
        let (mut manifest, mut before) = (Self::new(), Vec::new());
        for number in 0..count {
            let common = usize::try_from(from.number()?).unwrap_or(usize::MAX);
            let mut path = before.get(..common).ok_or(Malformed("a path goes on from none"))?.to_vec();
            path.extend_from_slice(from.bytes()?);
            let is_next = number == 0 || path > before;
            if !is_next || !path::is_sound(&path) {
                return Err(Malformed("a path is wrong"));
            }
            let above = path::parent(&path).map(|parent| manifest.get(parent));
            if above.is_some_and(|above| above.is_none_or(|node| !node.content.is_directory())) {
                return Err(Malformed("a path leads through no directory"));
            }
            let node = read(from)?;
            if path.is_empty() && !node.content.is_directory() {
                return Err(Malformed("its top is no directory"));
            }
            manifest.insert(path.clone(), node);
            before = path;
        }
        Ok(manifest)
    }
}

fn write(to: &mut Writer, node: &Node) {
    let kind = match &node.content {
        Content::Directory => 0,
        Content::File(file) if file.group.is_none() => 1,
        Content::File(_) => 2,
        Content::Link(_) => 3,
        Content::Pipe => 4,
    };
    to.0.push(kind);
    for number in [node.mode, node.uid, node.gid] {
        to.number(u64::from(number));
    }
    to.signed(node.modified);
    match &node.content {
        Content::Directory | Content::Pipe => {}
        Content::Link(target) => to.bytes(target),
        Content::File(file) => {
            if let Some(group) = &file.group {
                to.bytes(group);
            }
            to.number(file.size);
            file.chunks.iter().for_each(|chunk| to.digest(chunk));
        }
    }
}

fn read(from: &mut Reader<'_>) -> Result<Node, Malformed> {
    let kind = from.take(1)?[0];
    let (mode, uid, gid, modified) = (from.small()?, from.small()?, from.small()?, from.signed()?);
    if mode > 0o7777 {
        return Err(Malformed("a mode is wrong"));
    }
    let content = match kind {
        0 => Content::Directory,
        1 | 2 => {
            let group = (kind == 2).then(|| from.bytes().map(<[u8]>::to_vec)).transpose()?;
            let size = from.number()?;
            let count = usize::try_from(size.div_ceil(limits::CHUNK as u64)).unwrap_or(usize::MAX);
            if count > from.0.len() {
                return Err(Malformed("it is cut off"));
            }
            let chunks = (0..count).map(|_| from.digest()).collect::<Result<_, _>>()?;
            Content::File(File { size, chunks, group })
        }
        3 => Content::Link(from.bytes()?.to_vec()),
        4 => Content::Pipe,
        _ => return Err(Malformed("a kind is not known")),
    };
    Ok(Node { mode, uid, gid, modified, content })
}
