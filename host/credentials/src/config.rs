//! How credentials are configured.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{AzureConfig, Secret};

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
    /// Microsoft Entra: client secret, workload identity, managed identity or the CLI. Given for `azure-arm` it holds for
    /// `azure-storage` and `azure-logs` as well, unless they have sections of their own.
    Azure(AzureConfig),
    /// The key of a storage account, instead of one that is asked for at the account.
    SharedKey {
        /// The account's name.
        account: String,
        /// One of its keys, in base64.
        key: Secret,
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
