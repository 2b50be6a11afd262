//! What a directory holds, as data: scanned from a disk, compared, merged from two sides, and made again.
//!
//! A [`Manifest`] names everything below a directory, with the digests of files' chunks in place of their bytes. Where the
//! bytes are kept and how they travel is not known here.
//!
//! - [`scan`] reads a directory; what has not changed since the last scan is not read again.
//! - [`difference`] says what has to be done to turn one state into another, [`apply`] does it.
//! - [`merge`] makes one state of two that were changed independently: nothing that either side wrote is lost.
//! - [`Manifest::encode`] and [`Manifest::decode`]: a compact form, versioned.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod apply;
mod difference;
mod digest;
mod encode;
pub mod limits;
mod links;
mod manifest;
mod merge;
mod path;
mod scan;

pub use apply::{Applied, Chunks, apply};
pub use difference::{Change, difference};
pub use digest::Digest;
pub use encode::{Malformed, Reader, Writer};
pub use manifest::{Content, File, Manifest, Node};
pub use merge::{Conflict, Merged, merge};
pub use path::{display, is_below, join, name, parent};
pub use scan::{Heard, LeftOut, Options, Scanned, Stamp, Without, scan};
