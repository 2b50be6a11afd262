//! `GET /containers/{id}/top`

use axum::{Router, extract::State, routing::get};
use serde::Serialize;

use crate::{
    App,
    extract::{Id, Params},
    respond,
    respond::Answer,
};

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/top", get(top))
}

/// Both names are always there; dockerd writes `null` when no process was chosen.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Top {
    titles: Vec<String>,
    processes: Option<Vec<Vec<String>>>,
}

async fn top(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let answer = daemon.top(&id, params.text("ps_args")).await?;
    respond::ok(&Top { titles: answer.titles.unwrap_or_default(), processes: answer.processes })
}
