//! `/containers/{id}/exec` and `/exec`: further processes in a container.

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bollard_stubs::models::{ExecConfig, ExecInspectResponse, ExecStartConfig};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use sockerless_engine::ExecStart;
use sockerless_ports::link::TerminalSize;

use crate::{
    App,
    errors::ApiError,
    extract,
    extract::{Id, Params},
    framing::{Encoded, Form, content_type},
    head::Head,
    hijack,
    hijack::Slot,
    respond,
    respond::Answer,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/containers/{id}/exec", post(create))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/resize", post(resize))
        .route("/exec/{id}/json", get(inspect))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

async fn create(
    State(daemon): State<App>,
    Id(id): Id,
    version: ApiVersion,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let mut config: ExecConfig = extract::json(&headers, body).await?.ok_or_else(extract::missing_body)?;
    if !knows_size(version) {
        config.console_size = None;
    }
    let id = daemon.create_exec(&id, config)?;
    Ok(respond::json(StatusCode::CREATED, &Created { id }))
}

async fn start(
    State(daemon): State<App>,
    Id(id): Id,
    version: ApiVersion,
    slot: Slot,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let config: ExecStartConfig = extract::json(&headers, body).await?.ok_or_else(extract::missing_body)?;
    let tty = config.tty.unwrap_or_default();
    let request = ExecStart {
        detach: config.detach.unwrap_or_default(),
        tty,
        size: config.console_size.filter(|_| tty && knows_size(version)).as_deref().and_then(size),
    };
    // Errors have to be told before the switch: after it a client takes them for output.
    let Some(attachment) = daemon.start_exec(&id, request).await? else {
        return Ok(respond::empty(StatusCode::OK));
    };
    let form = Form::of(&attachment.output);
    let head = Head::new(&headers, &content_type(attachment.output.tty, version));
    let output = Encoded::new(attachment.output, form);
    let taken =
        slot.take(head, move |connection, read| hijack::pump(connection, read, output, attachment.input));
    Ok(taken.await?.into_response())
}

async fn resize(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let side =
        |name| params.number(name)?.ok_or_else(|| ApiError::invalid(format!("missing value for {name}")));
    let size = TerminalSize { rows: side("h")?, columns: side("w")? };
    daemon.resize_exec(&id, size).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// The exit code is `null` until there is one.
#[derive(Serialize)]
struct Inspect {
    #[serde(flatten)]
    rest: ExecInspectResponse,
    #[serde(rename = "ExitCode")]
    exit_code: Option<i64>,
}

async fn inspect(State(daemon): State<App>, Id(id): Id) -> Answer {
    let mut rest = daemon.inspect_exec(&id)?;
    let exit_code = rest.exit_code.take();
    respond::ok(&Inspect { rest, exit_code })
}

/// `ConsoleSize` came with API 1.42.
fn knows_size(version: ApiVersion) -> bool {
    version >= ApiVersion::new(1, 42)
}

/// Height, then width; zeros mean that it is not known.
fn size(size: &[usize]) -> Option<TerminalSize> {
    let [rows, columns] = size.try_into().ok()?;
    let (rows, columns) = (u16::try_from(rows).ok()?, u16::try_from(columns).ok()?);
    (rows > 0 && columns > 0).then_some(TerminalSize { columns, rows })
}
