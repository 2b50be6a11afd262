//! The naive log: everything in memory, every query answered from the beginning.

use sockerless_ports::{link::Output, logs::LogQuery};

use crate::logs::log::nanos;

#[derive(Debug, Clone)]
pub struct Entry {
    pub time: u64,
    pub generation: u32,
    /// None for a mark.
    pub output: Option<usize>,
    pub bytes: Vec<u8>,
    /// Where the real log has it.
    pub position: u64,
}

#[derive(Debug, Clone)]
struct Line {
    output: usize,
    began: u64,
    /// Each byte's entry.
    bytes: Vec<(usize, u8)>,
    /// Entry in which it ended; none while it is open.
    ended: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub entries: Vec<Entry>,
}

/// Output and bytes, with the time of the line's beginning when asked by line.
pub type Answer = Vec<(Output, u64, Vec<u8>)>;

impl Model {
    pub fn kept(&self, generation: u32, output: usize) -> u64 {
        let of = self.entries.iter().filter(|e| e.generation == generation && e.output == Some(output));
        of.map(|e| e.bytes.len() as u64).sum()
    }

    /// Lines in the order in which they end.
    fn lines(&self, from: u64) -> Vec<Line> {
        let (mut all, mut open): (Vec<Line>, [Option<Line>; 2]) = (Vec::new(), [None, None]);
        let mut generation = 0;
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, e)| e.position >= from) {
            if entry.output.is_none() || entry.generation != generation {
                for line in open.iter_mut().filter_map(Option::take) {
                    all.push(Line { ended: Some(at), ..line });
                }
            }
            generation = entry.generation;
            let Some(output) = entry.output else { continue };
            for byte in &entry.bytes {
                let line = open[output].get_or_insert(Line {
                    output,
                    began: entry.time,
                    bytes: vec![],
                    ended: None,
                });
                line.bytes.push((at, *byte));
                if *byte == b'\n' {
                    all.extend(open[output].take().map(|line| Line { ended: Some(at), ..line }));
                }
            }
        }
        all.extend(open.into_iter().flatten());
        all
    }

    /// The outputs of which a line was open at a place.
    fn broken(&self, place: u64) -> [bool; 2] {
        let mut open = [false; 2];
        let mut generation = 0;
        for entry in self.entries.iter().filter(|entry| entry.position < place) {
            if entry.output.is_none() || entry.generation != generation {
                open = [false; 2];
            }
            generation = entry.generation;
            if let Some(output) = entry.output {
                open[output] = entry.bytes.last() != Some(&b'\n');
            }
        }
        // What comes first may have ended it.
        match self.entries.iter().find(|entry| entry.position >= place) {
            Some(next) if next.output.is_none() || next.generation != generation => [false; 2],
            _ => open,
        }
    }

    /// The first entry of an output from a place on, if it belongs to the line that was open there.
    fn first(&self, output: usize, place: u64) -> Option<usize> {
        let mut generation = None;
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.position >= place) {
            if entry.output.is_none() || generation.is_some_and(|generation| generation != entry.generation) {
                return None;
            }
            generation = Some(entry.generation);
            if entry.output == Some(output) {
                return Some(at);
            }
        }
        None
    }

    /// Of a log whose part before `floor` was dropped.
    pub fn answer(&self, query: &LogQuery, floor: u64) -> Answer {
        let from = query.from.map_or(0, |p| p.0).max(floor);
        let since = query.since.map_or(0, nanos);
        let until = query.until.map_or(u64::MAX, nanos);
        let wanted = |line: &Line| [query.stdout, query.stderr][line.output];
        let in_time = |line: &Line| line.began >= since && line.began <= until;
        let mut lines = self.lines(from);
        if query.from.is_none() && (query.tail.is_some() || query.since.is_some()) {
            // The rest of a line whose beginning is gone is no line.
            let broken = self.broken(floor);
            for output in (0..2).filter(|output| broken[*output]) {
                let rest =
                    |line: &Line| line.output == output && Some(line.bytes[0].0) == self.first(output, floor);
                if let Some(at) = lines.iter().position(rest) {
                    lines.remove(at);
                }
            }
        }
        lines.retain(|line| wanted(line) && in_time(line));
        if let Some(tail) = query.tail {
            // In the order of their ends; those that were open when `until` came are last.
            let late = |line: &Line| line.ended.is_none_or(|at| self.entries[at].time > until);
            let mut order: Vec<usize> = (0..lines.len()).collect();
            order.sort_by_key(|i| if late(&lines[*i]) { (1, lines[*i].output) } else { (0, 0) });
            let keep = &order[order.len().saturating_sub(usize::try_from(tail).unwrap())..];
            let mut at = 0;
            lines.retain(|_| {
                at += 1;
                keep.contains(&(at - 1))
            });
        }
        let name = |output| if output == 0 { Output::Stdout } else { Output::Stderr };
        if query.lines {
            return lines
                .into_iter()
                .map(|l| (name(l.output), l.began, l.bytes.into_iter().map(|(_, b)| b).collect()))
                .collect();
        }
        let mut bytes: Vec<(usize, usize, u8)> =
            lines.iter().flat_map(|l| l.bytes.iter().map(|(at, b)| (*at, l.output, *b))).collect();
        bytes.sort_by_key(|(at, ..)| *at);
        joined(bytes.into_iter().map(|(_, output, byte)| (name(output), 0, vec![byte])).collect())
    }
}

/// Neighbours of the same output as one.
pub fn joined(chunks: Answer) -> Answer {
    let mut all = Answer::new();
    for (output, _, bytes) in chunks {
        match all.last_mut() {
            Some((same, _, whole)) if *same == output => whole.extend(bytes),
            _ => all.push((output, 0, bytes)),
        }
    }
    all
}
