//! Credentials by name.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::{
    Azure, AzureConfig, CredentialConfig, CredentialError, CredentialErrorKind, Fixed, Google, Secret, Signer,
};

/// The names of what Microsoft Entra vouches for: Resource Manager first, then the data planes.
const AZURE: [&str; 3] = ["azure-arm", "azure-storage", "azure-logs"];

/// What a credential stands for, as far as it may be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Where it comes from, for a person.
    pub source: String,
    /// Whom it stands for, where that is known.
    pub principal: Option<String>,
}

/// A login for a container registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// User.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// Credentials by name, as the plugin host and the registry use them.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// A signer for the named credential. `scope` is the provider's word for what it may be used
    /// for; none for the provider's usual one.
    async fn resolve(&self, name: &str, scope: Option<&str>) -> Result<Signer, CredentialError>;

    /// Has what is kept of a credential not be used again, as far as it may change before the end that it states itself (a key
    /// that an operator renews): the provider has refused it, or somebody will keep what comes next. The next
    /// [`resolve`](Credentials::resolve) asks the provider.
    fn forget(&self, name: &str, scope: Option<&str>);

    /// Obtains the credential and describes it.
    async fn describe(&self, name: &str) -> Result<Description, CredentialError>;

    /// A login for one of the provider's container registries, given as `host` or `host:port`.
    async fn registry_login(&self, name: &str, registry: &str) -> Result<RegistryLogin, CredentialError>;
}

/// One credential. The name is the one it was asked for by, for error messages.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// See [`Credentials::resolve`].
    async fn resolve(&self, name: &str, scope: Option<&str>) -> Result<Signer, CredentialError>;

    /// See [`Credentials::forget`]. Most keep nothing of the kind.
    fn forget(&self, _name: &str, _scope: Option<&str>) {}

    /// See [`Credentials::describe`].
    async fn describe(&self, name: &str) -> Result<Description, CredentialError>;

    /// See [`Credentials::registry_login`].
    async fn registry_login(&self, name: &str, registry: &str) -> Result<RegistryLogin, CredentialError>;
}

/// The credentials of a daemon.
#[derive(Clone, Default)]
pub struct CredentialSet {
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl CredentialSet {
    /// No credentials at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a daemon has without configuration: `google` by application default credentials, and Azure's by what
    /// this machine has.
    pub fn default_providers() -> Self {
        Self::new().with("google", Google::application_default()).with_azure(AzureConfig::default())
    }

    /// Microsoft Entra under all the names that it is asked for by; they share tokens.
    fn with_azure(mut self, config: AzureConfig) -> Self {
        let azure: Arc<dyn Provider> = Arc::new(Azure::new(config));
        for name in AZURE {
            self.providers.insert(name.to_owned(), Arc::clone(&azure));
        }
        self
    }

    /// The default providers, replaced or extended by the configuration.
    pub fn from_config(config: BTreeMap<String, CredentialConfig>) -> Self {
        let mut set = Self::default_providers();
        if let Some(CredentialConfig::Azure(azure)) = config.get(AZURE[0]) {
            set = set.with_azure(azure.clone());
        }
        for (name, credential) in config {
            let provider: Arc<dyn Provider> = match credential {
                CredentialConfig::Azure(_) if name == AZURE[0] => continue,
                CredentialConfig::Azure(azure) => Arc::new(Azure::new(azure)),
                CredentialConfig::SharedKey { account, key } => Arc::new(Fixed::shared_key(account, key)),
                CredentialConfig::Google { file: None } => Arc::new(Google::application_default()),
                CredentialConfig::Google { file: Some(file) } => Arc::new(Google::file(file)),
                CredentialConfig::Bearer { token, registry_user } => {
                    Arc::new(Fixed::bearer(token).with_registry_user(registry_user))
                }
                CredentialConfig::Basic { username, password } => Arc::new(Fixed::basic(username, password)),
            };
            set.providers.insert(name, provider);
        }
        set
    }

    /// Adds or replaces a credential.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, provider: impl Provider) -> Self {
        self.providers.insert(name.into(), Arc::new(provider));
        self
    }

    fn provider(&self, name: &str) -> Result<&Arc<dyn Provider>, CredentialError> {
        self.providers.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
            CredentialError::new(
                name,
                CredentialErrorKind::Unknown,
                format!("there is none of that name; known are: {}", known.join(", ")),
                format!("Add a section [credentials.{name}] to the daemon's configuration"),
            )
        })
    }
}

#[async_trait]
impl Credentials for CredentialSet {
    async fn resolve(&self, name: &str, scope: Option<&str>) -> Result<Signer, CredentialError> {
        self.provider(name)?.resolve(name, scope).await
    }

    fn forget(&self, name: &str, scope: Option<&str>) {
        if let Some(provider) = self.providers.get(name) {
            provider.forget(name, scope);
        }
    }

    async fn describe(&self, name: &str) -> Result<Description, CredentialError> {
        self.provider(name)?.describe(name).await
    }

    async fn registry_login(&self, name: &str, registry: &str) -> Result<RegistryLogin, CredentialError> {
        self.provider(name)?.registry_login(name, registry).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_name_says_which_names_there_are_and_where_to_add_one() {
        let error = CredentialSet::default_providers().resolve("acme", None).await.unwrap_err();
        assert_eq!(error.kind, CredentialErrorKind::Unknown);
        assert_eq!(
            error.to_string(),
            "credential \"acme\": there is none of that name; known are: azure-arm, azure-logs, azure-storage, google. \
             Add a section [credentials.acme] to the daemon's configuration"
        );
    }

    #[tokio::test]
    async fn configuration_replaces_the_default_provider() {
        let config = BTreeMap::from([(
            "google".to_owned(),
            CredentialConfig::Bearer { token: Secret::new("test"), registry_user: None },
        )]);
        let set = CredentialSet::from_config(config);
        assert_eq!(set.resolve("google", None).await.unwrap(), Signer::Bearer(Secret::new("test")));
        let login = set.registry_login("google", "r.test").await.unwrap();
        assert_eq!((login.username.as_str(), login.password.expose()), ("oauth2accesstoken", "test"));
    }
}
