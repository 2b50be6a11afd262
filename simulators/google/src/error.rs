//! Errors in the words and the form of Google's JSON APIs (`google.rpc.Status`).

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// The canonical codes that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 400, 3.
    InvalidArgument,
    /// 400, 9.
    FailedPrecondition,
    /// 401, 16.
    Unauthenticated,
    /// 403, 7.
    PermissionDenied,
    /// 404, 5.
    NotFound,
    /// 409, 6.
    AlreadyExists,
    /// 409, 10.
    Aborted,
    /// 429, 8.
    ResourceExhausted,
    /// 500, 13.
    Internal,
    /// 501, 12.
    Unimplemented,
    /// 503, 14.
    Unavailable,
    /// 504, 4.
    DeadlineExceeded,
}

impl Code {
    /// HTTP status, number of `google.rpc.Code`, name.
    pub fn forms(self) -> (StatusCode, i32, &'static str) {
        match self {
            Self::InvalidArgument => (StatusCode::BAD_REQUEST, 3, "INVALID_ARGUMENT"),
            Self::FailedPrecondition => (StatusCode::BAD_REQUEST, 9, "FAILED_PRECONDITION"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, 16, "UNAUTHENTICATED"),
            Self::PermissionDenied => (StatusCode::FORBIDDEN, 7, "PERMISSION_DENIED"),
            Self::NotFound => (StatusCode::NOT_FOUND, 5, "NOT_FOUND"),
            Self::AlreadyExists => (StatusCode::CONFLICT, 6, "ALREADY_EXISTS"),
            Self::Aborted => (StatusCode::CONFLICT, 10, "ABORTED"),
            Self::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, 8, "RESOURCE_EXHAUSTED"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 13, "INTERNAL"),
            Self::Unimplemented => (StatusCode::NOT_IMPLEMENTED, 12, "UNIMPLEMENTED"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, 14, "UNAVAILABLE"),
            Self::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, 4, "DEADLINE_EXCEEDED"),
        }
    }
}

/// What an API call answers when it fails.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The canonical code.
    pub code: Code,
    /// The sentence for the developer.
    pub message: String,
    /// `google.rpc` detail messages, with `@type`.
    pub details: Vec<Value>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

/// The result of an API call.
pub type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    /// An error without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// 400 with a `BadRequest` that names the fields. `violations` are pairs of field and sentence.
    pub fn bad_request(message: impl Into<String>, violations: &[(String, String)]) -> Self {
        let violations: Vec<Value> = violations
            .iter()
            .map(|(field, description)| match field.as_str() {
                "" => json!({"description": description}),
                field => json!({"field": field, "description": description}),
            })
            .collect();
        let detail =
            json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations});
        Self { details: vec![detail], ..Self::new(Code::InvalidArgument, message) }
    }

    /// 400 about one field.
    pub fn field(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        Self::bad_request(description.clone(), &[(field.to_owned(), description)])
    }

    /// 429 with `Retry-After`.
    pub fn quota(metric: &str, limit: u32, consumer: &str, retry_after: Duration) -> Self {
        let message = format!(
            "Quota exceeded for quota metric '{metric}' and limit '{metric} per minute' of service for consumer '{consumer}'."
        );
        let info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": {"quota_metric": metric, "quota_limit_value": limit.to_string(), "consumer": consumer},
        });
        Self {
            details: vec![info],
            retry_after: Some(retry_after),
            ..Self::new(Code::ResourceExhausted, message)
        }
    }

    /// The `google.rpc.Status` of an operation or a task attempt.
    pub fn status(&self) -> Value {
        let (_, number, _) = self.code.forms();
        let mut status = json!({"code": number, "message": self.message});
        if !self.details.is_empty() {
            status["details"] = json!(self.details);
        }
        status
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the simulator's database failed");
        Self::new(Code::Internal, format!("The simulator's database failed: {error}"))
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the simulator's file system failed");
        Self::new(Code::Internal, format!("The simulator's file system failed: {error}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _, name) = self.code.forms();
        let mut error = json!({"code": status.as_u16(), "message": self.message, "status": name});
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        let mut response = (status, Json(json!({"error": error}))).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        if self.code == Code::Unauthenticated {
            let challenge = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
