//! The plugin host: loads a backend from a WebAssembly component and implements
//! [`sockerless_ports::Backend`] by it.
//!
//! Every call gets a fresh instance from a pool, with its own memory, processor and wall-clock
//! limits; a trap, an endless loop or a memory bomb is an error of that call alone. A plugin
//! reaches the world through HTTP to granted hosts and through credentials that it names and
//! never sees. `Plugin::swap` replaces a component while calls go on.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod call;
mod contract;
mod engine;
mod guest_log;
mod host;
mod http;
mod limits;
mod linker;
mod manifest;
mod plugin;
mod registry;
mod settings;
mod state;
mod v0_1;
mod version;

pub use host::{Component, HostConfig, PluginHost, PluginOptions};
pub use http::Proxies;
pub use limits::Limits;
pub use plugin::{Plugin, Standing, Swap};
pub use version::contract;
