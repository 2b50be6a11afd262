//! What a container, an image and an event are, and how they live.
//!
//! [`Engine`] is the whole surface: one method for each thing that the Docker Engine API can ask.
//! Answers are the API's own models; HTTP is not known here.

mod containers;
mod error;
mod images;
mod requests;
mod system;

pub use containers::*;
pub use error::{Error, ErrorKind, Result};
pub use images::*;
pub use requests::*;
pub use system::*;

/// The daemon's heart. Cheap to share: `Arc<Engine>`.
pub struct Engine {}
