//! Reads records from a log file, block by block.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    fault::Fault,
    files::Files,
    format::{HEADER, Header, Kind},
};

/// A cursor over a log's records, from file to file. Never reads beyond `end`, which is where the writer has been.
#[derive(Debug)]
pub struct Records {
    files: Arc<Files>,
    /// The file that is open, with the positions of its first byte and of what comes after it.
    open: Option<(File, u64, Option<u64>)>,
    at: u64,
    /// Up to here there are records.
    pub end: u64,
    /// Which outputs' bytes are wanted.
    wanted: [bool; 2],
    block: usize,
    buffer: Bytes,
    counter: Arc<AtomicU64>,
}

/// The next step of a cursor.
#[derive(Debug)]
pub enum Step {
    /// A record at its place; without its bytes when they are not wanted.
    Record(u64, Header, Bytes),
    /// So many bytes have to be read first.
    Read(usize),
    /// Nothing before `end` any more.
    End,
}

impl Records {
    /// A cursor from a record's place on.
    pub fn new(
        files: Arc<Files>,
        at: u64,
        end: u64,
        wanted: [bool; 2],
        block: usize,
        counter: Arc<AtomicU64>,
    ) -> Self {
        Self { files, open: None, at, end, wanted, block, buffer: Bytes::new(), counter }
    }

    /// The next record's place.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Goes to another record.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
        self.buffer.clear();
    }

    /// Goes on in what has been read.
    pub fn step(&mut self) -> Result<Step, Fault> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 {
            return Ok(Step::End);
        }
        if left < HEADER as u64 {
            return Err(Fault::Damaged(self.at, "a record's header is cut off"));
        }
        let Some(bytes) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(Step::Read(self.block));
        };
        let header = Header::decode(bytes).map_err(|what| Fault::Damaged(self.at, what))?;
        let size = header.size();
        if size > left {
            return Err(Fault::Damaged(self.at, "a record is cut off"));
        }
        let place = self.at;
        let wanted = matches!(header.kind, Kind::Output(output) if self.wanted[output]);
        // A record fits in memory: it was in memory when it was written.
        let size_here = usize::try_from(size).map_err(|_| Fault::Damaged(place, "a record is too long"))?;
        if self.buffer.len() < size_here {
            if wanted {
                return Ok(Step::Read(self.block.max(size_here)));
            }
            self.buffer.clear();
            self.at += size;
            return Ok(Step::Record(place, header, Bytes::new()));
        }
        let mut record = self.buffer.split_to(size_here);
        self.at += size;
        Ok(Step::Record(place, header, if wanted { record.split_off(HEADER) } else { Bytes::new() }))
    }

    /// Reads from the next record on, up to the end of its file.
    pub fn fill(&mut self, length: usize) -> Result<(), Fault> {
        let at = self.at;
        // A file that was the last one may have a successor by now.
        let inside = |start: u64, next: Option<u64>| start <= at && next.is_some_and(|next| at < next);
        let (file, start, next) = match self.open.take() {
            Some((file, start, next)) if inside(start, next) => (file, start, next),
            Some((file, start, None)) if self.files.last() == start && start <= at => (file, start, None),
            _ => self.files.open(at)?,
        };
        let end = next.map_or(self.end, |next| next.min(self.end));
        let length = (length as u64).min(end.saturating_sub(at));
        let mut buffer = Vec::with_capacity(usize::try_from(length).unwrap_or(self.block));
        let mut reader = &file;
        reader.seek(SeekFrom::Start(at - start))?;
        let got = reader.take(length).read_to_end(&mut buffer)? as u64;
        self.counter.fetch_add(got, Ordering::Relaxed);
        self.open = Some((file, start, next));
        if got < length {
            return Err(Fault::Damaged(at + got, "the file is shorter than what was written"));
        }
        self.buffer = buffer.into();
        Ok(())
    }

    /// The next record, read where necessary.
    pub fn next(&mut self) -> Result<Option<(u64, Header, Bytes)>, Fault> {
        loop {
            match self.step()? {
                Step::Record(place, header, bytes) => return Ok(Some((place, header, bytes))),
                Step::Read(length) => self.fill(length)?,
                Step::End => return Ok(None),
            }
        }
    }
}
