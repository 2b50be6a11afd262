//! The real component on the real plugin host, against Azure's simulator with a runner that the test plays: all that the
//! contract has, without a container.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod cloud;
mod faults;
mod jobs;
