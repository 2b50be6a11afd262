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
mod progress;
mod stats;
pub mod system;
mod top;
mod unsupported;
mod update;
mod volumes;
mod websocket;

use axum::Router;

use crate::{App, front::page_not_found};

/// Every route, without version prefix.
pub fn all() -> Router<App> {
    Router::new()
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
        .fallback(page_not_found)
        .method_not_allowed_fallback(page_not_found)
}
