//! Where in a job's log in the cloud the output begins that is not kept yet.

use std::collections::VecDeque;

use futures_util::TryStreamExt;
use sockerless_ports::{
    Logs,
    link::{Output, RunId},
    logs::{LogError, LogQuery},
};

use crate::tuning;

/// What an agent itself says on its standard error begins so.
const AGENT: &[u8] = b"sockerless-agent: ";

/// How much of an output is kept already.
///
/// The cloud has lines, and what it has need not be what the agent delivered: the agent leaves out what a slow log does not
/// take, and clouds change lines. So the last bytes before the place where the cloud's log goes on have to be those that were kept
/// last; else nothing beyond is sure.
pub(super) struct Kept {
    /// Bytes that come before what is new.
    left: u64,
    /// Where there was an agent.
    proof: Option<Proof>,
    /// Whether an agent speaks here, too.
    shared: bool,
    /// Whether the newline after the last line was written is seen by whether another line comes.
    owed: bool,
}

struct Proof {
    /// What was kept last.
    expected: Vec<u8>,
    /// What the cloud has at the end of what was skipped so far, as many bytes at most.
    found: VecDeque<u8>,
    sure: bool,
}

impl Kept {
    /// `first`: see [`super::cloud_logs::CloudLog`].
    pub async fn look_up(
        logs: &dyn Logs,
        run: &RunId,
        first: Option<u32>,
        output: Output,
    ) -> Result<Self, LogError> {
        let mut left = 0;
        for generation in first.unwrap_or(run.generation)..=run.generation {
            left += logs.length(&RunId { container: run.container.clone(), generation }, output).await?;
        }
        let proof = match first {
            Some(_) => Some(Proof::look_up(logs, &run.container, left, output).await?),
            None => None,
        };
        Ok(Self { left, proof, shared: first.is_some() && output == Output::Stderr, owed: false })
    }

    /// False when it cannot be said where the cloud's log goes on.
    pub fn is_sure(&self) -> bool {
        self.proof.as_ref().is_none_or(|proof| proof.sure)
    }

    /// What of the cloud's next line is to be kept yet.
    pub fn beyond(&mut self, line: &[u8]) -> Vec<u8> {
        let of_agent = self.shared && line.starts_with(AGENT);
        if of_agent || !self.is_sure() {
            return Vec::new();
        }
        let line = [line, b"\n"].concat();
        let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(line.len());
        self.left -= skipped as u64;
        if let (Some(proof), 1..) = (&mut self.proof, skipped) {
            proof.skip(&line[..skipped]);
            if self.left == 0 && !proof.holds() {
                return Vec::new();
            }
        }
        let mut rest = line[skipped..].to_vec();
        if std::mem::take(&mut self.owed) {
            rest.insert(0, b'\n');
        }
        // The process may have ended before it wrote that.
        if skipped > 0 && rest == b"\n" {
            self.owed = true;
            rest.clear();
        }
        rest
    }
}

impl Proof {
    async fn look_up(logs: &dyn Logs, container: &str, all: u64, output: Output) -> Result<Self, LogError> {
        let most = usize::try_from(all).unwrap_or(usize::MAX).min(tuning::LOG_PROOF);
        let query = LogQuery {
            stdout: output == Output::Stdout,
            stderr: output == Output::Stderr,
            tail: Some(tuning::LOG_PROOF_LINES),
            ..LogQuery::default()
        };
        let mut expected = Vec::new();
        if most > 0 {
            let mut chunks = logs.read(container, query).await?;
            while let Some(chunk) = chunks.try_next().await? {
                expected.extend_from_slice(&chunk.bytes);
                expected.drain(..expected.len().saturating_sub(most));
            }
        }
        Ok(Self { found: VecDeque::new(), sure: true, expected })
    }

    fn skip(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.expected.len())..];
        self.found.extend(bytes);
        self.found.drain(..self.found.len().saturating_sub(self.expected.len()));
    }

    /// Of a log whose driver has dropped all that was kept nothing can be proved.
    fn holds(&mut self) -> bool {
        self.sure = !self.expected.is_empty() && self.found == self.expected;
        self.sure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kept: &[u8]) -> Kept {
        let proof = Proof { expected: kept.to_vec(), found: VecDeque::new(), sure: true };
        Kept { left: kept.len() as u64, proof: Some(proof), shared: true, owed: false }
    }

    fn told(kept: &mut Kept, lines: &[&str]) -> String {
        lines.iter().map(|line| String::from_utf8(kept.beyond(line.as_bytes())).unwrap()).collect()
    }

    #[test]
    fn what_was_cut_in_a_line_goes_on_there() {
        let lines = ["one", "two", "three"];
        let whole = "one\ntwo\nthree\n";
        for cut in 0..whole.len() {
            let mut kept = after(&whole.as_bytes()[..cut]);
            let rest = told(&mut kept, &lines);
            // The last newline alone proves nothing.
            let expected = if cut == whole.len() - 1 { "" } else { &whole[cut..] };
            assert_eq!(rest, expected, "{cut}");
            assert!(kept.is_sure());
        }
    }

    #[test]
    fn what_the_agent_says_is_not_the_processs() {
        let mut kept = after(b"one\n");
        assert_eq!(told(&mut kept, &["sockerless-agent: a", "one", "sockerless-agent: b", "two"]), "two\n");
    }

    #[test]
    fn behind_what_differs_nothing_is_sure() {
        let mut kept = after(b"one\ntwo\n");
        assert_eq!(told(&mut kept, &["one", "[left out]", "three"]), "");
        assert!(!kept.is_sure());
    }
}
