//! What happens to every request before its route and to every answer after it.

use std::panic::AssertUnwindSafe;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{Method, StatusCode, Uri, uri::PathAndQuery};
use tower::ServiceExt;

use crate::{
    errors::ApiError,
    headers, respond,
    version::{self, ApiVersion},
};

/// Takes the version off the path, checks it, and puts dockerd's headers on the answer.
pub fn around(routes: Router, min: ApiVersion) -> Router {
    Router::new().fallback(front).with_state((routes, min))
}

async fn front(State((routes, min)): State<(Router, ApiVersion)>, request: Request) -> Response {
    let mut response = match prepare(request, min) {
        Ok(request) => match AssertUnwindSafe(routes.oneshot(request)).catch_unwind().await {
            Ok(answer) => answer.unwrap_or_else(|never| match never {}),
            // A fault of the daemon's own costs this request, and the client hears of it.
            Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the daemon failed; see its log")
                .into_response(),
        },
        Err(response) => *response,
    };
    headers::apply(response.headers_mut());
    response
}

fn prepare(mut request: Request, min: ApiVersion) -> Result<Request, Box<Response>> {
    let refuse = |error: ApiError| Box::new(error.into_response());
    let (version, path) = version::split(request.uri().path(), min).map_err(refuse)?;
    match *request.method() {
        // axum answers HEAD wherever it answers GET; dockerd has it on two routes.
        Method::HEAD if path != "/_ping" && !path.ends_with("/archive") => {
            return Err(refuse(ApiError::page_not_found()));
        }
        Method::OPTIONS => return Err(Box::new(respond::empty(StatusCode::OK))),
        _ => {}
    }
    if path.len() != request.uri().path().len() {
        let uri = strip(request.uri(), path).ok_or_else(|| refuse(ApiError::page_not_found()))?;
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(version);
    Ok(request)
}

fn strip(uri: &Uri, path: &str) -> Option<Uri> {
    let target: PathAndQuery = match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok()?,
        None => path.parse().ok()?,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).ok()
}

/// For paths and methods that no route takes.
pub async fn page_not_found(_: axum::extract::Request<Body>) -> ApiError {
    ApiError::page_not_found()
}
