//! The table of `docs/benchmarks.md`.

use std::fmt::Write;

use super::{Goal, Measurement};

/// All rows.
pub struct Table {
    peer: String,
    rows: Vec<Row>,
}

/// One measurement of both.
pub struct Row {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    peer: f64,
    times: f64,
    goal: String,
    /// How it ended: reached, or missed and why.
    end: String,
}

impl Row {
    /// Compares.
    pub fn new(measurement: &Measurement, ours: f64, peer: f64) -> Self {
        let times = if measurement.more_is_better { ours / peer } else { peer / ours };
        let (goal, reached) = match measurement.goal {
            Goal::Times(goal) => (format!("≥ {goal} ×"), times >= goal),
            Goal::AtMost(most) => (format!("≤ {most} {}", measurement.unit), ours <= most),
        };
        let end = match (reached, measurement.why) {
            (true, _) => "reached".to_owned(),
            (false, Some(why)) => format!("missed: {why}"),
            (false, None) => "missed: why is not known yet".to_owned(),
        };
        Self { name: measurement.name, unit: measurement.unit, ours, peer, times, goal, end }
    }
}

impl Table {
    /// An empty one.
    pub fn new(peer: String) -> Self {
        Self { peer, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The document.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `./x bench`: the daemon with the embedded simulator beside {}, one after the other in the\n\
             same run on the same machine. Times differ from machine to machine; the ratio is what counts. `×` is how\n\
             many times better than dockerd.\n\n\
             | measurement | unit | sockerless | {} | × | goal | |\n|---|---|---:|---:|---:|---|---|\n",
            self.peer, self.peer
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {:.1} | {} | {} |",
                row.name,
                row.unit,
                number(row.ours),
                number(row.peer),
                row.times,
                row.goal,
                row.end
            );
        }
        text
    }
}

/// Three significant digits at least.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
