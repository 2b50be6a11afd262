//! How long the cloud takes.

use std::ops::Range;

use sockerless_simulator_common::Latency;
pub use sockerless_simulator_common::Profile;

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

impl Latency for Step {
    fn millis(self, profile: Profile) -> Range<u64> {
        match (profile, self) {
            (Profile::Fast, Self::Reconcile | Self::DnsChange) => 2..4,
            (Profile::Fast, Self::ColdStart | Self::Complete) => 0..2,
            (Profile::Fast, Self::LogIngestion) => 0..1,
            (Profile::Realistic, Self::Reconcile | Self::DnsChange) => 1_000..2_000,
            (Profile::Realistic, Self::ColdStart) => 5_000..10_000,
            (Profile::Realistic, Self::Complete) => 500..1_500,
            (Profile::Realistic, Self::LogIngestion) => 1_000..4_000,
        }
    }
}
