//! Azure Files' own API: shares, folders, files and their ranges.

pub mod error;
mod files;
mod folders;
pub mod metadata;
mod shares;
mod sign;
mod xml;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};

use self::error::{FileError, Result};
use super::{accounts, names, place};
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Whether a request is for Azure Files: by its path, or by an account's own host.
pub fn is_files(host: &str, path: &str) -> bool {
    path.starts_with("/files/") || by_host(host).is_some()
}

/// The account of `{account}.file.…`.
fn by_host(host: &str) -> Option<&str> {
    let (account, rest) = host.split_once('.')?;
    (rest.starts_with("file.") && names::is_account(account)).then_some(account)
}

/// A call of the API.
pub struct Call {
    /// The simulator.
    pub simulator: Arc<Simulator>,
    /// The account's document.
    pub account: serde_json::Value,
    /// The share; empty for the account itself.
    pub share: String,
    /// The path in the share; empty for its root.
    pub path: String,
    /// Query parameters, by small names.
    pub query: BTreeMap<String, String>,
    /// Headers.
    pub headers: HeaderMap,
    /// The method.
    pub method: Method,
}

impl Call {
    /// A query parameter.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The account's name.
    pub fn account_name(&self) -> &str {
        self.account["name"].as_str().unwrap_or_default()
    }

    /// The share's folder on this disk.
    pub fn root(&self) -> PathBuf {
        self.simulator.files.share(self.account_name(), &self.share)
    }

    /// Where the path leads.
    ///
    /// # Errors
    /// 400 for one that leads out of the share.
    pub fn place(&self) -> Result<place::Place> {
        place::resolve(&self.root(), &self.path).map_err(|_| FileError::resource_name())
    }
}

/// Answers a call.
pub async fn serve(simulator: Arc<Simulator>, host: &str, request: Request<Body>) -> Response {
    let version = request.headers().get("x-ms-version").cloned();
    let client = request.headers().get("x-ms-client-request-id").cloned();
    let head = request.method() == Method::HEAD;
    let mut response = match call(simulator, host, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    if head && !response.status().is_success() {
        *response.body_mut() = Body::empty();
    }
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set("x-ms-request-id", HeaderValue::from_str(&ids::uuid()).ok());
    set("x-ms-version", version);
    set("x-ms-client-request-id", client);
    set("date", HeaderValue::from_str(&time::http(time::now())).ok());
    response
}

async fn call(simulator: Arc<Simulator>, host: &str, request: Request<Body>) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let (account, rest) = target(host, &parts.uri);
    let Some(account) = accounts::by_name(&simulator, &account)? else {
        return Err(FileError::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFound",
            "The specified account does not exist.",
        ));
    };
    sign::check(&simulator, &account, &parts)?;
    if parts.headers.get("x-ms-version").is_none() {
        let message = "An HTTP header that's mandatory for this request is not specified: x-ms-version.";
        return Err(FileError::bad("MissingRequiredHeader", message));
    }
    let (share, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let raw = parts.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(raw.as_bytes())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
        .collect();
    let call = Call {
        simulator,
        account,
        share: share.to_owned(),
        path: path.trim_end_matches('/').to_owned(),
        query,
        headers: parts.headers,
        method: parts.method,
    };
    route(&call, body).await
}

/// Account, and share with path, of a request.
fn target(host: &str, uri: &Uri) -> (String, String) {
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let path = path.trim_start_matches('/');
    match by_host(host) {
        Some(account) => (account.to_owned(), path.to_owned()),
        None => {
            let rest = path.strip_prefix("files/").unwrap_or_default();
            let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
            (account.to_owned(), rest.to_owned())
        }
    }
}

async fn route(call: &Call, body: Body) -> Result<Response> {
    let (kind, comp) = (call.parameter("restype"), call.parameter("comp"));
    if call.share.is_empty() {
        return match (call.method.as_str(), comp) {
            ("GET", "list") => shares::list(call),
            _ => Err(FileError::unsupported()),
        };
    }
    if kind == "share" {
        return match (call.method.as_str(), comp) {
            ("PUT", "") => shares::create(call),
            ("DELETE", "") => shares::delete(call),
            ("GET" | "HEAD", "") => shares::get(call),
            ("GET", "stats") => shares::stats(call),
            _ => Err(FileError::unsupported()),
        };
    }
    if !call.simulator.files.has_share(&call.simulator, call.account_name(), &call.share)? {
        return Err(FileError::no_share());
    }
    if kind == "directory" {
        return match (call.method.as_str(), comp) {
            ("PUT", "") => folders::create(call),
            ("DELETE", "") => folders::delete(call),
            ("GET" | "HEAD", "") => folders::get(call),
            ("GET", "list") => folders::list(call),
            ("PUT", "rename") => folders::rename(call),
            ("PUT", "metadata") => metadata::put(call),
            _ => Err(FileError::unsupported()),
        };
    }
    if !kind.is_empty() || call.path.is_empty() {
        return Err(FileError::unsupported());
    }
    match (call.method.as_str(), comp) {
        ("PUT", "") => files::create(call, body).await,
        ("PUT", "range") => {
            // A clear has no body.
            let bytes = axum::body::to_bytes(body, usize::try_from(limits::RANGE).unwrap_or(usize::MAX))
                .await
                .map_err(|_| FileError::too_large())?;
            files::range(call, &bytes)
        }
        ("PUT", "properties") => files::resize(call),
        ("PUT", "metadata") => metadata::put(call),
        ("PUT", "rename") => folders::rename(call),
        ("GET", "rangelist") => files::ranges(call),
        ("GET" | "HEAD", "") => files::get(call).await,
        ("DELETE", "") => files::delete(call),
        _ => Err(FileError::unsupported()),
    }
}
