//! Answers: JSON at once, JSON lines as they come.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sockerless_ports::registry::Archive;

use crate::errors::ApiError;

/// A handler's result.
pub type Answer = Result<Response, ApiError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON document; ends with a new line, as dockerd's do.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    let mut body = Vec::with_capacity(1024);
    if let Err(error) = serde_json::to_writer(&mut body, value) {
        tracing::error!(%error, "an answer cannot be written as JSON");
        return with_body(
            StatusCode::INTERNAL_SERVER_ERROR,
            JSON,
            Body::from("{\"message\":\"an answer cannot be written as JSON\"}\n"),
        );
    }
    body.push(b'\n');
    with_body(status, JSON, Body::from(body))
}

/// 200 with a JSON document that stands already.
pub fn written(mut document: Vec<u8>) -> Response {
    document.push(b'\n');
    with_body(StatusCode::OK, JSON, Body::from(document))
}

/// 200 with a JSON document.
pub fn ok<T: Serialize + ?Sized>(value: &T) -> Answer {
    Ok(json(StatusCode::OK, value))
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 200 whose headers go out at once, before the first piece is there.
pub fn stream<S>(content_type: HeaderValue, pieces: S) -> Response
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    with_body(StatusCode::OK, content_type, Body::from_stream(pieces.map(Ok::<_, std::convert::Infallible>)))
}

/// 200 with JSON documents in a row.
pub fn json_stream<S>(lines: S) -> Response
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    stream(JSON, lines)
}

/// 200 with an archive. An error in it breaks the answer off, so that the client does not take a part for the whole.
pub fn archive(content_type: HeaderValue, archive: Archive) -> Response {
    let told = archive.inspect_err(|error| tracing::error!(%error, "an archive broke off"));
    with_body(StatusCode::OK, content_type, Body::from_stream(told))
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
