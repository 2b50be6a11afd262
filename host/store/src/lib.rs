//! Durable state: the daemon's records and what containers write.
//!
//! [`Records`] implements the port `Store`, [`ContainerLogs`] the port `Logs`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod logs;
mod records;
mod tuning;

pub use logs::ContainerLogs;
pub use records::Records;
