//! The Docker Engine API over HTTP: routes, wire formats and listeners. Knows no cloud.
//!
//! [`router`] answers requests out of a [`Daemon`] (the engine); [`bind`] and [`serve`] put it on
//! sockets. Attach takes its connection over from HTTP, which works under [`serve`] alone.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod connection;
mod daemon;
mod errors;
mod extract;
mod framing;
mod front;
mod head;
mod headers;
mod hijack;
mod limits;
mod listen;
mod nulls;
mod respond;
mod routes;
mod time;
mod upload;
mod version;

use std::sync::Arc;

pub use connection::serve;
pub use daemon::Daemon;
pub use front::Router;
pub use listen::{Address, AddressError, ListenError, Listener, bind};
pub use version::ApiVersion;

/// What handlers share.
pub(crate) type App = Arc<dyn Daemon>;

/// Choices of the operator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApiOptions {
    /// The oldest version that clients may speak; [`ApiVersion::MIN`] unless raised, as dockerd's
    /// `min-api-version`.
    pub min_version: ApiVersion,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { min_version: ApiVersion::MIN }
    }
}

/// Every route of the API, with and without `/vX.Y`. Takes an `Arc<Engine>`.
pub fn router(daemon: Arc<dyn Daemon>, options: ApiOptions) -> Router {
    Router::new(routes::all().with_state(daemon), options.min_version)
}
