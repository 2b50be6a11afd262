//! The index beside a log: what is known at some places of it, so that nobody has to scan from
//! the beginning. It can always be made again from the log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use super::{
    format::{u32_at, u64_at},
    state::State,
};

/// The index's file.
pub const FILE: &str = "index";

const ENTRY: usize = 64;

/// Bytes of each output, by generation.
pub type Runs = BTreeMap<u32, [u64; 2]>;

/// The entries, in the order of their positions.
#[derive(Debug, Clone, Default)]
pub struct Index {
    entries: Arc<Vec<State>>,
}

impl Index {
    /// The entries, for a reader.
    pub fn entries(&self) -> Arc<Vec<State>> {
        Arc::clone(&self.entries)
    }

    /// The last entry.
    pub fn last(&self) -> Option<&State> {
        self.entries.last()
    }

    /// Adds an entry. Copies the entries when a reader holds them just now.
    pub fn push(&mut self, state: State) {
        Arc::make_mut(&mut self.entries).push(state);
    }

    /// Reads the entries that are whole and lie within the log. Gives them, the bytes of the runs
    /// up to the last, and the length of the file that is good.
    pub fn load(path: &Path, log: u64) -> io::Result<(Self, Runs, u64)> {
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let (mut entries, mut runs) = (Vec::new(), Runs::new());
        let mut before = 0;
        for bytes in bytes.chunks_exact(ENTRY) {
            let Some((state, kept)) = decode(bytes) else { break };
            if state.position < before || state.position > log {
                break;
            }
            before = state.position;
            if state.generation > 0 {
                runs.insert(state.generation, kept);
            }
            entries.push(state);
        }
        let good = (entries.len() * ENTRY) as u64;
        Ok((Self { entries: Arc::new(entries) }, runs, good))
    }
}

/// Appends an entry to the file.
pub fn append(mut file: &File, state: &State, kept: [u64; 2]) -> io::Result<()> {
    file.write_all(&encode(state, kept))
}

fn encode(state: &State, kept: [u64; 2]) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[4..8].copy_from_slice(&state.generation.to_le_bytes());
    for (at, number) in
        [state.position, state.time, state.lines[0], state.lines[1], kept[0], kept[1]].into_iter().enumerate()
    {
        bytes[8 + at * 8..16 + at * 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes[56] = u8::from(state.open[0]) | u8::from(state.open[1]) << 1 | u8::from(state.live) << 2;
    let sum = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(State, [u64; 2])> {
    if crc32fast::hash(&bytes[4..]) != u32_at(bytes, 0) {
        return None;
    }
    let number = |at: usize| u64_at(bytes, 8 + at * 8);
    let flag = |bit: u8| bytes[56] & (1 << bit) != 0;
    let state = State {
        position: number(0),
        time: number(1),
        generation: u32_at(bytes, 4),
        live: flag(2),
        lines: [number(2), number(3)],
        open: [flag(0), flag(1)],
    };
    Some((state, [number(4), number(5)]))
}
