//! The traits between the engine and everything around it, with their plain types.
//!
//! Small and stable on purpose: the engine depends on this crate alone, so an edit of the engine
//! rebuilds neither wasmtime nor an HTTP stack, and each neighbour can be replaced in a test.

pub mod backend;
pub mod link;
pub mod logs;
pub mod registry;
pub mod store;

pub use backend::Backend;
pub use link::Link;
pub use logs::Logs;
pub use registry::Registry;
pub use store::Store;
