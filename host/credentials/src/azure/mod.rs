//! Microsoft Entra's tokens, by `azure_identity`, and the keys of storage accounts.

mod cloud;
mod keys;
mod registry;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use azure_core::{credentials::TokenCredential, error::ErrorKind};
use serde::Deserialize;
use tokio::time::timeout;

pub use cloud::AzureCloud;
pub use source::AzureSource;

use crate::{
    CredentialError, CredentialErrorKind, Description, Provider, RegistryLogin, Secret, Signer,
    install_tls_provider,
    tuning::{PROVIDER_MESSAGE, TOKEN_MARGIN, TOKEN_TIMEOUT},
};
use cloud::{Audience, Places};
use source::{Here, Surroundings};

/// How a scope begins that names a resource: the key of that storage account is meant, not a token.
const RESOURCE: &str = "/subscriptions/";

/// `[credentials.NAME]` with `kind = "azure"`. All that is not given is looked for in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AzureConfig {
    /// Who vouches for the daemon; unset, the first of client secret, workload identity, managed identity and CLI that
    /// this machine has.
    pub source: Option<AzureSource>,
    /// The cloud.
    pub cloud: AzureCloud,
    /// Directory (tenant) id.
    pub tenant: Option<String>,
    /// The application's or the user-assigned managed identity's client id.
    pub client_id: Option<String>,
    /// The application's secret.
    pub client_secret: Option<Secret>,
    /// The file with the workload's token.
    pub token_file: Option<PathBuf>,
    /// Microsoft Entra elsewhere (`AZURE_AUTHORITY_HOST`).
    pub authority: Option<String>,
    /// Azure Resource Manager elsewhere; keys of storage accounts are asked for there.
    pub arm_endpoint: Option<String>,
}

/// A text until a moment.
struct Kept {
    text: Secret,
    until: SystemTime,
}

/// Tokens of Microsoft Entra, one for each scope, and keys of storage accounts, each kept as long as it may be used.
pub struct Azure {
    config: AzureConfig,
    places: Places,
    http: OnceLock<reqwest::Client>,
    credential: Mutex<Option<(AzureSource, Arc<dyn TokenCredential>)>>,
    kept: Mutex<HashMap<String, Kept>>,
}

impl Azure {
    /// Looks where Microsoft's own libraries look. Nothing happens before the first use.
    pub fn default_chain() -> Self {
        Self::new(AzureConfig::default())
    }

    /// As the configuration says.
    pub fn new(config: AzureConfig) -> Self {
        let variable = Here.variable("AZURE_AUTHORITY_HOST");
        let authority = config.authority.clone().or(variable);
        let places = Places::new(config.cloud, authority.as_deref(), config.arm_endpoint.as_deref());
        Self { config, places, http: OnceLock::new(), credential: Mutex::default(), kept: Mutex::default() }
    }

    async fn token(&self, name: &str, scope: &str) -> Result<Secret, CredentialError> {
        if let Some(known) = self.known(scope) {
            return Ok(known);
        }
        let (source, credential) = self.credential(name)?;
        let asked = timeout(TOKEN_TIMEOUT, credential.get_token(&[scope], None)).await;
        let failure = match asked {
            Ok(Ok(token)) => {
                let text = Secret::new(token.token.secret());
                let expires = u64::try_from(token.expires_on.unix_timestamp()).unwrap_or(0);
                let until = SystemTime::UNIX_EPOCH + Duration::from_secs(expires);
                self.keep(scope, &text, until.checked_sub(TOKEN_MARGIN).unwrap_or(until));
                return Ok(text);
            }
            Ok(Err(error)) => refusal(name, source, &error),
            Err(_) => CredentialError::new(
                name,
                CredentialErrorKind::Missing,
                format!("no token after {} s from {source}", TOKEN_TIMEOUT.as_secs()),
                source.remedy(),
            ),
        };
        // A login repairs a running daemon.
        *lock(&self.credential) = None;
        Err(failure)
    }

    fn credential(&self, name: &str) -> Result<(AzureSource, Arc<dyn TokenCredential>), CredentialError> {
        let mut known = lock(&self.credential);
        if let Some((source, credential)) = known.as_ref() {
            return Ok((*source, Arc::clone(credential)));
        }
        let source = self.source();
        let http = Arc::new(self.http(name)?.clone());
        let built = source::build(source, &self.config, &self.places, http, &Here)
            .map_err(|error| refusal(name, source, &error))?;
        *known = Some((source, Arc::clone(&built)));
        Ok((source, built))
    }

