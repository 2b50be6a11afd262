//! How long Azure takes.

use std::ops::Range;
use std::time::Duration;

use sockerless_simulator_common::{Latency, Profile};

/// A step that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From a PUT, PATCH or DELETE to the provisioned state.
    Provision,
    /// From a created resource to its place in listings.
    Listed,
    /// From a created resource to its being found by its id: Resource Manager's caches are behind.
    Seen,
    /// From an updated job to the executions that use the new template.
    Template,
    /// From a start to the container: room, image, volumes.
    ColdStart,
    /// From the containers' end to the execution's last status.
    Complete,
    /// From a line's writing to its appearance in a query.
    LogIngestion,
}

impl Latency for Step {
    fn millis(self, profile: Profile) -> Range<u64> {
        match (profile, self) {
            (Profile::Fast, Self::Provision) => 2..4,
            (Profile::Fast, Self::Listed | Self::ColdStart | Self::Complete) => 0..2,
            (Profile::Fast, Self::Seen) => 0..1,
            (Profile::Fast, Self::Template) => 20..30,
            (Profile::Fast, Self::LogIngestion) => 0..1,
            (Profile::Realistic, Self::Provision) => 1_500..4_000,
            (Profile::Realistic, Self::Listed) => 1_000..5_000,
            (Profile::Realistic, Self::Seen) => 0..3_000,
            (Profile::Realistic, Self::Template) => 60_000..180_000,
            (Profile::Realistic, Self::ColdStart) => 20_000..40_000,
            (Profile::Realistic, Self::Complete) => 5_000..15_000,
            (Profile::Realistic, Self::LogIngestion) => 20_000..60_000,
        }
    }
}

/// What `Retry-After` of an operation says, in whole seconds.
pub fn retry_after(profile: Profile) -> Duration {
    match profile {
        Profile::Fast => Duration::ZERO,
        Profile::Realistic => Duration::from_secs(5),
    }
}
