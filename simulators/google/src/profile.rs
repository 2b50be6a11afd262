//! How long the cloud takes.

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

/// A step that takes time in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From the create, patch or delete call to a job's reconciled state.
    Reconcile,
    /// From an execution's creation to the start of its first task: room, image, volumes.
    ColdStart,
    /// From a task's end to the execution's completed state.
    Complete,
    /// From a change of a zone to what its name servers answer.
    DnsChange,
    /// From a line's writing to its appearance in a query.
    LogIngestion,
}

impl Profile {
    /// How long a step takes this time.
    pub fn latency(self, step: Step) -> Duration {
        let (low, high) = match (self, step) {
            (Self::Fast, Step::Reconcile | Step::DnsChange) => (2, 4),
            (Self::Fast, Step::ColdStart | Step::Complete) => (0, 2),
            (Self::Fast, Step::LogIngestion) => (0, 1),
            (Self::Realistic, Step::Reconcile | Step::DnsChange) => (1_000, 2_000),
            (Self::Realistic, Step::ColdStart) => (5_000, 10_000),
            (Self::Realistic, Step::Complete) => (500, 1_500),
            (Self::Realistic, Step::LogIngestion) => (1_000, 4_000),
        };
        Duration::from_millis(rand::rng().random_range(low..high))
    }
}
