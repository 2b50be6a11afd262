//! The container's files: where they begin, what is mounted among them, and the way through all of them.

pub mod clock;
pub mod mounts;
pub mod path;
pub mod tree;
