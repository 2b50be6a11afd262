//! What goes wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong in a backend, in the terms that the engine acts on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    /// What to do about it.
    pub code: ErrorCode,
    /// One sentence for a person; keeps the provider's own words.
    pub message: String,
    /// HTTP status of the provider's answer.
    pub provider_status: Option<u16>,
    /// How long the provider asks to wait.
    pub retry_after_ms: Option<u64>,
}

impl Error {
    /// An error without a provider's answer behind it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), provider_status: None, retry_after_ms: None }
    }
}

/// See `error-code` in `wit/types.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request can never succeed as it stands.
    InvalidArgument,
    /// The thing does not exist.
    NotFound,
    /// Another thing of that name exists.
    AlreadyExists,
    /// Its state forbids the operation.
    Conflict,
    /// The rights do not suffice.
    PermissionDenied,
    /// No credential that the provider accepts.
    Unauthenticated,
    /// The provider is still at work on what the call needs: no fault.
    NotReady,
    /// A quota or rate limit is used up.
    QuotaExceeded,
    /// Down for now.
    Unavailable,
    /// No answer in time.
    DeadlineExceeded,
    /// This backend has no such feature.
    Unsupported,
    /// A fault of the plugin.
    Internal,
}

impl ErrorCode {
    /// Whether the same call may succeed later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::NotReady | Self::QuotaExceeded | Self::Unavailable | Self::DeadlineExceeded)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidArgument => "invalid argument",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "unauthenticated",
            Self::NotReady => "not ready",
            Self::QuotaExceeded => "quota exceeded",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal error",
        })
    }
}
