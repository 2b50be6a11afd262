//! What a container, an image and an event are, and how they live.
//!
//! [`Engine`] is the whole surface: one method for each thing that the Docker Engine API can ask.
//! Answers are the API's own models; HTTP is not known here.

mod containers;
mod dependencies;
mod error;
mod images;
mod requests;
mod system;
mod tuning;

use std::sync::Arc;

pub use containers::*;
pub use dependencies::*;
pub use error::{Error, ErrorKind, Result};
pub use images::*;
pub use requests::*;

/// The daemon's heart. Cheap to share: `Arc<Engine>`.
pub struct Engine {}

#[allow(unused_variables, clippy::unused_async)]
impl Engine {
    /// Loads the state, awaits the agents that may return, and compares with the clouds in the
    /// background. Errors: the store cannot be read, or the default backend is not among the backends.
    pub async fn open(dependencies: Dependencies) -> Result<Arc<Self>> {
        todo!()
    }

    /// Ends all work of this engine, but no container: the next `open` picks them up.
    pub async fn close(&self) {
        todo!()
    }
}
