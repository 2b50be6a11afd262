//! Makes chunks of what is read: as it came, or line by line.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use sockerless_ports::{link::Output, logs::LogChunk};

use super::log::system_time;
use crate::tuning;

/// Chunks that are ready, and what waits for the end of its line.
#[derive(Debug)]
pub struct Chunks {
    ready: VecDeque<LogChunk>,
    by_line: bool,
    max_line: usize,
    /// For each output the beginning of a line.
    lines: [Option<(u64, BytesMut)>; 2],
    /// Small pieces of one output.
    joined: Option<(usize, u64, BytesMut)>,
}

impl Chunks {
    /// None yet.
    pub fn new(by_line: bool, max_line: usize) -> Self {
        Self { ready: VecDeque::new(), by_line, max_line, lines: [None, None], joined: None }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<LogChunk> {
        self.ready.pop_front()
    }

    /// How many are ready.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Takes bytes of an output.
    pub fn push(&mut self, output: usize, time: u64, bytes: Bytes) {
        if self.by_line {
            self.split(output, time, bytes);
        } else {
            self.join(output, time, bytes);
        }
    }

    /// The open lines end here, without a newline.
    pub fn end_lines(&mut self) {
        for output in 0..2 {
            if let Some((time, line)) = self.lines[output].take() {
                self.emit(output, time, line.freeze());
            }
        }
    }

    /// Nothing comes for now: what was joined is ready.
    pub fn flush(&mut self) {
        if let Some((output, time, bytes)) = self.joined.take() {
            self.emit(output, time, bytes.freeze());
        }
    }

    fn emit(&mut self, output: usize, time: u64, bytes: Bytes) {
        let output = if output == 0 { Output::Stdout } else { Output::Stderr };
        self.ready.push_back(LogChunk { time: system_time(time), output, bytes });
    }

    fn split(&mut self, output: usize, time: u64, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let open = self.lines[output].as_ref().map_or(0, |(_, line)| line.len());
            let room = self.max_line - open;
            let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(room)]).map(|at| at + 1);
            let part = bytes.split_to(end.unwrap_or(bytes.len().min(room)));
            let full = end.is_none() && part.len() == room;
            match self.lines[output].take() {
                None if end.is_some() || full => self.emit(output, time, part),
                None => self.lines[output] = Some((time, BytesMut::from(&part[..]))),
                Some((began, mut line)) => {
                    line.extend_from_slice(&part);
                    if end.is_some() || full {
                        self.emit(output, began, line.freeze());
                    } else {
                        self.lines[output] = Some((began, line));
                    }
                }
            }
        }
    }

    fn join(&mut self, output: usize, time: u64, bytes: Bytes) {
        if bytes.len() >= tuning::JOIN_BELOW {
            self.flush();
            self.emit(output, time, bytes);
            return;
        }
        match &mut self.joined {
            Some((same, _, joined))
                if *same == output && joined.len() + bytes.len() <= tuning::JOIN_UP_TO =>
            {
                joined.extend_from_slice(&bytes);
            }
            _ => {
                self.flush();
                self.joined = Some((output, time, BytesMut::from(&bytes[..])));
            }
        }
    }
}
