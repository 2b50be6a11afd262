//! `GET /containers/{id}/stats`

use axum::{Router, extract::State, routing::get};
use bytes::Bytes;
use futures_util::StreamExt;
use sockerless_engine::{ContainerStats, StatsRequest};

use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    respond,
    respond::Answer,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/stats", get(stats))
}

async fn stats(State(daemon): State<App>, Id(id): Id, version: ApiVersion, params: Params) -> Answer {
    let stream = params.flag_or("stream", true);
    let one_shot = params.flag("one-shot") && version >= ApiVersion::new(1, 41);
    if stream && one_shot {
        return Err(ApiError::invalid("cannot have stream=true and one-shot=true"));
    }
    let stats = daemon.stats(&id, StatsRequest { stream, one_shot }).await?;
    Ok(respond::json_stream(stats.filter_map(async |stats| line(&stats))))
}

fn line(stats: &ContainerStats) -> Option<Bytes> {
    match serde_json::to_vec(stats) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            Some(bytes.into())
        }
        Err(error) => {
            tracing::error!(%error, "statistics cannot be written as JSON");
            None
        }
    }
}
