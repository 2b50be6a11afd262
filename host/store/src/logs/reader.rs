//! A reader: follows the file behind the writer.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes};
use sockerless_ports::logs::{LogChunk, LogError, LogQuery};
use tokio::sync::watch;

use super::{
    chunks::Chunks,
    fault::Fault,
    format::{Header, Kind},
    log::{Hold, Log, blocking, system_time},
    query::{Plan, Question},
    records::{Records, Step},
    state::{State, newlines},
};
use crate::tuning;

/// Chunks that are made ahead at most, so that a slow consumer holds one block.
const AHEAD: usize = 256;

/// Reads a log for one consumer. The writer knows nothing of it.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    changed: watch::Receiver<()>,
    wanted: [bool; 2],
    plan: Plan,
    /// The end of a run from here on is the end for a follower.
    after: u64,
    /// Up to here the log may be read.
    end: u64,
    state: State,
    /// What begins on this output now is later than `until`.
    closed: [bool; 2],
    records: Option<Records>,
    chunks: Chunks,
    done: bool,
    /// Lines are counted from where it began, and not from the log's beginning.
    relative: bool,
    /// Nothing is dropped that it has yet to read.
    hold: Option<Hold>,
}

impl Reader {
    /// Finds the beginning.
    pub async fn open(log: Arc<Log>, query: LogQuery) -> Result<Self, LogError> {
        loop {
            match Self::try_open(&log, &query).await {
                Ok(reader) => return Ok(reader),
                // Rotation was faster: the log begins elsewhere now.
                Err(Fault::Dropped) => {}
                Err(fault) => return Err(fault.of(&log.container)),
            }
        }
    }

    async fn try_open(log: &Arc<Log>, query: &LogQuery) -> Result<Self, Fault> {
        let changed = log.watch();
        let (entries, floor, end, hold) = {
            let mut shared = log.shared();
            let known = &shared.known;
            let (entries, end) = (known.index.entries(), known.state);
            let floor = known.index.at(log.files.floor());
            let from = query.from.unwrap_or_default().0.clamp(floor.position, end.position);
            let hold = query.hold.then(|| log.hold(&mut shared, from));
            (entries, floor, end, hold)
        };
        let question = Question { query, entries: &entries, floor, end };
        let wanted = question.wanted();
        let chunks = Chunks::new(query.lines, log.shape.max_line);
        let plan = match question.simple() {
            Some(plan) => plan,
            None => {
                let (worker, query) = (Arc::clone(log), query.clone());
                blocking(move || {
                    let mut records = cursor(&worker, 0, end.position, wanted);
                    Question { query: &query, entries: &entries, floor, end }.resolve(&mut records)
                })
                .await?
            }
        };
        Ok(Self {
            changed,
            wanted,
            after: end.position,
            end: end.position,
            state: plan.start,
            plan,
            closed: wanted.map(|wanted| !wanted),
            records: None,
            chunks,
            done: wanted == [false; 2],
            relative: query.from.is_some(),
            hold,
            log: Arc::clone(log),
        })
    }

    /// The next chunk; none at the end.
    pub async fn next(&mut self) -> Option<Result<LogChunk, LogError>> {
        loop {
            if let Some(chunk) = self.chunks.pop() {
                return Some(Ok(chunk));
            }
            if self.done {
                return None;
            }
            if let Err(fault) = self.advance().await {
                self.done = true;
                return Some(Err(fault.of(&self.log.container)));
            }
        }
    }

    /// Makes chunks, reads, or waits.
    async fn advance(&mut self) -> Result<(), Fault> {
        if self.state.position >= self.end && self.records.as_ref().is_none_or(|r| r.at() >= self.end) {
            return self.wait().await;
        }
        let mut records = match self.records.take() {
            Some(records) => records,
            None => cursor(&self.log, self.state.position, self.end, self.wanted),
        };
        records.end = self.end;
        let step = loop {
            match records.step()? {
                Step::Record(place, header, bytes) => {
                    self.pass(place, &header, bytes);
                    if self.done || self.chunks.len() >= AHEAD {
                        break None;
                    }
                }
                Step::Read(length) => break Some(length),
                Step::End => break None,
            }
        };
        self.chunks.flush();
        if let Some(length) = step {
            // Chunks first: their consumer need not wait for the next block.
            if self.chunks.len() == 0 {
                if let Some(hold) = &self.hold {
                    hold.advance(records.at());
                }
                let filled = if self.end - records.at() <= tuning::INLINE as u64 {
                    records.fill(length).map(|()| records)
                } else {
                    blocking(move || records.fill(length).map(|()| records)).await
                };
                match filled {
                    Ok(filled) => records = filled,
                    Err(Fault::Dropped) => return self.jump(),
                    Err(fault) => return Err(fault),
                }
            }
        }
        self.records = Some(records);
        Ok(())
    }

