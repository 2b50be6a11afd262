//! The plugin host with a real component, over a real line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod fixture;
mod loading;
mod log;
mod proxies;
mod requests;
mod server;
mod swap;
