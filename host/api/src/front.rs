//! What happens to every request before its route and to every answer after it.

use std::{
    future::{Future, ready},
    panic::AssertUnwindSafe,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{Method, StatusCode, Uri, uri::PathAndQuery};
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::{errors::ApiError, headers, hijack::Slot, respond, routes::system, version};

/// Every route of the API, with and without `/vX.Y`.
#[derive(Clone)]
pub struct Router {
    routes: axum::Router,
}

impl Router {
    /// `routes` know nothing of versions.
    pub(crate) fn new(routes: axum::Router) -> Self {
        Self { routes }
    }

    /// Answers a request of the connection that `slot` belongs to.
    pub(crate) fn answer(
        &self,
        request: http::Request<Incoming>,
        slot: &Slot,
    ) -> impl Future<Output = Response> + Send + use<> {
        // Clients ping before each of their commands, and health checks do nothing else: this way is the shortest.
        if request.uri().path() == system::PING
            && let Some(pong) = system::pong(request.method())
        {
            return ready(pong).left_future();
        }
        let (router, slot) = (self.clone(), slot.clone());
        async move {
            let mut response = router.route(request.map(Body::new), slot).await;
            headers::apply(response.headers_mut());
            response
        }
        .boxed()
        .right_future()
    }

    /// Takes the version off the path and checks it.
    async fn route(self, request: Request, slot: Slot) -> Response {
        let mut request = match prepare(request) {
            Ok(request) => request,
            Err(response) => return *response,
        };
        request.extensions_mut().insert(slot);
        match AssertUnwindSafe(self.routes.oneshot(request)).catch_unwind().await {
            Ok(answer) => answer.unwrap_or_else(|never| match never {}),
            // A fault of the daemon's own costs this request, and the client hears of it.
            Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the daemon failed; see its log")
                .into_response(),
        }
    }
}

fn prepare(mut request: Request) -> Result<Request, Box<Response>> {
    let refuse = |error: ApiError| Box::new(error.into_response());
    let (version, path) = version::split(request.uri().path()).map_err(refuse)?;
    match *request.method() {
        // axum answers HEAD wherever it answers GET; dockerd has it on two routes.
        Method::HEAD if path != system::PING && !path.ends_with("/archive") => {
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
pub async fn page_not_found(_: Request) -> ApiError {
    ApiError::page_not_found()
}
