//! Google Cloud on this machine: Cloud Run jobs that really run, Cloud Storage, Cloud Logging, Cloud DNS, OAuth, the
//! metadata server and an OCI registry, on one listener, held to Google's discovery documents; and a name server.
//!
//! It is a cloud for tests and for work without an account: one region, no billing, and no security boundary.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod auth;
mod config;
mod db;
mod dns;
mod error;
mod faults;
mod ids;
mod limits;
mod logging;
mod profile;
mod registry;
mod run;
mod schema;
mod server;
mod storage;
#[cfg(test)]
mod tests;
mod time;

#[cfg(test)]
use sockerless_simulator_common::testing as fake;
use sockerless_simulator_common::{quota, range, rate, runner};

pub use config::{Config, Info, Quotas};
pub use profile::Profile;
pub use runner::{Instance, Machine, Runner, Running, Stop};
pub use server::{Server, Simulator, StartError, start, start_with};
