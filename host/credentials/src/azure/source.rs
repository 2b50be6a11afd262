//! Where a token comes from: what the operator says, or what this machine has.

use std::{path::Path, sync::Arc};

use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret as AzureSecret, TokenCredential},
    http::{ClientOptions, HttpClient, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use serde::Deserialize;

use super::{AzureConfig, cloud::Places};

/// Who vouches for the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureSource {
    /// An application with a client secret: a service principal.
    ClientSecret,
    /// A token that Kubernetes, or a CI system, projects into a file.
    WorkloadIdentity,
    /// The identity of the machine, container app or function that this runs on.
    ManagedIdentity,
    /// Whoever logged in with `az login`.
    Cli,
}

/// What the search looks at; the real one in production.
pub(super) trait Surroundings {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether a file below the home directory is there.
    fn has(&self, path: &str) -> bool;
}

/// This process and this machine.
pub(super) struct Here;

impl Surroundings for Here {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn has(&self, path: &str) -> bool {
        std::env::var_os("HOME").is_some_and(|home| Path::new(&home).join(path).exists())
    }
}

impl std::fmt::Display for AzureSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClientSecret => "an application's client secret",
            Self::WorkloadIdentity => "a workload identity",
            Self::ManagedIdentity => "a managed identity",
            Self::Cli => "the Azure CLI",
        })
    }
}

impl AzureSource {
    /// The order is that of Microsoft's `DefaultAzureCredential`: environment, workload identity, managed identity, CLI;
    /// but the metadata server of a virtual machine, which is only known by asking, comes last.
    pub(super) fn find(around: &dyn Surroundings) -> Self {
        let set = |name: &str| around.variable(name).is_some();
        if set("AZURE_CLIENT_SECRET") && set("AZURE_CLIENT_ID") && set("AZURE_TENANT_ID") {
            Self::ClientSecret
        } else if set("AZURE_FEDERATED_TOKEN_FILE") {
            Self::WorkloadIdentity
        } else if set("IDENTITY_ENDPOINT") {
            Self::ManagedIdentity
        } else if around.has(".azure/azureProfile.json") || set("AZURE_CONFIG_DIR") {
            Self::Cli
        } else {
            Self::ManagedIdentity
        }
    }

    /// What a person does when it does not work.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ClientSecret => {
                "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, and that the secret has not expired"
            }
            Self::WorkloadIdentity => {
                "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE, and the federated credential of the application"
            }
            Self::ManagedIdentity => {
                "Run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or give this machine a managed identity"
            }
            Self::Cli => "Run `az login`",
        }
    }
}

/// Builds the official crate's credential.
///
/// # Errors
/// Its own: something is missing or malformed.
pub(super) fn build(
    source: AzureSource,
    config: &AzureConfig,
    places: &Places,
    http: Arc<dyn HttpClient>,
    around: &dyn Surroundings,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let mut custom = CustomConfiguration::default();
    custom.authority_host.clone_from(&places.authority);
    let client_options = ClientOptions {
        transport: Some(Transport::new(http)),
        cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
        ..ClientOptions::default()
    };
    let or_variable = |given: &Option<String>, name: &str| given.clone().or_else(|| around.variable(name));
    let tenant = or_variable(&config.tenant, "AZURE_TENANT_ID");
    let client = or_variable(&config.client_id, "AZURE_CLIENT_ID");
    Ok(match source {
        AzureSource::ClientSecret => {
            let given = config.client_secret.as_ref().map(|secret| secret.expose().to_owned());
            let secret = or_variable(&given, "AZURE_CLIENT_SECRET").unwrap_or_default();
            ClientSecretCredential::new(
                &tenant.unwrap_or_default(),
                client.unwrap_or_default(),
                AzureSecret::new(secret),
                Some(ClientSecretCredentialOptions { client_options }),
            )?
        }
        AzureSource::WorkloadIdentity => {
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: client,
                tenant_id: tenant,
                token_file_path: config.token_file.clone(),
            }))?
        }
        AzureSource::ManagedIdentity => {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client.map(UserAssignedId::ClientId),
                client_options,
            }))?
        }
        // The variable belongs to the environment's credentials; the CLI has a tenant of its own.
        AzureSource::Cli => AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: config.tenant.clone(),
            ..AzureCliCredentialOptions::default()
        }))?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Default)]
    struct Machine {
        variables: BTreeMap<&'static str, &'static str>,
        file: Option<&'static str>,
    }

    impl Surroundings for Machine {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).map(|value| (*value).to_owned())
        }

        fn has(&self, path: &str) -> bool {
            self.file == Some(path)
        }
    }

    #[test]
    fn what_the_environment_has_comes_before_the_cli_and_that_before_the_machine() {
        let find = |variables: &[(&'static str, &'static str)], file| {
            AzureSource::find(&Machine { variables: variables.iter().copied().collect(), file })
        };
        let login = Some(".azure/azureProfile.json");
        let secret = [("AZURE_CLIENT_SECRET", "s"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
        assert_eq!(find(&secret, login), AzureSource::ClientSecret);
        assert_eq!(find(&[("AZURE_FEDERATED_TOKEN_FILE", "/f")], login), AzureSource::WorkloadIdentity);
        assert_eq!(find(&[("IDENTITY_ENDPOINT", "http://x")], login), AzureSource::ManagedIdentity);
        assert_eq!(find(&secret[..1], login), AzureSource::Cli);
        assert_eq!(find(&[], None), AzureSource::ManagedIdentity);
    }
}
