//! `POST /commit`

use axum::{Router, body::Body, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use sockerless_engine::CommitContainer;

use super::create::container_config;
use crate::{App, errors::ApiError, extract, extract::Params, respond, respond::Answer};

pub fn routes() -> Router<App> {
    Router::new().route("/commit", post(commit))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

async fn commit(State(daemon): State<App>, params: Params, headers: HeaderMap, body: Body) -> Answer {
    let config = match extract::json(&headers, body).await? {
        None | Some(Value::Null) => None,
        Some(Value::Object(fields)) => Some(container_config(fields)?),
        Some(_) => return Err(ApiError::invalid("invalid JSON: the body has to be an object")),
    };
    let text = |name| params.string(name).unwrap_or_default();
    let request = CommitContainer {
        container: text("container"),
        repository: text("repo"),
        tag: text("tag"),
        comment: text("comment"),
        author: text("author"),
        // Given without a value, too, it is as if it was not given.
        pause: params.text("pause").is_none() || params.flag("pause"),
        changes: params.all("changes"),
        config,
    };
    let id = daemon.commit_container(request).await?;
    Ok(respond::json(StatusCode::CREATED, &Committed { id }))
}
