//! Why a credential cannot be had, and what to do about it.

/// A credential that cannot be had. The text is for a person: it keeps the provider's words and
/// ends with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credential {credential:?}: {message}{}{remedy}", if remedy.is_empty() { "" } else { ". " })]
pub struct CredentialError {
    /// The name that was asked for.
    pub credential: String,
    /// What a program does about it.
    pub kind: CredentialErrorKind,
    /// What happened, in the provider's own words where it had any.
    pub message: String,
    /// What a person does about it; empty when there is nothing to do but wait.
    pub remedy: String,
}

impl CredentialError {
    /// An error with its remedy.
    pub fn new(
        credential: &str,
        kind: CredentialErrorKind,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { credential: credential.to_owned(), kind, message: message.into(), remedy: remedy.into() }
    }
}

impl CredentialErrorKind {
    /// Of an answer that is no success: a provider that is busy or in trouble says nothing about the credential.
    pub(crate) fn of_status(status: u16) -> Self {
        if status == 429 || status >= 500 { Self::Unavailable } else { Self::Rejected }
    }
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialErrorKind {
    /// The configuration knows no credential of that name.
    Unknown,
    /// There is none on this machine.
    Missing,
    /// There is one, and the provider does not accept it: expired, revoked, malformed.
    Rejected,
    /// The provider does not answer for now.
    Unavailable,
    /// This kind of credential cannot do what was asked (log in to a registry, say).
    Unsupported,
}
