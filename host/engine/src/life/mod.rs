//! A container's life as a pure function: [`step`] takes a state and an event, and gives the next
//! state and what has to be done about it. No clock, no network, no thread: the supervisor carries the
//! effects out and tells what came of them as further events.

mod end;
mod event;
mod linger;
#[cfg(test)]
mod properties;
mod restart;
mod rules;
mod start;
mod state;
mod step;
mod stop;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use event::{Announcement, Effect, Event, Refused, Report, Shared};
pub(crate) use restart::{Policy, Restarts};
pub(crate) use rules::Rules;
pub(crate) use state::{CloudEnd, Failure, FailureKind, Linger, Phase, State, Stop};
pub(crate) use step::step;
