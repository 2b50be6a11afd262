//! The API as its clients see it: over a real unix socket, with a daemon whose every move the
//! test makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod disk;
mod execs;
mod fake;
mod files;
mod images;
mod listeners;
mod negotiation;
mod networks;
mod operations;
mod plugins;
mod requests;
mod sequences;
mod server;
mod streams;
mod websocket;
