//! The Docker Engine API over HTTP: routes, wire formats and listeners. Knows no cloud.
//!
//! [`router`] answers requests out of a [`Daemon`] (the engine) and its [`Plugins`]; [`bind`] and [`serve`] put it on
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
mod plugins;
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
pub use plugins::{PluginBuild, PluginGrant, PluginStanding, Plugins, Reloaded};
pub use version::ApiVersion;

/// What handlers share.
pub(crate) type App = Arc<dyn Daemon>;

/// Every route of the API, with and without `/vX.Y`: Docker's, which an `Arc<Engine>` answers, and those of `sockerless plugin`.
pub fn router(daemon: Arc<dyn Daemon>, plugins: Arc<dyn Plugins>) -> Router {
    Router::new(routes::all(daemon, plugins))
}
