//! Requests under way: what is known of them across connections, and what their callers have of them.

mod handle;
mod slot;
mod table;

pub use handle::open;
pub use slot::{Opening, Slot};
pub use table::Channels;
