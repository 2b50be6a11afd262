//! Finds where a reader begins, and which lines it leaves out.

use sockerless_ports::logs::LogQuery;

use super::{fault::Fault, log::nanos, records::Records, state::State};

/// How to answer a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Begin reading here.
    pub start: State,
    /// For each output: the first line to give.
    pub first: [u64; 2],
    /// Lines that began earlier than this are left out.
    pub since: u64,
    /// Lines that began later than this are left out.
    pub until: u64,
    /// Wait for more.
    pub follow: bool,
}

/// A query with the log as it was at that moment.
pub struct Question<'a> {
    /// What is asked.
    pub query: &'a LogQuery,
    /// Places that are known.
    pub entries: &'a [State],
    /// The beginning: what was before is dropped.
    pub floor: State,
    /// The end.
    pub end: State,
}

impl Question<'_> {
    /// The outputs that are asked for.
    pub fn wanted(&self) -> [bool; 2] {
        [self.query.stdout, self.query.stderr]
    }

    /// Follows only what can still grow for this reader: a run that has not ended, or, from the
    /// very end, the one that comes next.
    pub fn follows(&self) -> bool {
        let from = self.query.from.unwrap_or_default().0;
        self.query.follow && (self.end.live || from >= self.end.position)
    }

    /// The plan, when no record has to be looked at for it.
    pub fn simple(&self) -> Option<Plan> {
        if self.end.position > 0 && (self.query.tail.is_some() || self.query.since.is_some()) {
            return None;
        }
        let position = self.query.from.unwrap_or_default().0.clamp(self.floor.position, self.end.position);
        let start = State { position, ..State::default() };
        Some(self.plan(start, [0, 0]))
    }

    fn plan(&self, start: State, first: [u64; 2]) -> Plan {
        Plan {
            start,
            first,
            since: self.query.since.map_or(0, nanos),
            until: self.query.until.map_or(u64::MAX, nanos),
            follow: self.follows(),
        }
    }

    /// The plan. `records` is moved about in the log's file.
    ///
    /// With `from` lines are counted from there, and a line that it cuts is one of its own: the
    /// entries, which count from the beginning, are of no use then.
    pub fn resolve(&self, records: &mut Records) -> Result<Plan, Fault> {
        let Some(from) = self.query.from else { return self.resolve_from(records, self.floor) };
        let position = from.0.clamp(self.floor.position, self.end.position);
        let base = State { position, ..State::default() };
        let end = walk(records, base, self.end.position, |_| true)?;
        let end = State { live: self.end.live, time: self.end.time, ..end };
        Question { query: self.query, entries: &[], floor: base, end }.resolve_from(records, base)
    }

    fn resolve_from(&self, records: &mut Records, base: State) -> Result<Plan, Fault> {
        let lower = match self.query.since.map(nanos) {
            // Nothing so far is as late.
            Some(since) if self.end.time < since => self.end,
            Some(since) => self.seek(records, base, |time| time < since)?,
            None => base,
        };
        let mut first = [0, 1].map(|o| lower.lines[o] + u64::from(lower.open[o]));
        let upper = match self.query.until.map(nanos) {
            Some(until) if self.end.time > until => {
                let upper = self.seek(records, base, |time| time <= until)?;
                if upper.position < lower.position {
                    // Until comes before since: nothing can match, not even later.
                    return Ok(Plan {
                        start: self.end,
                        first: [u64::MAX; 2],
                        since: 0,
                        until: 0,
                        follow: false,
                    });
                }
                upper
            }
            _ => self.end,
        };
        if let Some(tail) = self.query.tail {
            self.skip(records, &mut first, lower, upper, tail)?;
        }
        let whole = |state: &&State| (0..2).all(|o| !self.wanted()[o] || state.precedes(o, first[o]));
        let start = if whole(&&lower) { lower } else { base };
        let start = self
            .entries
            .iter()
            .rev()
            .skip_while(|entry| entry.position > upper.position)
            .take_while(|entry| entry.position > start.position)
            .find(whole)
            .copied()
            .unwrap_or(start);
        Ok(self.plan(start, first))
    }

    /// The place before the first record, from `base` on, of which `before` does not hold.
    fn seek(&self, records: &mut Records, base: State, before: impl Fn(u64) -> bool) -> Result<State, Fault> {
        let known = self.entries.partition_point(|entry| before(entry.time));
        let start = match known.checked_sub(1).map(|at| self.entries[at]) {
            Some(entry) if entry.position > base.position => entry,
            _ => base,
        };
        walk(records, start, self.end.position, before)
    }

    /// Leaves out all lines but the last `tail` of those between `lower` and `upper`, in the order
    /// in which they ended.
    fn skip(
        &self,
        records: &mut Records,
        first: &mut [u64; 2],
        lower: State,
        upper: State,
        tail: u64,
    ) -> Result<(), Fault> {
        // A line that may still grow belongs to what follows.
        let counts_open = !(self.follows() && upper.position == self.end.position);
        let total = [0, 1].map(|o| upper.lines[o] + u64::from(upper.open[o] && counts_open));
        let ahead = |lines: [u64; 2], first: [u64; 2]| -> u64 {
            (0..2)
                .filter(|o| self.wanted()[*o])
                .map(|o| total[o].saturating_sub(lines[o].max(first[o])))
                .sum()
        };
        let start = self
            .entries
            .iter()
            .rev()
            .skip_while(|entry| entry.position >= upper.position)
            .take_while(|entry| entry.position > lower.position)
            .find(|entry| ahead(entry.lines, *first) >= tail)
            .copied()
            .unwrap_or(lower);
        let mut surplus = ahead(start.lines, *first).saturating_sub(tail);
        let mut pass = |first: &mut [u64; 2], ended: [u64; 2]| {
            for output in (0..2).filter(|o| self.wanted()[*o]) {
                first[output] = first[output].max(start.lines[output].min(ended[output]));
                let left_out = ended[output].saturating_sub(first[output]).min(surplus);
                first[output] += left_out;
                surplus -= left_out;
            }
            surplus > 0
        };
        let mut state = start;
        records.seek(start.position);
        if !pass(first, start.lines) {
            return Ok(());
        }
        while state.position < upper.position {
            let Some((_, header, bytes)) = records.next()? else { break };
            if state.breaks(&header) {
                state.end_open_lines();
                pass(first, state.lines);
            }
            state.pass(&header, &bytes);
            if !pass(first, state.lines) {
                return Ok(());
            }
        }
        pass(first, total);
        Ok(())
    }
}

/// Goes on from a state to `end`, or to the first record of which `before` does not hold.
fn walk(
    records: &mut Records,
    mut state: State,
    end: u64,
    before: impl Fn(u64) -> bool,
) -> Result<State, Fault> {
    records.seek(state.position);
    while state.position < end {
        let Some((_, header, bytes)) = records.next()? else { break };
        if !before(header.time) {
            break;
        }
        state.pass(&header, &bytes);
    }
    Ok(state)
}
