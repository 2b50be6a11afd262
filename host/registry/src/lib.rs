//! Images: the registries' side (OCI distribution) and what this daemon keeps of them.
//!
//! [`Images`] implements the port `Registry`. A pulled image is its manifest and configuration; its
//! layers stay where they are until a cloud that cannot reach them needs a copy. Layers of loaded
//! and imported images are kept on disk, compressed once, as they are pushed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod blobs;
mod catalog;
mod client;
mod config;
mod digest;
mod images;
mod import;
mod layer;
mod layers;
mod load;
mod login;
mod manifest;
mod platform;
mod provide;
mod pull;
mod reference;
mod tuning;

pub use config::{ImagesConfig, Logins, Mirror, NoLogins};
pub use images::Images;
pub use platform::Platform;
pub use reference::Reference;

#[cfg(test)]
mod tests;
