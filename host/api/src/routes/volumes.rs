//! `/volumes`.

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use bollard_stubs::models::VolumeCreateOptions;
use http::{HeaderMap, StatusCode};

use crate::{
    App,
    errors::ApiError,
    extract::{self, Id, Params},
    respond,
    respond::Answer,
    version::ApiVersion,
};

/// From here on a prune takes what has no name alone, unless it is asked for all.
const ANONYMOUS_ALONE: ApiVersion = ApiVersion::new(1, 42);

pub fn routes() -> Router<App> {
    Router::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/prune", post(prune))
        .route("/volumes/{name}", get(inspect).delete(remove))
}

async fn list(State(daemon): State<App>, params: Params) -> Answer {
    respond::ok(&daemon.list_volumes(&params.filters()?)?)
}

async fn create(State(daemon): State<App>, headers: HeaderMap, body: Body) -> Answer {
    let request: VolumeCreateOptions = extract::json(&headers, body)
        .await?
        .ok_or_else(|| ApiError::invalid("invalid JSON: got EOF while reading request body"))?;
    Ok(respond::json(StatusCode::CREATED, &daemon.create_volume(request).await?))
}

async fn inspect(State(daemon): State<App>, Id(name): Id) -> Answer {
    respond::ok(&daemon.inspect_volume(&name).await?)
}

async fn remove(State(daemon): State<App>, Id(name): Id, params: Params) -> Answer {
    daemon.remove_volume(&name, params.flag("force")).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn prune(State(daemon): State<App>, version: ApiVersion, params: Params) -> Answer {
    let mut filters = params.filters()?;
    if version < ANONYMOUS_ALONE {
        filters.insert("all".into(), vec!["true".into()]);
    }
    respond::ok(&daemon.prune_volumes(&filters).await?)
}
