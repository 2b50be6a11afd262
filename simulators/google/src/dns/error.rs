//! Errors in the form of Cloud DNS, which is older than `google.rpc.Status`. The sentences are those that field reports
//! quote from the API.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::error::{ApiError, Code};

/// What a call to Cloud DNS answers when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsError {
    pub status: StatusCode,
    pub reason: &'static str,
    pub message: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, DnsError>;

impl DnsError {
    /// An error of any kind.
    pub fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), retry_after: None }
    }

    /// 400: a field has a value that it cannot have.
    pub fn invalid(field: &str, value: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", format!("Invalid value for '{field}': '{value}'"))
    }

    /// 400: a field is missing.
    pub fn required(field: &str) -> Self {
        let message = format!("The '{field}' parameter is required but was missing.");
        Self::new(StatusCode::BAD_REQUEST, "required", message)
    }

    /// 404: what a parameter names is not there.
    pub fn missing(parameter: &str, name: &str) -> Self {
        let message = format!("The '{parameter}' resource named '{name}' does not exist.");
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    /// 409: what an entity names is there already.
    pub fn exists(entity: &str, name: &str) -> Self {
        let message = format!("The resource '{entity}' named '{name}' already exists");
        Self::new(StatusCode::CONFLICT, "alreadyExists", message)
    }

    /// 412: what is to be deleted is other than the call says.
    pub fn precondition(entity: &str) -> Self {
        let message = format!("Precondition not met for '{entity}'");
        Self::new(StatusCode::PRECONDITION_FAILED, "conditionNotMet", message)
    }

    /// 403: more than a quota grants.
    pub fn quota(entity: &str, quota: &str, limit: usize) -> Self {
        let message = format!("The resource '{entity}' exceeds the quota '{quota}' of {limit}.");
        Self::new(StatusCode::FORBIDDEN, "quotaExceeded", message)
    }
}

impl From<ApiError> for DnsError {
    fn from(error: ApiError) -> Self {
        let (status, _, _) = error.code.forms();
        let reason = match error.code {
            Code::InvalidArgument | Code::FailedPrecondition => "invalid",
            Code::Unauthenticated => "authError",
            Code::PermissionDenied => "forbidden",
            Code::NotFound => "notFound",
            Code::AlreadyExists | Code::Aborted => "alreadyExists",
            Code::ResourceExhausted => "rateLimitExceeded",
            Code::Internal | Code::Unavailable | Code::DeadlineExceeded => "backendError",
            Code::Unimplemented => "notImplemented",
        };
        Self { retry_after: error.retry_after, ..Self::new(status, reason, error.message) }
    }
}

impl From<rusqlite::Error> for DnsError {
    fn from(error: rusqlite::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for DnsError {
    fn into_response(self) -> Response {
        let entry = json!({"message": self.message, "domain": "global", "reason": self.reason});
        let body =
            json!({"error": {"code": self.status.as_u16(), "message": self.message, "errors": [entry]}});
        let mut response = (self.status, Json(body)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}
