//! Errors in the form of Cloud Storage's JSON API, which is older than `google.rpc.Status`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::error::{ApiError, Code};

/// What a call to Cloud Storage answers when it fails.
#[derive(Debug, Clone)]
pub struct StorageError {
    status: StatusCode,
    message: String,
    reason: &'static str,
    /// Kind and name of the place that is wrong: `header`, `If-Match`.
    location: Option<(&'static str, String)>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, StorageError>;

impl StorageError {
    /// An error without a place.
    pub fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), reason, location: None }
    }

    /// 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// 404 for a bucket.
    pub fn no_bucket() -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", "The specified bucket does not exist.")
    }

    /// 404 for an object.
    pub fn no_object(bucket: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", format!("No such object: {bucket}/{name}"))
    }

    /// 412.
    pub fn precondition() -> Self {
        let message = "At least one of the pre-conditions you specified did not hold.";
        Self {
            location: Some(("header", "If-Match".to_owned())),
            ..Self::new(StatusCode::PRECONDITION_FAILED, "conditionNotMet", message)
        }
    }

    /// 416.
    pub fn range() -> Self {
        let message = "The requested range cannot be satisfied.";
        Self {
            location: Some(("header", "Range".to_owned())),
            ..Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "requestedRangeNotSatisfiable", message)
        }
    }
}

impl From<ApiError> for StorageError {
    fn from(error: ApiError) -> Self {
        let (status, _, _) = error.code.forms();
        let reason = match error.code {
            Code::InvalidArgument | Code::FailedPrecondition => "invalid",
            Code::Unauthenticated => "authError",
            Code::PermissionDenied => "forbidden",
            Code::NotFound => "notFound",
            Code::AlreadyExists | Code::Aborted => "conflict",
            Code::ResourceExhausted => "rateLimitExceeded",
            Code::Internal | Code::Unavailable | Code::DeadlineExceeded => "backendError",
            Code::Unimplemented => "notImplemented",
        };
        let mut error = Self::new(status, reason, error.message);
        if status == StatusCode::UNAUTHORIZED {
            error.message = "Invalid Credentials".to_owned();
            error.location = Some(("header", "Authorization".to_owned()));
        }
        error
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl From<std::io::Error> for StorageError {
    fn from(error: std::io::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for StorageError {
    fn into_response(self) -> Response {
        let mut entry = json!({"message": self.message, "domain": "global", "reason": self.reason});
        if let Some((kind, name)) = &self.location {
            entry["locationType"] = json!(kind);
            entry["location"] = json!(name);
        }
        let body =
            json!({"error": {"code": self.status.as_u16(), "message": self.message, "errors": [entry]}});
        (self.status, Json(body)).into_response()
    }
}
