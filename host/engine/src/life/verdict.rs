//! The exit code of a job whose agent can say nothing any more.

use sockerless_ports::backend::Phase;

use super::CloudEnd;

/// Docker's exit code for an end that it could not observe.
pub(super) const UNKNOWN: i32 = 255;
/// 128 + SIGKILL.
pub(super) const KILLED: i32 = 137;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub code: i32,
    pub out_of_memory: bool,
    /// Empty when all is known.
    pub error: String,
}

/// Judges by what the cloud says. `killed`: SIGKILL was asked for before. A code that nobody
/// reported is [`UNKNOWN`], with the reason; it is never 0.
pub(super) fn verdict(end: &CloudEnd, killed: bool) -> Verdict {
    let out_of_memory = speaks_of_memory(&end.reason) || speaks_of_memory(&end.message);
    let known = |code| Verdict { code, out_of_memory, error: String::new() };
    if let Some(signal) = end.term_signal.and_then(|signal| i32::try_from(signal).ok()) {
        return known(128 + signal);
    }
    if let Some(code) = end.exit_code {
        return known(code);
    }
    match end.phase {
        _ if out_of_memory => Verdict { error: describe(end), ..known(KILLED) },
        Phase::Succeeded => known(0),
        Phase::Cancelled | Phase::Absent | Phase::Failed if killed => known(KILLED),
        _ => Verdict { error: format!("the exit code is unknown: {}", describe(end)), ..known(UNKNOWN) },
    }
}

/// The cloud's own words, or ours for a cloud that has none.
pub(super) fn describe(end: &CloudEnd) -> String {
    let what = match end.phase {
        Phase::Absent => "the cloud knows no such job any more",
        Phase::Cancelled => "the job was cancelled in the cloud",
        _ => "the job ended in the cloud",
    };
    match (end.reason.is_empty(), end.message.is_empty()) {
        (true, true) => match end.exit_code {
            Some(code) => format!("{what} with exit code {code}"),
            None => what.to_owned(),
        },
        (false, true) => format!("{what}: {}", end.reason),
        (true, false) => end.message.clone(),
        (false, false) => format!("{}: {}", end.reason, end.message),
    }
}

/// Clouds name this in words alone.
fn speaks_of_memory(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["out of memory", "out_of_memory", "oomkilled", "oom killed", "memory limit"]
        .iter()
        .any(|word| text.contains(word))
}
