//! `/containers`, but for their output and input.

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{delete, get, post},
};
use bollard_stubs::models::ContainerWaitResponse;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use sockerless_engine::{ListRequest, Outcome, RemoveRequest, WaitCondition};
use sockerless_ports::link::TerminalSize;

use super::{create::create, networks::aliases_as_of};
use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    nulls, respond,
    respond::Answer,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/containers/create", post(create))
        .route("/containers/json", get(list))
        .route("/containers/prune", post(prune))
        .route("/containers/{id}", delete(remove))
        .route("/containers/{id}/{alias}", delete(remove_link))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/pause", post(pause))
        .route("/containers/{id}/unpause", post(unpause))
        .route("/containers/{id}/sync", post(sync))
        .route("/containers/{id}/wait", post(wait))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/resize", post(resize))
}

async fn list(State(daemon): State<App>, params: Params) -> Answer {
    let mut filters = params.filters()?;
    // Both were parameters of their own before filters had them.
    for name in ["since", "before"] {
        if let Some(value) = params.string(name) {
            filters.entry(name.to_owned()).or_default().push(value);
        }
    }
    let limit: Option<i64> = params.number("limit")?;
    let request = ListRequest {
        all: params.flag("all"),
        // Zero and less (the CLI's -1) mean no limit.
        limit: limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
        size: params.flag("size"),
        filters,
    };
    Ok(respond::written(daemon.list(&request)?.json))
}

async fn inspect(State(daemon): State<App>, Id(id): Id, version: ApiVersion, params: Params) -> Answer {
    let mut answer = daemon.inspect(&id, params.flag("size"))?;
    aliases_as_of(version, &mut answer);
    respond::ok(&nulls::inspect(answer))
}

async fn start(State(daemon): State<App>, Id(id): Id, headers: HeaderMap) -> Answer {
    // As dockerd: `{}` and the like pass, a host configuration (API 1.23 and before) does not.
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > 7) || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(ApiError::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    Ok(outcome(daemon.start(&id).await?))
}

async fn stop(State(daemon): State<App>, Id(id): Id, version: ApiVersion, params: Params) -> Answer {
    Ok(outcome(daemon.stop(&id, signal(&params, version), params.number("t")?).await?))
}

async fn restart(State(daemon): State<App>, Id(id): Id, version: ApiVersion, params: Params) -> Answer {
    daemon.restart(&id, signal(&params, version), params.number("t")?).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn kill(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    daemon.kill(&id, params.text("signal")).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn pause(State(daemon): State<App>, Id(id): Id) -> Answer {
    daemon.pause(&id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Not of Docker's: merges synced volumes and bind mounts with what they are of.
async fn sync(State(daemon): State<App>, Id(id): Id) -> Answer {
    daemon.sync(&id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn unpause(State(daemon): State<App>, Id(id): Id) -> Answer {
    daemon.unpause(&id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn rename(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    daemon.rename(&id, params.get("name").unwrap_or_default()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn remove(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let request =
        RemoveRequest { force: params.flag("force"), volumes: params.flag("v"), link: params.flag("link") };
    daemon.remove(&id, request).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// A link's name has a slash in it, which clients do not encode.
async fn remove_link(
    State(daemon): State<App>,
    Path((holder, alias)): Path<(String, String)>,
    params: Params,
) -> Answer {
    remove(State(daemon), Id(format!("{holder}/{alias}")), params).await
}

async fn prune(State(daemon): State<App>, params: Params) -> Answer {
    respond::ok(&daemon.prune(&params.filters()?).await?)
}

async fn resize(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let side =
        |name| params.number(name)?.ok_or_else(|| ApiError::invalid(format!("missing value for {name}")));
    let size = TerminalSize { rows: side("h")?, columns: side("w")? };
    daemon.resize(&id, size).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// The headers go out before the container is started: `docker run` waits for them.
async fn wait(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let condition = match params.text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(ApiError::invalid(format!("invalid condition: {other:?}"))),
    };
    let exit = daemon.wait(&id, condition)?;
    Ok(respond::json_stream(stream::once(exit.map(|exit| wait_line(&exit))).boxed()))
}

fn wait_line(exit: &ContainerWaitResponse) -> Bytes {
    // Two fields of plain types: writing them cannot fail.
    let mut line = serde_json::to_vec(exit).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// Part of the API since 1.42; older clients that send it mean something else.
fn signal(params: &Params, version: ApiVersion) -> Option<&str> {
    params.text("signal").filter(|_| version >= ApiVersion::new(1, 42))
}

fn outcome(outcome: Outcome) -> Response {
    respond::empty(match outcome {
        Outcome::Done => StatusCode::NO_CONTENT,
        Outcome::NotModified => StatusCode::NOT_MODIFIED,
    })
}
