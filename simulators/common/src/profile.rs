//! How long a cloud takes.

use std::ops::Range;
use std::time::Duration;

use rand::Rng;

/// A set of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// A few milliseconds: operations are still long-running, tests are not.
    #[default]
    Fast,
    /// The cloud's own, as field reports give them.
    Realistic,
}

/// A step that takes time in a cloud.
pub trait Latency {
    /// Milliseconds that it takes.
    fn millis(self, profile: Profile) -> Range<u64>;
}

impl Profile {
    /// How long a step takes this time.
    pub fn latency(self, step: impl Latency) -> Duration {
        Duration::from_millis(rand::rng().random_range(step.millis(self)))
    }
}
