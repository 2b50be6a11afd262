//! All numbers of this crate.

use std::time::Duration;

/// Longest wait for a token. `google-cloud-auth` retries with back-off by itself; on a machine
/// without any credentials it would go on looking for the metadata server.
pub(crate) const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest part of a provider's answer that goes into an error message, in characters.
pub(crate) const PROVIDER_MESSAGE: usize = 1_000;
