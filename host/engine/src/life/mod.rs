//! A container's life as a pure function: [`step`] takes a state and an event, and gives the next
//! state and what has to be done about it. No clock, no network, no thread: the supervisor carries the
//! effects out and tells what came of them as further events.

mod event;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use event::{Announcement, Effect, Event, Refused, Report};
pub(crate) use state::{CloudEnd, Failure, FailureKind, Phase, State, Stop};
pub(crate) use step::step;
