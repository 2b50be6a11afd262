//! Credentials that stand in the configuration.

use async_trait::async_trait;

use crate::{CredentialError, Description, Provider, RegistryLogin, Secret, Signer, google, shared_key};

/// A credential that never changes: for simulators, tests, and registries with a password.
#[derive(Debug, Clone)]
pub struct Fixed {
    signer: Signer,
    registry_user: String,
}

impl Fixed {
    /// A bearer token.
    pub fn bearer(token: Secret) -> Self {
        Self { signer: Signer::Bearer(token), registry_user: google::REGISTRY_USER.to_owned() }
    }

    /// A user and a password.
    pub fn basic(username: impl Into<String>, password: Secret) -> Self {
        let username = username.into();
        Self { signer: Signer::Basic { username: username.clone(), password }, registry_user: username }
    }

    /// The key of a storage account.
    pub fn shared_key(account: impl Into<String>, key: Secret) -> Self {
        let account = account.into();
        Self { signer: Signer::SharedKey { account: account.clone(), key }, registry_user: account }
    }

    /// The user that goes with a bearer token at a registry. None keeps the present one.
    #[must_use]
    pub fn with_registry_user(mut self, user: Option<String>) -> Self {
        if let Some(user) = user {
            self.registry_user = user;
        }
        self
    }
}

#[async_trait]
impl Provider for Fixed {
    async fn resolve(&self, name: &str, _scope: Option<&str>) -> Result<Signer, CredentialError> {
        match &self.signer {
            Signer::SharedKey { account, key } => shared_key::signer(name, account.clone(), key.clone()),
            signer => Ok(signer.clone()),
        }
    }

    async fn describe(&self, _name: &str) -> Result<Description, CredentialError> {
        let principal = match &self.signer {
            Signer::Basic { username: whom, .. } | Signer::SharedKey { account: whom, .. } => {
                Some(whom.clone())
            }
            _ => None,
        };
        Ok(Description { source: "the daemon's configuration".to_owned(), principal })
    }

    async fn registry_login(&self, _name: &str, _registry: &str) -> Result<RegistryLogin, CredentialError> {
        Ok(RegistryLogin { username: self.registry_user.clone(), password: self.signer.secret().clone() })
    }
}
