//! What is known at a place in a log, and how a record changes it.

use super::format::{Header, Kind};

/// The sum of all records before a position.
///
/// A line ends with its newline, or unfinished with its run. Lines of an output are counted
/// through all runs; `lines[o]` is therefore the number of the line that comes next, or of the one
/// that is open when `open[o]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// The place.
    pub position: u64,
    /// Time of the last record, nanoseconds since 1970.
    pub time: u64,
    /// Run of the last record; 0 before the first.
    pub generation: u32,
    /// The run has begun and not ended.
    pub live: bool,
    /// Lines that have ended, for each output.
    pub lines: [u64; 2],
    /// The last byte of the output was no newline.
    pub open: [bool; 2],
}

impl State {
    /// Whether the record ends the lines that are open.
    pub fn breaks(&self, header: &Header) -> bool {
        header.generation != self.generation || !matches!(header.kind, Kind::Output(_))
    }

    /// Goes past a record with these bytes. The bytes of an output whose lines nobody counts may
    /// be missing.
    pub fn pass(&mut self, header: &Header, bytes: &[u8]) {
        if self.breaks(header) {
            self.end_open_lines();
        }
        match header.kind {
            Kind::Output(output) => {
                if let Some(last) = bytes.last() {
                    self.lines[output] += newlines(bytes);
                    self.open[output] = *last != b'\n';
                }
            }
            Kind::Begin => self.live = true,
            Kind::Finish => self.live = false,
        }
        self.generation = header.generation;
        self.time = header.time;
        self.position += header.size();
    }

    /// The lines that are open end here.
    pub fn end_open_lines(&mut self) {
        for output in 0..2 {
            self.lines[output] += u64::from(std::mem::take(&mut self.open[output]));
        }
    }

    /// Whether a line that begins at or after this place may be the line `number` of the output,
    /// or one after it, but none before was missed: reading from here yields it whole.
    pub fn precedes(&self, output: usize, number: u64) -> bool {
        self.lines[output] < number || (self.lines[output] == number && !self.open[output])
    }
}

/// How many newlines there are.
pub fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
