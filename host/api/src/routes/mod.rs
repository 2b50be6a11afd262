//! The API's routes, one file for each of Docker's resources.

mod archive;
mod attach;
mod auth;
mod commit;
mod containers;
mod create;
mod events;
mod exec;
mod export;
mod images;
mod logs;
mod networks;
mod plugins;
mod progress;
mod stats;
pub mod system;
mod top;
mod unsupported;
mod update;
mod volumes;
mod websocket;

use std::sync::Arc;

use axum::Router;

use crate::{App, Plugins, front::page_not_found};

/// Every route, without version prefix.
pub fn all(daemon: App, plugins: Arc<dyn Plugins>) -> Router {
    Router::<App>::new()
        .merge(system::routes())
        .merge(auth::routes())
        .merge(events::routes())
        .merge(containers::routes())
        .merge(logs::routes())
        .merge(attach::routes())
        .merge(exec::routes())
        .merge(archive::routes())
        .merge(export::routes())
        .merge(commit::routes())
        .merge(stats::routes())
        .merge(top::routes())
        .merge(websocket::routes())
        .merge(images::routes())
        .merge(update::routes())
        .merge(networks::routes())
        .merge(volumes::routes())
        .merge(unsupported::routes())
        .with_state(daemon)
        .merge(plugins::routes().with_state(plugins))
        .fallback(page_not_found)
        .method_not_allowed_fallback(page_not_found)
}
