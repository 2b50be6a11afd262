//! Credentials: what the host attaches to a plugin's requests and never shows to the plugin.
//!
//! A plugin names a credential (`google`); the [`CredentialSet`] that the daemon built from its
//! configuration turns the name into a typed [`Signer`]. Nothing here touches the network or the
//! disk before a credential is asked for, so the daemon starts without any.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod azure;
mod config;
mod error;
mod fixed;
mod google;
mod secret;
mod set;
mod shared_key;
mod signer;
mod tuning;

pub use azure::{Azure, AzureCloud, AzureConfig, AzureSource};
pub use config::CredentialConfig;
pub use error::{CredentialError, CredentialErrorKind};
pub use fixed::Fixed;
pub use google::Google;
pub use secret::Secret;
pub use set::{CredentialSet, Credentials, Description, Provider, RegistryLogin};
pub use signer::Signer;

/// Makes ring the TLS provider of this process unless one is installed already. `google-cloud-auth`
/// and reqwest are built without a provider of their own and would panic otherwise.
pub fn install_tls_provider() {
    // An error means that somebody was faster: there is a provider, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