    fn source(&self) -> AzureSource {
        let given = self.config.client_secret.is_some().then_some(AzureSource::ClientSecret);
        self.config.source.or(given).unwrap_or_else(|| AzureSource::find(&Here))
    }

    fn http(&self, name: &str) -> Result<&reqwest::Client, CredentialError> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        install_tls_provider();
        let built = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TOKEN_TIMEOUT)
            .build()
            .map_err(|error| {
                CredentialError::new(name, CredentialErrorKind::Unavailable, words(&error), "")
            })?;
        Ok(self.http.get_or_init(|| built))
    }

    fn known(&self, key: &str) -> Option<Secret> {
        let kept = lock(&self.kept);
        kept.get(key).filter(|kept| kept.until > SystemTime::now()).map(|kept| kept.text.clone())
    }

    fn keep(&self, key: &str, text: &Secret, until: SystemTime) {
        lock(&self.kept).insert(key.to_owned(), Kept { text: text.clone(), until });
    }

    fn scope(&self, name: &str) -> String {
        self.places.scope(Audience::of(name))
    }
}

#[async_trait]
impl Provider for Azure {
    async fn resolve(&self, name: &str, scope: Option<&str>) -> Result<Signer, CredentialError> {
        match scope {
            Some(account) if account.starts_with(RESOURCE) => self.shared_key(name, account).await,
            Some(scope) => Ok(Signer::Bearer(self.token(name, scope).await?)),
            None => Ok(Signer::Bearer(self.token(name, &self.scope(name)).await?)),
        }
    }

    fn forget(&self, _name: &str, scope: Option<&str>) {
        // Tokens say themselves when they end; a key does not.
        if let Some(account) = scope.filter(|scope| scope.starts_with(RESOURCE)) {
            lock(&self.kept).remove(account);
        }
    }

    async fn describe(&self, name: &str) -> Result<Description, CredentialError> {
        let token = self.token(name, &self.scope(name)).await?;
        Ok(Description { source: self.source().to_string(), principal: principal(token.expose()) })
    }

    async fn registry_login(&self, name: &str, registry: &str) -> Result<RegistryLogin, CredentialError> {
        self.exchange(name, registry).await
    }
}

/// Whom a token stands for, by the claims that it carries; it is not verified, for that is not our business.
fn principal(token: &str) -> Option<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    ["upn", "unique_name", "appid", "oid"]
        .iter()
        .find_map(|name| claims.get(name)?.as_str())
        .map(str::to_owned)
}

/// What is behind an error: the official crate says `Credential` of all that a token failed for, and has the cause inside.
fn cause(error: &azure_core::Error) -> &ErrorKind {
    let mut kind = error.kind();
    let mut next = std::error::Error::source(error);
    while let (ErrorKind::Credential, Some(inner)) = (kind, next) {
        if let Some(inner) = inner.downcast_ref::<azure_core::Error>() {
            kind = inner.kind();
        }
        next = inner.source();
    }
    kind
}

fn refusal(name: &str, source: AzureSource, error: &azure_core::Error) -> CredentialError {
    let (kind, what) = match cause(error) {
        ErrorKind::HttpResponse { status, .. }
            if CredentialErrorKind::of_status(u16::from(*status)) == CredentialErrorKind::Rejected =>
        {
            (CredentialErrorKind::Rejected, format!("Microsoft Entra does not accept {source}"))
        }
        // No metadata server answers outside of Azure.
        ErrorKind::Connection | ErrorKind::Io if source != AzureSource::ManagedIdentity => {
            (CredentialErrorKind::Unavailable, format!("no token by {source}"))
        }
        ErrorKind::HttpResponse { .. } => (CredentialErrorKind::Unavailable, format!("no token by {source}")),
        _ => (CredentialErrorKind::Missing, format!("{source} cannot be used")),
    };
    let remedy = if kind == CredentialErrorKind::Unavailable { "" } else { source.remedy() };
    CredentialError::new(name, kind, format!("{what}: {}", words(error)), remedy)
}

/// An error with its causes, cut to what a message can hold.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    match text.char_indices().nth(PROVIDER_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Maps and handles are whole at any moment, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
