//! The headers of tar archives as POSIX extends them (`pax`), read and written.
//!
//! By hand, since the library takes the records of extended headers apart at newlines, which attributes and names may hold. What
//! is wrong with an archive is said by who reads it, in words of his own: here that is none.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod read;
mod write;

pub use read::{Record, number, records, seconds, text, unsigned};
pub use write::{extend, fraction, record};

/// Everything in an archive is in blocks of this size, bytes.
pub const BLOCK: usize = 512;

/// The records' names for extended attributes begin with this.
pub const ATTRIBUTE: &str = "SCHILY.xattr.";
