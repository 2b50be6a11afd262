//! The contract's error, made comfortable.

use crate::{Error, ErrorCode};

/// What every exported function returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a provider's answer behind it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), provider_status: None, retry_after_ms: None }
    }

    /// The request can never succeed as it stands.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// A fault of the plugin, or an answer that it cannot read.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// Down for now: the host asks again after so many milliseconds.
    pub fn unavailable(message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// The provider is still at work on what the call needs: the host asks again after so many milliseconds.
    pub fn not_ready(message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(ErrorCode::NotReady, message) }
    }

    /// Puts what was being done before the message: `creating job a: …`.
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Keeps the HTTP status of the provider's answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.provider_status = Some(status);
        self
    }
}

impl ErrorCode {
    /// What an HTTP status means where the provider says nothing more exact.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::DeadlineExceeded,
            409 | 412 => Self::Conflict,
            429 => Self::QuotaExceeded,
            501 => Self::Unsupported,
            400..=499 => Self::InvalidArgument,
            500..=599 => Self::Unavailable,
            _ => Self::Internal,
        }
    }
}

/// The answer to a call that a backend does not implement.
pub fn unsupported<T>(feature: &str) -> Result<T> {
    Err(Error::new(ErrorCode::Unsupported, format!("this backend does not offer {feature}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_body_names_the_feature() {
        let error = unsupported::<()>("zones").unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
        assert!(error.message.contains("zones"));
    }

    #[test]
    fn the_classes_of_status_codes_map_to_what_the_host_retries() {
        assert_eq!(ErrorCode::from_status(400), ErrorCode::InvalidArgument);
        assert_eq!(ErrorCode::from_status(429), ErrorCode::QuotaExceeded);
        assert_eq!(ErrorCode::from_status(503), ErrorCode::Unavailable);
        assert_eq!(ErrorCode::from_status(504), ErrorCode::DeadlineExceeded);
        assert_eq!(ErrorCode::from_status(302), ErrorCode::Internal);
    }
}
