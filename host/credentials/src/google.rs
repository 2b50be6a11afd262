//! Google's application default credentials, by `google-cloud-auth`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use google_cloud_auth::{
    build_errors,
    credentials::{
        AccessTokenCredentials, Builder, external_account, impersonated, service_account, user_account,
    },
    errors::CredentialsError,
};
use tokio::time::timeout;

use crate::{
    CredentialError, CredentialErrorKind, Description, Provider, RegistryLogin, Secret, Signer,
    install_tls_provider,
    tuning::{PROVIDER_MESSAGE, TOKEN_TIMEOUT},
};

/// The user that goes with an access token at Artifact Registry.
pub(crate) const REGISTRY_USER: &str = "oauth2accesstoken";

/// The scope of all Google Cloud APIs; what an account may do is decided by IAM.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where application default credentials are looked for first.
const ADC_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Below the home directory; what `gcloud auth application-default login` writes.
const GCLOUD_FILE: &str = ".config/gcloud/application_default_credentials.json";

/// How `google-cloud-auth` marks the body of a provider's answer in its errors.
const BODY: &str = "body=<";

const LOG_IN: &str = "Run `gcloud auth application-default login`, or set \
    GOOGLE_APPLICATION_CREDENTIALS to a credentials file";

/// Access tokens for Google Cloud. Tokens are cached and refreshed by `google-cloud-auth`, one
/// cache for each scope; a credential that failed is looked for anew, so that a login repairs a
/// running daemon.
#[derive(Debug, Default)]
pub struct Google {
    file: Option<PathBuf>,
    by_scope: Mutex<HashMap<String, AccessTokenCredentials>>,
}

impl Google {
    /// Looks where Google's own libraries look. Nothing happens before the first use.
    pub fn application_default() -> Self {
        Self::default()
    }

    /// Uses one credentials file, whatever the environment says.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), by_scope: Mutex::default() }
    }

    async fn token(&self, name: &str, scope: &str) -> Result<Secret, CredentialError> {
        install_tls_provider();
        let source = Source::find(self.file.as_deref());
        let credentials = self.credentials(name, scope, &source)?;
        let failure = match timeout(TOKEN_TIMEOUT, credentials.access_token()).await {
            Ok(Ok(token)) => return Ok(Secret::new(token.token)),
            Ok(Err(error)) => source.token_error(name, &error),
            Err(_) => source
                .unreachable(name, format!("no token after {} s from {source}", TOKEN_TIMEOUT.as_secs())),
        };
        self.cache().remove(scope);
        Err(failure)
    }

    fn credentials(
        &self,
        name: &str,
        scope: &str,
        source: &Source,
    ) -> Result<AccessTokenCredentials, CredentialError> {
        if let Some(known) = self.cache().get(scope) {
            return Ok(known.clone());
        }
        let built = match &self.file {
            None => Builder::default()
                .with_scopes([scope])
                .build_access_token_credentials()
                .map_err(|error| source.build_error(name, &error))?,
            Some(path) => from_file(name, path, scope, source)?,
        };
        Ok(self.cache().entry(scope.to_owned()).or_insert(built).clone())
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, AccessTokenCredentials>> {
        // A map of handles is whole at any moment, so a panic elsewhere does not spoil it.
        self.by_scope.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Provider for Google {
    async fn resolve(&self, name: &str, scope: Option<&str>) -> Result<Signer, CredentialError> {
        Ok(Signer::Bearer(self.token(name, scope.unwrap_or(CLOUD_PLATFORM)).await?))
    }

    async fn describe(&self, name: &str) -> Result<Description, CredentialError> {
        self.token(name, CLOUD_PLATFORM).await?;
        let source = Source::find(self.file.as_deref());
        Ok(Description { source: source.to_string(), principal: source.principal() })
    }

    async fn registry_login(&self, name: &str, _registry: &str) -> Result<RegistryLogin, CredentialError> {
        let password = self.token(name, CLOUD_PLATFORM).await?;
        Ok(RegistryLogin { username: REGISTRY_USER.to_owned(), password })
    }
}

/// Where the credentials come from, to say it in messages. The search is `google-cloud-auth`'s:
/// <https://google.aip.dev/auth/4110>.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    MetadataServer,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the credentials file {}", path.display()),
            Self::MetadataServer => f.write_str("Google's metadata server"),
        }
    }
}

