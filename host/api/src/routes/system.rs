//! The daemon as a whole: `_ping`, `version`, `info`, `system/df`.

use std::sync::LazyLock;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::Response,
    routing::{any, get},
};
use bollard_stubs::models::{ImageSummary, Volume};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use sockerless_engine::{DiskUsage, DiskUsageRequest};

use crate::{App, errors::ApiError, extract::Params, headers, respond, respond::Answer, version::ApiVersion};

/// The path of [`pong`].
pub const PING: &str = "/_ping";

pub fn routes() -> Router<App> {
    Router::new()
        .route(PING, any(ping))
        .route("/version", get(version))
        .route("/info", get(info))
        .route("/system/df", get(disk_usage))
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

/// From here on clients may ask for some of it alone, and nothing is said of a builder.
const TYPES: ApiVersion = ApiVersion::new(1, 42);

/// `GET /system/df`. What was not asked for is null, as in dockerd.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Disk {
    layers_size: i64,
    images: Option<Vec<ImageSummary>>,
    containers: Option<Value>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    builder_size: Option<i64>,
}

async fn disk_usage(State(daemon): State<App>, version: ApiVersion, params: Params) -> Answer {
    let types = if version < TYPES { Vec::new() } else { params.all("type") };
    let known = ["container", "image", "volume", "build-cache"];
    if let Some(unknown) = types.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(ApiError::invalid(format!("unknown object type: {unknown}")));
    }
    let wanted = |name: &str| types.is_empty() || types.iter().any(|wanted| wanted == name);
    let request = DiskUsageRequest {
        images: wanted("image"),
        containers: wanted("container"),
        volumes: wanted("volume"),
    };
    let DiskUsage { layers_size, images, containers, volumes } = daemon.disk_usage(request).await?;
    let containers = containers.map(|listing| serde_json::from_slice(&listing.json)).transpose();
    let unreadable =
        |error: serde_json::Error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    respond::ok(&Disk {
        layers_size,
        images,
        containers: containers.map_err(unreadable)?,
        volumes,
        build_cache: wanted("build-cache").then_some([]),
        builder_size: (version < TYPES).then_some(0),
    })
}
