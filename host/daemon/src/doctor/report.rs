//! What is printed.

use std::io::IsTerminal;

use serde_json::json;
use sockerless_ports::backend::{Check, Verdict};

/// The findings so far. As text they are printed as they come, since some take their time.
pub struct Report {
    json: bool,
    checks: Vec<Check>,
}

impl Report {
    /// None yet.
    pub fn new(json: bool) -> Self {
        Self { json, checks: Vec::new() }
    }

    /// One more.
    pub fn add(&mut self, check: Check) {
        if !self.json {
            print(&check);
        }
        self.checks.push(check);
    }

    /// Whether one has failed so far.
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Verdict::Fail)
    }

    /// Prints the sum. Gives whether none has failed.
    pub fn end(&self) -> bool {
        if self.json {
            let checks: Vec<_> = self
                .checks
                .iter()
                .map(|check| {
                    json!({
                        "name": check.name, "verdict": word(check.verdict).to_lowercase(),
                        "finding": check.finding, "remedy": check.remedy,
                    })
                })
                .collect();
            println!("{}", json!(checks));
        } else {
            let failed = self.checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
            println!("{} checks, {failed} failed", self.checks.len());
        }
        !self.failed()
    }
}

/// As it should be.
pub fn pass(name: &str, finding: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Pass, finding: finding.into(), remedy: String::new() }
}

/// It works, with a loss.
pub fn warn(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Warn, finding: finding.into(), remedy: remedy.into() }
}

/// It does not work.
pub fn fail(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Fail, finding: finding.into(), remedy: remedy.into() }
}

/// It was not looked at.
pub fn skip(name: &str, finding: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Skip, finding: finding.into(), remedy: String::new() }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "skip",
    }
}

fn print(check: &Check) {
    let colour = match check.verdict {
        Verdict::Pass => 32,
        Verdict::Warn => 33,
        Verdict::Fail => 31,
        Verdict::Skip => 90,
    };
    let word = word(check.verdict);
    if std::io::stdout().is_terminal() {
        println!("\x1b[{colour}m{word}\x1b[0m  {}: {}", check.name, check.finding);
    } else {
        println!("{word}  {}: {}", check.name, check.finding);
    }
    if !check.remedy.is_empty() {
        println!("      → {}", check.remedy);
    }
}
