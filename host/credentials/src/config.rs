//! How credentials are configured.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Secret;

/// One `[credentials.NAME]` section of the daemon's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CredentialConfig {
    /// Google's application default credentials.
    Google {
        /// A credentials file (service account key, workload identity, user) instead of the usual
        /// search (GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the metadata server).
        file: Option<PathBuf>,
    },
    /// A token that never changes: for simulators and tests.
    Bearer {
        /// The token.
        token: Secret,
        /// The user that goes with it at a registry; `oauth2accesstoken` unless given.
        registry_user: Option<String>,
    },
    /// A user and a password.
    Basic {
        /// User.
        username: String,
        /// Password.
        password: Secret,
    },
}
