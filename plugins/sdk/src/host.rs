//! What a plugin gets from its surroundings: HTTP, settings, credentials, the time and a log.

use crate::{
    Result,
    bindings::sockerless::backend::{credentials, log},
    http::{Request, Response, SendError},
};

/// What may be known about a credential.
pub type CredentialInfo = credentials::Info;
/// How much a line of the log matters.
pub type Level = log::Level;

/// Sends requests. An answer of any status is `Ok`; the error means that there was none.
pub trait Transport {
    /// Sends one request and reads the whole answer.
    fn send(&self, request: &Request) -> std::result::Result<Response, SendError>;

    /// Sends several at the same time; the answers come in the order of the requests.
    fn send_all(&self, requests: &[Request]) -> Vec<std::result::Result<Response, SendError>> {
        requests.iter().map(|request| self.send(request)).collect()
    }
}

/// The host, as a plugin sees it. Inside a component it is the daemon, in tests a
/// [`FakeHost`](crate::testing::FakeHost).
pub trait Host: Transport {
    /// The value of a setting, its default included; none when it is unset.
    fn setting(&self, name: &str) -> Option<String>;

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;

    /// Writes one line to the daemon's log.
    fn log(&self, level: Level, message: &str);

    /// Obtains a credential (a token may be fetched) and describes it.
    ///
    /// # Errors
    /// `not-found` outside the grant, `unauthenticated` when it cannot be had.
    fn credential(&self, name: &str) -> Result<CredentialInfo>;

    /// A text that the host replaces by the secret in the body of a request. The scope says what the secret is for,
    /// where the credential stands for several.
    ///
    /// # Errors
    /// As [`Host::credential`].
    fn placeholder(&self, name: &str, scope: Option<&str>) -> Result<String>;
}
