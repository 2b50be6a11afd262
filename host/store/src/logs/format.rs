//! The bytes of a log file.
//!
//! A log is a sequence of records: a header of 32 bytes and, for output, what was written.
//! All numbers are little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 0–3 | CRC-32 of bytes 4–31 |
//! | 4 | kind: 0 stdout, 1 stderr, 2 a run begins, 3 a run has ended |
//! | 5 | version of the format: 1 |
//! | 6–7 | zero |
//! | 8–11 | generation of the run |
//! | 12–15 | bytes that follow the header |
//! | 16–23 | nanoseconds since 1970, never less than in the record before |
//! | 24–31 | bytes of this output of this run that stand before this record |
//!
//! A file's name is the position of its first byte in the log, so that rotation can drop the
//! oldest files without moving any position. A record is in one file as a whole.

/// Bytes of a header.
pub const HEADER: usize = 32;

const VERSION: u8 = 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Output 0 or 1.
    Output(usize),
    /// The run begins.
    Begin,
    /// The run has ended.
    Finish,
}

/// A record without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Which run.
    pub generation: u32,
    /// Bytes that follow.
    pub length: u32,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Bytes of this output before.
    pub offset: u64,
}

impl Header {
    /// As it stands in the file.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[4] = match self.kind {
            Kind::Output(output) => u8::from(output == 1),
            Kind::Begin => 2,
            Kind::Finish => 3,
        };
        bytes[5] = VERSION;
        bytes[8..12].copy_from_slice(&self.generation.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.offset.to_le_bytes());
        let sum = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header, or says what is wrong with it.
    pub fn decode(bytes: &[u8; HEADER]) -> Result<Self, &'static str> {
        if crc32fast::hash(&bytes[4..]) != u32_at(bytes, 0) {
            return Err("a record's header does not match its checksum");
        }
        if bytes[5] != VERSION {
            return Err("a record of a format that this version does not know");
        }
        let kind = match bytes[4] {
            0 => Kind::Output(0),
            1 => Kind::Output(1),
            2 => Kind::Begin,
            3 => Kind::Finish,
            _ => return Err("a record of a kind that this version does not know"),
        };
        Ok(Self {
            kind,
            generation: u32_at(bytes, 8),
            length: u32_at(bytes, 12),
            time: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
        })
    }

    /// Header and bytes.
    pub fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }
}

/// Four bytes as a number.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// Eight bytes as a number.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
