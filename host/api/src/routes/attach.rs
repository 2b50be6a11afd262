//! `POST /containers/{id}/attach`: the connection becomes the container's streams.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::State, routing::post};
use http::HeaderMap;
use sockerless_engine::AttachRequest;

use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    framing::{Encoded, Form, content_type},
    head::Head,
    hijack,
    hijack::Slot,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/attach", post(attach))
}

async fn attach(
    State(daemon): State<App>,
    Id(id): Id,
    version: ApiVersion,
    params: Params,
    slot: Slot,
    headers: HeaderMap,
    body: Body,
) -> Result<Infallible, ApiError> {
    let request = AttachRequest {
        logs: params.flag("logs"),
        stream: params.flag("stream"),
        stdin: params.flag("stdin"),
        stdout: params.flag("stdout"),
        stderr: params.flag("stderr"),
        detach_keys: params.string("detachKeys"),
    };
    hijack::skip_body(&headers, body).await?;
    // Errors have to be told before the switch: after it a client takes them for output.
    let attachment = daemon.attach(&id, request).await?;
    let form = Form::of(&attachment.output);
    let head = Head::new(&headers, &content_type(attachment.output.tty, version));
    let output = Encoded::new(attachment.output, form);
    slot.take(head, move |connection, read| hijack::pump(connection, read, output, attachment.input)).await
}
