//! The filter that a process gets before it becomes the container's.

mod handover;
mod install;
mod program;

pub use handover::{receive, send};
pub use install::{Filter, Privileges};
