//! What every cloud on this machine is made of: its state, its latencies and quotas, who runs its containers, its registry,
//! and the words of the tables that hold its requests to the official models.

#![cfg_attr(any(test, feature = "testing"), allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod db;
pub mod faults;
pub mod fuse;
pub mod ids;
mod limits;
mod profile;
pub mod quota;
pub mod range;
pub mod rate;
pub mod registry;
pub mod runner;
pub mod schema;
mod start;
#[cfg(feature = "testing")]
#[allow(missing_docs)]
pub mod testing;

pub use db::Database;
pub use profile::{Latency, Profile};
pub use start::{StartError, listen, lock};
