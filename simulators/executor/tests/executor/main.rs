//! Runs real containers of a busybox image from a registry within the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod as_user;
mod files;
mod images;
mod leftovers;
mod limits;
mod network;
mod pods;
mod processes;
mod served;
mod support;
