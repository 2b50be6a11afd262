//! Errors in Docker's terms.

/// An answer of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// What the user did wrong, or what failed, in dockerd's words where dockerd has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Decides the HTTP status.
    pub kind: ErrorKind,
    /// What the user reads.
    pub message: String,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The same error with the words for what was tried before its own.
    #[must_use]
    pub fn prefixed(self, tried: &str) -> Self {
        Self { kind: self.kind, message: format!("{tried}: {}", self.message) }
    }
}

/// What only an agent can do (a noun, as `exec` or `a terminal's size`), with the setting that is missing: 501.
pub(crate) fn needs_agent(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{what}: not available without an agent in the container: set the callback address \
             (callback_url, SOCKERLESS_CALLBACK_URL) to one that the container's cloud can reach"
        ),
    )
}

/// The classes of errors that the Docker Engine API tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400
    Invalid,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 500
    Internal,
    /// 501: the backend, or this daemon, has no such thing.
    Unsupported,
    /// 503
    Unavailable,
}
