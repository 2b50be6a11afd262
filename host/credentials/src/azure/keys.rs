//! Keys of storage accounts: Azure Files by REST takes them for a signature, the environment of Container Apps in a body.

use std::time::SystemTime;

use serde::Deserialize;

use super::{Azure, cloud::Audience, words};
use crate::{CredentialError, CredentialErrorKind, Secret, Signer, shared_key, tuning::KEY_AGE};

/// `Microsoft.Storage`, as of the official SDK.
const API_VERSION: &str = "2026-09-01";

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    value: Option<Secret>,
}

impl Azure {
    /// The signer for a storage account, given by its resource id.
    pub(super) async fn shared_key(&self, name: &str, account: &str) -> Result<Signer, CredentialError> {
        let short = account.rsplit('/').next().unwrap_or_default().to_owned();
        let key = match self.known(account) {
            Some(key) => key,
            None => {
                let key = self.ask_for_key(name, account).await?;
                self.keep(account, &key, SystemTime::now() + KEY_AGE);
                key
            }
        };
        shared_key::signer(name, short, key)
    }

    async fn ask_for_key(&self, name: &str, account: &str) -> Result<Secret, CredentialError> {
        let refused = |kind, what: String| {
            let remedy = match kind {
                CredentialErrorKind::Unavailable => "",
                _ => {
                    "Give the daemon's identity the role Storage Account Key Operator Service Role on the account, or put the key \
                     into the configuration: kind = \"shared-key\""
                }
            };
            CredentialError::new(name, kind, format!("no key of {account}: {what}"), remedy)
        };
        let odd = account.contains(['?', '#', '%']) || account.split('/').any(|part| part == "..");
        if odd || !account.contains("/providers/Microsoft.Storage/storageAccounts/") {
            return Err(refused(CredentialErrorKind::Rejected, "this is no storage account".into()));
        }
        let token = self.token(name, &self.places.scope(Audience::Arm)).await?;
        let url = format!("{}{account}/listKeys?api-version={API_VERSION}", self.places.arm);
        let unavailable = |error: reqwest::Error| refused(CredentialErrorKind::Unavailable, words(&error));
        let answer = self
            .http(name)?
            .post(url)
            .bearer_auth(token.expose())
            .header("content-length", "0")
            .send()
            .await
            .map_err(unavailable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unavailable)?;
        if !status.is_success() {
            let kind = CredentialErrorKind::of_status(status.as_u16());
            let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(refused(kind, format!("{text} (HTTP {})", status.as_u16())));
        }
        let keys: Keys = serde_json::from_slice(&body).map_err(|error| {
            refused(CredentialErrorKind::Rejected, format!("the answer cannot be read: {error}"))
        })?;
        keys.keys
            .into_iter()
            .find_map(|key| key.value)
            .ok_or_else(|| refused(CredentialErrorKind::Rejected, "the account gave none".into()))
    }
}