    /// Rotation was faster than this reader: what it has missed is gone, and it goes on with the oldest that is left.
    fn jump(&mut self) -> Result<(), Fault> {
        self.chunks.end_lines();
        let floor = self.log.shared().known.index.at(self.log.files.floor());
        if self.relative {
            self.state = State { position: floor.position, ..State::default() };
            self.plan.first = [0; 2];
        } else {
            self.state = floor;
        }
        Ok(())
    }

    /// At the end of what there is.
    async fn wait(&mut self) -> Result<(), Fault> {
        self.changed.borrow_and_update();
        let (end, removed) = {
            let shared = self.log.shared();
            (shared.known.state.position, shared.removed)
        };
        if self.plan.follow && end > self.end && !removed {
            self.end = end;
            return Ok(());
        }
        let late = self.plan.until != u64::MAX && SystemTime::now() > system_time(self.plan.until);
        if !self.plan.follow || removed || late {
            self.finish();
            return Ok(());
        }
        if self.plan.until == u64::MAX {
            // The sender lives in the log that this holds.
            let _ = self.changed.changed().await;
        } else {
            let left = system_time(self.plan.until).duration_since(SystemTime::now()).unwrap_or_default();
            let _ = tokio::time::timeout(left + Duration::from_millis(1), self.changed.changed()).await;
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.chunks.end_lines();
        self.chunks.flush();
        self.done = true;
    }

    fn pass(&mut self, place: u64, header: &Header, bytes: Bytes) {
        if self.state.breaks(header) {
            self.state.end_open_lines();
            self.chunks.end_lines();
        }
        self.state.generation = header.generation;
        self.state.position = place + header.size();
        match header.kind {
            Kind::Output(output) => {
                if !self.closed[output] {
                    self.cut(output, header.time, bytes);
                }
            }
            Kind::Begin => {}
            Kind::Finish => {
                if self.plan.follow && place >= self.after {
                    self.finish();
                }
            }
        }
        if header.time > self.plan.until && !self.done {
            // Times do not go back: what begins from here on is later still.
            for output in 0..2 {
                self.closed[output] |= !self.state.open[output];
            }
            if self.closed == [true; 2] {
                self.finish();
            }
        }
    }

    /// Leaves out the lines that are not asked for.
    fn cut(&mut self, output: usize, time: u64, mut bytes: Bytes) {
        let (line, open) = (&mut self.state.lines[output], &mut self.state.open[output]);
        let first = &mut self.plan.first[output];
        if time < self.plan.since {
            *line += newlines(&bytes);
            *open = bytes.last().is_some_and(|last| *last != b'\n');
            *first = (*line + u64::from(*open)).max(*first);
            return;
        }
        while *line < *first {
            match memchr::memchr(b'\n', &bytes) {
                Some(at) => {
                    bytes.advance(at + 1);
                    *line += 1;
                    *open = false;
                }
                None => {
                    *open |= !bytes.is_empty();
                    return;
                }
            }
        }
        if time > self.plan.until {
            let end = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
            bytes.truncate(if *open { end } else { 0 });
        }
        if let Some(last) = bytes.last() {
            *open = *last != b'\n';
            self.chunks.push(output, time, bytes);
        }
    }
}

/// A cursor with a file of its own.
fn cursor(log: &Log, at: u64, end: u64, wanted: [bool; 2]) -> Records {
    Records::new(Arc::clone(&log.files), at, end, wanted, log.shape.block, Arc::clone(&log.shape.counter))
}
