//! The daemon as a whole: `_ping`, `version`, `info`.

use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use http::{HeaderMap, HeaderValue, header};

use crate::{App, respond, respond::Answer};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/_ping", get(ping).head(ping_head))
        .route("/version", get(version))
        .route("/info", get(info))
}

async fn ping() -> Response {
    pong(Body::from("OK"))
}

async fn ping_head() -> Response {
    let mut response = pong(Body::empty());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

fn pong(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // 1 is the classic builder; 2 would make clients speak BuildKit's session protocol.
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    response
}

async fn version(State(daemon): State<App>) -> Answer {
    respond::ok(&daemon.version())
}

async fn info(State(daemon): State<App>) -> Answer {
    respond::ok(&daemon.info().await?)
}