impl Source {
    fn find(configured: Option<&Path>) -> Self {
        if let Some(path) = configured {
            return Self::File(path.to_owned());
        }
        if let Some(path) = std::env::var_os(ADC_VARIABLE) {
            return Self::File(path.into());
        }
        match std::env::var_os("HOME").map(|home| Path::new(&home).join(GCLOUD_FILE)) {
            Some(path) if path.exists() => Self::File(path),
            _ => Self::MetadataServer,
        }
    }

    fn principal(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        ["client_email", "account"]
            .iter()
            .find_map(|key| json.get(key)?.as_str())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn build_error(&self, name: &str, error: &build_errors::Error) -> CredentialError {
        let kind =
            if error.is_loading() { CredentialErrorKind::Missing } else { CredentialErrorKind::Rejected };
        CredentialError::new(name, kind, format!("{self} cannot be used: {}", provider_words(error)), LOG_IN)
    }

    fn token_error(&self, name: &str, error: &CredentialsError) -> CredentialError {
        let text = provider_words(error);
        if error.is_transient() {
            return self.unreachable(name, text);
        }
        CredentialError::new(
            name,
            CredentialErrorKind::Rejected,
            format!("Google does not accept {self} (expired, revoked or malformed): {text}"),
            LOG_IN,
        )
    }

    /// Without a file, a metadata server that does not answer means that there are no credentials.
    fn unreachable(&self, name: &str, text: String) -> CredentialError {
        match self {
            Self::MetadataServer => CredentialError::new(
                name,
                CredentialErrorKind::Missing,
                format!(
                    "no application default credentials: {ADC_VARIABLE} is not set, \
                     ~/{GCLOUD_FILE} does not exist, and this is no machine of Google's ({text})"
                ),
                LOG_IN,
            ),
            Self::File(_) => CredentialError::new(
                name,
                CredentialErrorKind::Unavailable,
                format!("no token for {self}: {text}"),
                "",
            ),
        }
    }
}

/// Builds the credentials that a file describes, by its `type`.
fn from_file(
    name: &str,
    path: &Path,
    scope: &str,
    source: &Source,
) -> Result<AccessTokenCredentials, CredentialError> {
    let unusable = |kind, text: String| {
        CredentialError::new(name, kind, format!("{source} cannot be used: {text}"), LOG_IN)
    };
    let text =
        std::fs::read(path).map_err(|error| unusable(CredentialErrorKind::Missing, error.to_string()))?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| unusable(CredentialErrorKind::Rejected, error.to_string()))?;
    let kind = json.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let scopes = [scope];
    match kind.as_str() {
        "authorized_user" => {
            user_account::Builder::new(json).with_scopes(scopes).build_access_token_credentials()
        }
        "service_account" => service_account::Builder::new(json)
            .with_access_specifier(service_account::AccessSpecifier::from_scopes(scopes))
            .build_access_token_credentials(),
        "impersonated_service_account" => {
            impersonated::Builder::new(json).with_scopes(scopes).build_access_token_credentials()
        }
        "external_account" => {
            external_account::Builder::new(json).with_scopes(scopes).build_access_token_credentials()
        }
        other => {
            return Err(unusable(
                CredentialErrorKind::Rejected,
                format!(
                    "its type {other:?} is none of authorized_user, service_account, \
                         impersonated_service_account, external_account"
                ),
            ));
        }
    }
    .map_err(|error| source.build_error(name, &error))
}

/// What the provider said: the body of its answer where the crate keeps one, else the last cause.
/// What lies between is the crate's advice to programmers.
fn provider_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        words = error.to_string();
        if let Some((_, body)) = words.split_once(BODY) {
            // What follows the closing mark is about retries.
            words = body.rsplit_once('>').map_or(body, |(inside, _)| inside).trim().to_owned();
            break;
        }
        next = error.source();
    }
    match words.char_indices().nth(PROVIDER_MESSAGE) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests;
