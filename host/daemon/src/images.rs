//! The image store, wired to the configuration and to the backends' credentials.

use std::sync::Arc;

use async_trait::async_trait;
use sockerless_credentials::{CredentialError, CredentialErrorKind, Credentials};
use sockerless_ports::{
    Store,
    registry::{ImageError, Login},
};
use sockerless_registry::{Images, ImagesConfig, Logins, Mirror};

use crate::{Result, config::Config};

/// The registry that `registry_mirrors` stand in for, as dockerd's option of that name.
const MIRRORED: &str = "docker.io";

/// Opens the store.
pub async fn open(
    config: &Config,
    store: Arc<dyn Store>,
    credentials: Arc<dyn Credentials>,
) -> Result<Arc<Images>> {
    let mirrors = config
        .file
        .registry_mirrors
        .iter()
        .map(|url| Mirror { registry: MIRRORED.into(), url: url.trim_end_matches('/').into() })
        .collect();
    let insecure = config.file.insecure_registries.clone();
    let options = ImagesConfig { insecure, mirrors, ..ImagesConfig::default() };
    Ok(Images::open(config.state.join("images"), store, Arc::new(BackendLogins(credentials)), options)
        .await?)
}

/// A backend's repository takes the backend's own credential.
struct BackendLogins(Arc<dyn Credentials>);

#[async_trait]
impl Logins for BackendLogins {
    async fn login(
        &self,
        credential: &str,
        registry: &str,
    ) -> std::result::Result<Option<Login>, ImageError> {
        let login = self.0.registry_login(credential, registry).await.map_err(|error| refusal(&error))?;
        Ok(Some(Login {
            username: login.username,
            password: login.password.expose().to_owned(),
            serveraddress: registry.to_owned(),
            ..Login::default()
        }))
    }
}

/// A provider that is busy or in trouble has not refused.
fn refusal(error: &CredentialError) -> ImageError {
    match error.kind {
        CredentialErrorKind::Unavailable => ImageError::Unavailable(error.to_string()),
        _ => ImageError::Denied(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_in_trouble_is_no_refusal() {
        let of = |kind| refusal(&CredentialError::new("c", kind, "words", ""));
        assert!(
            matches!(of(CredentialErrorKind::Unavailable), ImageError::Unavailable(words) if words.contains("words"))
        );
        assert!(matches!(of(CredentialErrorKind::Rejected), ImageError::Denied(_)));
        assert!(matches!(of(CredentialErrorKind::Missing), ImageError::Denied(_)));
    }
}
