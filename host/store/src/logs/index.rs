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
    /// Entries in the file that stand for dropped parts of the log.
    stale: usize,
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

    /// What is known at the beginning of a log whose part before `floor` was dropped.
    pub fn at(&self, floor: u64) -> State {
        let place = self.entries.partition_point(|entry| entry.position < floor);
        match self.entries.get(place) {
            Some(entry) if entry.position == floor => *entry,
            _ => State { position: floor, ..State::default() },
        }
    }

    /// Forgets what stands for a dropped part of the log. Gives whether the file holds so much of it, more than `most`
    /// entries, that it is better written again.
    pub fn drop_before(&mut self, floor: u64, most: usize) -> bool {
        let gone = self.entries.partition_point(|entry| entry.position < floor);
        if gone > 0 {
            Arc::make_mut(&mut self.entries).drain(..gone);
            self.stale += gone;
        }
        self.stale > self.entries.len().max(most)
    }

    /// Reads the entries that are whole and lie within the log, which begins at `floor`. Gives them, the bytes of the runs
    /// up to the last, and the length of the file that is good.
    pub fn load(path: &Path, floor: u64, log: u64) -> io::Result<(Self, Runs, u64)> {
        let bytes = read(path)?;
        let (mut entries, mut runs) = (Vec::<State>::new(), Runs::new());
        let (mut before, mut good) = (0, 0);
        for bytes in bytes.chunks_exact(ENTRY) {
            let Some((state, kept)) = decode(bytes) else { break };
            if state.position < before || state.position > log {
                break;
            }
            before = state.position;
            good += 1;
            if state.generation > 0 {
                runs.insert(state.generation, kept);
            }
            // Of several at the same place the last one tells of the log, the others of earlier runs.
            if entries.last().is_some_and(|last| last.position == state.position) {
                entries.pop();
            }
            if state.position >= floor {
                entries.push(state);
            }
        }
        let stale = good - entries.len();
        Ok((Self { entries: Arc::new(entries), stale }, runs, (good * ENTRY) as u64))
    }

    /// Writes the file again without what stands for the part of the log before `floor`; what is known of runs stays.
    pub fn rewrite(&mut self, path: &Path, floor: u64, runs: &Runs) -> io::Result<()> {
        let first = self.at(floor);
        let mut content = Vec::new();
        for (generation, kept) in runs.iter().filter(|(generation, _)| **generation != first.generation) {
            content.extend(encode(&State { generation: *generation, ..first }, *kept));
        }
        let mut kept_entries = 0;
        for bytes in read(path)?.chunks_exact(ENTRY) {
            let Some((state, _)) = decode(bytes) else { break };
            if state.position >= floor {
                content.extend_from_slice(bytes);
                kept_entries += 1;
            }
        }
        let part = path.with_added_extension("part");
        std::fs::write(&part, &content)?;
        std::fs::rename(&part, path)?;
        self.stale = (content.len() / ENTRY).saturating_sub(kept_entries);
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
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
