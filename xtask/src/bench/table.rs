//! The table of `docs/benchmarks.md`.

use super::goals::{Figure, Goal};

/// Stands where there is nothing to tell.
const NOTHING: &str = "–";

/// All rows.
pub struct Table {
    peer: String,
    rows: Vec<Row>,
}

/// One figure of both.
struct Row {
    figure: &'static Figure,
    ours: f64,
    peer: Option<f64>,
}

impl Row {
    fn to_markdown(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            self.figure.name,
            self.figure.unit,
            number(self.ours),
            self.peer.map_or_else(|| NOTHING.to_owned(), number),
            self.times().map_or_else(|| NOTHING.to_owned(), |times| format!("{times:.1}")),
            self.goal(),
            self.end()
        )
    }

    /// How many times better than dockerd.
    fn times(&self) -> Option<f64> {
        let peer = self.peer?;
        Some(if self.figure.more_is_better { self.ours / peer } else { peer / self.ours })
    }

    fn goal(&self) -> String {
        match self.figure.goal {
            None => NOTHING.to_owned(),
            Some(Goal::Times(goal)) => format!("≥ {goal} ×"),
            Some(Goal::PartOf(goal)) => format!("≤ {goal} × dockerd's"),
            Some(Goal::AtMost(most)) => format!("≤ {most} {}", self.figure.unit),
            Some(Goal::Added(most)) => format!("≤ dockerd's + {most} {}", self.figure.unit),
        }
    }

    /// How it ended: reached, or missed and why.
    fn end(&self) -> String {
        let reached = match self.figure.goal {
            None => return "reported".to_owned(),
            Some(Goal::Times(goal)) => self.times().is_some_and(|times| times >= goal),
            Some(Goal::PartOf(goal)) => self.peer.is_some_and(|peer| self.ours <= goal * peer),
            Some(Goal::AtMost(most)) => self.ours <= most,
            Some(Goal::Added(most)) => self.peer.is_some_and(|peer| self.ours <= peer + most),
        };
        match (reached, self.figure.why) {
            (true, _) => "reached".to_owned(),
            (false, Some(why)) => format!("missed: {why}"),
            (false, None) => "missed: why is not known yet".to_owned(),
        }
    }
}

impl Table {
    /// An empty one.
    pub fn new(peer: String) -> Self {
        Self { peer, rows: Vec::new() }
    }

    /// Adds a row for each figure: its values stand at its place. The rows as they will stand in the document.
    pub fn add(
        &mut self,
        figures: &'static [Figure],
        ours: &[f64],
        peer: Option<&[f64]>,
    ) -> impl Iterator<Item = String> {
        let from = self.rows.len();
        for (index, (figure, ours)) in figures.iter().zip(ours).enumerate() {
            let peer = peer.and_then(|peer| peer.get(index).copied());
            self.rows.push(Row { figure, ours: *ours, peer });
        }
        self.rows.iter().skip(from).map(Row::to_markdown)
    }

    /// The document.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `./x bench`: the daemon with the embedded simulator beside {}, one after the other in the\n\
             same run on the same machine. Times differ from machine to machine; the ratio is what counts. `×` is how\n\
             many times better than dockerd. A published port is measured beside dockerd's userland proxy,\n\
             what goes between containers beside its bridge. {NOTHING} stands where\n\
             there is no goal, or nothing of dockerd's to compare with.\n\n\
             | measurement | unit | sockerless | {} | × | goal | |\n|---|---|---:|---:|---:|---|---|\n",
            self.peer, self.peer
        );
        text.extend(self.rows.iter().map(Row::to_markdown));
        text
    }
}

/// Two significant digits at least, three of most.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(goal: Option<Goal>) -> &'static Figure {
        Box::leak(Box::new(Figure { name: "a thing", unit: "ms", more_is_better: false, goal, why: None }))
    }

    fn row(goal: Option<Goal>, ours: f64, peer: Option<f64>) -> Row {
        Row { figure: figure(goal), ours, peer }
    }

    #[test]
    fn a_goal_is_reached_or_missed_by_its_own_measure() {
        assert_eq!(row(Some(Goal::Times(2.0)), 5.0, Some(10.0)).end(), "reached");
        assert!(row(Some(Goal::Times(2.0)), 5.1, Some(10.0)).end().starts_with("missed"));
        assert_eq!(row(Some(Goal::PartOf(0.6)), 6.0, Some(10.0)).end(), "reached");
        assert!(row(Some(Goal::PartOf(0.6)), 6.1, Some(10.0)).end().starts_with("missed"));
        assert_eq!(row(Some(Goal::Added(0.5)), 0.6, Some(0.125)).end(), "reached");
        assert!(row(Some(Goal::Added(0.5)), 0.7, Some(0.125)).end().starts_with("missed"));
        assert_eq!(row(Some(Goal::AtMost(6.0)), 6.0, None).end(), "reached");
        assert!(row(Some(Goal::AtMost(6.0)), 6.1, Some(100.0)).end().starts_with("missed"));
    }

    #[test]
    fn a_figure_without_goal_and_peer_is_only_told() {
        let mut table = Table::new("dockerd 1".to_owned());
        let rows = table.add(std::slice::from_ref(figure(None)), &[0.05], None).count();
        assert_eq!(rows, 1);
        assert!(table.to_markdown().ends_with("| a thing | ms | 0.050 | – | – | – | reported |\n"));
    }
}
