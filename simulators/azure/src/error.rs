//! Errors in the form of Azure Resource Manager.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// What a call answers when it fails.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ArmError {
    /// The status.
    pub status: StatusCode,
    /// The word for programs.
    pub code: String,
    /// The sentence for the developer.
    pub message: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, ArmError>;

impl ArmError {
    /// An error.
    pub fn new(status: StatusCode, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after: None, challenge: None }
    }

    /// 400.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404.
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 409.
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 500: a fault of this machine.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }

    /// The error of an operation's document.
    pub fn document(&self) -> Value {
        json!({"code": self.code, "message": self.message})
    }
}

impl From<rusqlite::Error> for ArmError {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the simulator's database failed");
        Self::internal(format!("The simulator's database failed: {error}"))
    }
}

impl From<std::io::Error> for ArmError {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the simulator's file system failed");
        Self::internal(format!("The simulator's file system failed: {error}"))
    }
}

impl IntoResponse for ArmError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.document()}))).into_response();
        if let Ok(code) = HeaderValue::from_str(&self.code) {
            response.headers_mut().insert("x-ms-failure-cause", HeaderValue::from_static("gateway"));
            response.headers_mut().insert("x-ms-error-code", code);
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
