//! The daemon as a whole: `_ping`, `version`, `info`.

use std::sync::LazyLock;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::Response,
    routing::{any, get},
};
use http::{HeaderMap, HeaderValue, Method, header};

use crate::{App, errors::ApiError, headers, respond, respond::Answer};

/// The path of [`pong`].
pub const PING: &str = "/_ping";

pub fn routes() -> Router<App> {
    Router::new().route(PING, any(ping)).route("/version", get(version)).route("/info", get(info))
}

async fn ping(method: Method) -> Result<Response, ApiError> {
    pong(&method).ok_or_else(ApiError::page_not_found)
}

/// The whole answer to `_ping`; none for a method that it does not have.
pub fn pong(method: &Method) -> Option<Response> {
    static GET: LazyLock<HeaderMap> = LazyLock::new(pong_headers);
    static HEAD: LazyLock<HeaderMap> = LazyLock::new(|| {
        let mut headers = pong_headers();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers
    });
    let (body, headers) = match *method {
        Method::GET => (Body::from("OK"), &GET),
        Method::HEAD => (Body::empty(), &HEAD),
        _ => return None,
    };
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::clone(headers);
    Some(response)
}

fn pong_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers::apply(&mut headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // 1 is the classic builder; 2 would make clients speak BuildKit's session protocol.
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    headers
}

async fn version(State(daemon): State<App>) -> Answer {
    respond::ok(&daemon.version())
}

async fn info(State(daemon): State<App>) -> Answer {
    respond::ok(&daemon.info().await?)
}
