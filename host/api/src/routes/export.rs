//! A container's file system as a whole: `docker export` and `docker diff`.

use axum::{Router, extract::State, routing::get};
use http::HeaderValue;

use crate::{App, extract::Id, respond, respond::Answer};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/containers/{id}/export", get(export))
        .route("/containers/{id}/changes", get(changes))
}

async fn export(State(daemon): State<App>, Id(id): Id) -> Answer {
    let archive = daemon.export(&id).await?;
    Ok(respond::archive(HeaderValue::from_static("application/octet-stream"), archive))
}

/// `null` when nothing has changed, as dockerd says it.
async fn changes(State(daemon): State<App>, Id(id): Id) -> Answer {
    let changes = daemon.changes(&id).await?;
    respond::ok(&(!changes.is_empty()).then_some(changes))
}
