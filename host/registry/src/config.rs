//! What the operator decides.

use async_trait::async_trait;
use sockerless_ports::registry::{ImageError, Login};

use crate::platform::Platform;

/// How images are had.
#[derive(Debug, Clone, Default)]
pub struct ImagesConfig {
    /// What is pulled when nobody names a platform.
    pub platform: Platform,
    /// Registries (`host[:port]`) that are spoken to without TLS, beside those on loopback.
    pub insecure: Vec<String>,
    /// Registries that are asked first in the place of another.
    pub mirrors: Vec<Mirror>,
}

/// A registry that has what another one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Whose images: `docker.io`.
    pub registry: String,
    /// Where: `http://127.0.0.1:5000` or `https://mirror.example`.
    pub url: String,
}

/// Logins for the repositories of backends.
#[async_trait]
pub trait Logins: Send + Sync + 'static {
    /// The login that a backend's credential gives at a registry (`host[:port]`). None: none is
    /// needed. Errors: the credential cannot be had; the text names it. `Unavailable` where another attempt may help.
    async fn login(&self, credential: &str, registry: &str) -> Result<Option<Login>, ImageError>;
}

/// No backend needs a login.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLogins;

#[async_trait]
impl Logins for NoLogins {
    async fn login(&self, _: &str, _: &str) -> Result<Option<Login>, ImageError> {
        Ok(None)
    }
}
