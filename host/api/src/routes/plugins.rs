//! `/sockerless/plugins`: not of Docker's.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;

use crate::{Plugins, errors::ApiError, extract::Params, respond, respond::Answer};

pub fn routes() -> Router<Arc<dyn Plugins>> {
    Router::new().route("/sockerless/plugins", get(list)).route("/sockerless/plugins/reload", post(reload))
}

async fn list(State(plugins): State<Arc<dyn Plugins>>) -> Answer {
    respond::ok(&plugins.list())
}

/// Of one by its `name`, or of all. 200 also when a component was refused: the answer says so of each.
async fn reload(State(plugins): State<Arc<dyn Plugins>>, params: Params) -> Answer {
    let name = params.text("name");
    let unknown = || {
        let known: Vec<String> = plugins.list().into_iter().map(|plugin| plugin.name).collect();
        let message =
            format!("there is no backend {:?}; loaded are: {}", name.unwrap_or_default(), known.join(", "));
        ApiError::new(StatusCode::NOT_FOUND, message)
    };
    respond::ok(&plugins.reload(name).await.ok_or_else(unknown)?)
}
