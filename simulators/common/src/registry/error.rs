//! Errors in the form of the OCI distribution specification.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::Access;

/// What the registry answers when a call fails.
#[derive(Debug)]
pub struct RegistryError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Where to get a token, for 401.
    challenge: Option<String>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, RegistryError>;

impl RegistryError {
    /// An error by the specification's code.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), challenge: None }
    }

    /// 404 for a blob.
    pub fn no_blob(digest: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            format!("blob {digest} is unknown to this repository"),
        )
    }

    /// 404 for a manifest.
    pub fn no_manifest(repository: &str, reference: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            format!("Failed to fetch \"{reference}\" of {repository}: not found"),
        )
    }

    /// 400 for content that is not what its digest says, or a digest that is none.
    pub fn digest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    /// 404 for an upload.
    pub fn no_upload() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "the upload is unknown to this registry")
    }

    /// 401 with the challenge.
    pub fn unauthorized(access: &dyn Access, scope: &str) -> Self {
        let base = access.base();
        let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
        let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
        let challenge = format!("Bearer realm=\"{base}/v2/token\",service=\"{host}\"{scope}");
        let message = format!(
            "Unauthenticated request. Unauthenticated requests do not have permission to this repository; log in as \
             user {} with an access token as password.",
            access.user()
        );
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message) }
    }

    fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the simulator's {what} failed");
        let message = format!("The simulator's {what} failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
    }
}

impl From<rusqlite::Error> for RegistryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal("database", &error)
    }
}

impl From<std::io::Error> for RegistryError {
    fn from(error: std::io::Error) -> Self {
        Self::internal("file system", &error)
    }
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let body = json!({"errors": [{"code": self.code, "message": self.message}]});
        let mut response = (self.status, Json(body)).into_response();
        let version = HeaderValue::from_static("registry/2.0");
        response.headers_mut().insert("docker-distribution-api-version", version);
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
