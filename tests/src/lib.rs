//! What the end-to-end tests share: a daemon of their own, images made on the spot, the docker CLI.
//!
//! Every test starts its own daemon with its own state and simulator, and ends both, so that tests
//! neither see each other nor leave anything behind.

// A fixture that cannot be had is a test that fails: panics are how tests say so.
#![allow(clippy::expect_used, clippy::panic)]

pub mod backend;
pub mod cli;
pub mod cloud;
pub mod daemon;
pub mod debian;
pub mod dist;
pub mod http;
pub mod images;
pub mod limits;
pub mod programs;
pub mod python;
pub mod registry;
pub mod simulator;
pub mod watch;

pub use backend::{Backend, backend};
pub use cli::{Docker, Output};
pub use daemon::Daemon;
pub use limits::{Need, needs};
pub use simulator::Simulator;
pub use watch::{Agents, Gate, until};
