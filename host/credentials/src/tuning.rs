//! All numbers of this crate.

use std::time::Duration;

/// Longest wait for a token. `google-cloud-auth` retries with back-off by itself; on a machine
/// without any credentials it would go on looking for the metadata server.
pub(crate) const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest part of a provider's answer that goes into an error message, in characters.
pub(crate) const PROVIDER_MESSAGE: usize = 1_000;

/// How long before its end a token is not used any more: a request takes a while, and clocks differ.
pub(crate) const TOKEN_MARGIN: Duration = Duration::from_secs(300);

/// How long a storage account's key is kept. It changes when an operator renews it, which is announced nowhere; one that was
/// refused is asked for anew at once.
pub(crate) const KEY_AGE: Duration = Duration::from_secs(600);
