//! What a life goes by.

use jiff::SignedDuration;

use super::Policy;

/// Out of a container's configuration, as it is at the time of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The container goes with its end.
    pub auto_remove: bool,
    /// When to start it again.
    pub restart: Policy,
    /// How long its agent stays after the end.
    pub linger: SignedDuration,
    /// How long an agent is kept for the start that follows a client's `restart`.
    pub restart_hold: SignedDuration,
    /// `StopSignal`, when there is one.
    pub stop_signal: Option<i32>,
    /// It has a health check.
    pub health: bool,
}

impl Rules {
    /// Whether a user who sends this signal wants the container to end for good. As in dockerd: any signal, or just SIGKILL
    /// and the container's own when it has one.
    pub fn ends_for_good(&self, signal: i32) -> bool {
        self.stop_signal.is_none_or(|own| signal == super::step::SIGKILL || signal == own)
    }
}
