//! Azure on this machine: Container Apps that really run, storage accounts with Azure Files, private DNS zones, Log Analytics,
//! Entra and managed identities, and a container registry, by TLS and without, held to the models of Azure's SDKs.
//!
//! It is a cloud for tests and for work without an account: one subscription, one region, no billing, and no security
//! boundary. README.md says how it is reached.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod app;
mod arm;
mod auth;
mod config;
mod defaults;
mod dns;
mod error;
mod faults;
mod ids;
mod limits;
mod logs;
mod profile;
mod registry;
mod schema;
mod server;
mod storage;
#[cfg(test)]
mod tests;
mod time;
mod tls;

pub use config::{Config, Info, Quotas};
pub use server::{Server, Simulator, StartError, start, start_with};
pub use sockerless_simulator_common::Profile;
pub use sockerless_simulator_common::runner::Runner;
