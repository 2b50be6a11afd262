//! Pods: several containers in one job of a cloud, with one network stack.
//!
//! A pod is a small aggregate beside its containers' lives, which it does not change: each member has its own agent, its own
//! start, end, log and exit code. The job is made when the first member is started. The agents of members that nobody has
//! started yet connect and wait in their [`Seat`]s; a member's start is then a matter of telling its agent. A member's agent
//! stays after the end as long as any other runs, since it costs nothing, and the job goes when nobody needs it any more.
//!
//! Who belongs together is in [`key`], who gets a place in [`plan`].

mod close;
mod key;
mod member;
mod open;
mod peers;
mod plan;
mod pod;
mod resume;
mod seat;
mod table;

pub(crate) use key::{LABEL, shares_with};
pub(crate) use pod::Pod;
pub(crate) use seat::Seat;
pub(crate) use table::Pods;
