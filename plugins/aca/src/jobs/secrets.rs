//! Secrets of a job: references to Key Vault, read by an identity, so that no value passes through here.

use serde_json::{Value, json};
use sockerless_plugin_sdk::{Error, ErrorCode, Result};

use crate::settings::Config;

/// The secrets that a job refers to, each once.
pub struct Secrets<'a> {
    config: &'a Config,
    urls: Vec<String>,
}

impl<'a> Secrets<'a> {
    /// None yet.
    pub fn new(config: &'a Config) -> Self {
        Self { config, urls: Vec::new() }
    }

    /// The name within the job of a secret, given by its URL in Key Vault.
    ///
    /// # Errors
    /// `invalid-argument` for what is no such URL, or when no identity may read it.
    pub fn reference(&mut self, url: &str) -> Result<String> {
        if !url.starts_with("https://") || !url.contains("/secrets/") {
            let message =
                format!("{url:?}: on Container Apps a secret is https://VAULT.vault.azure.net/secrets/NAME");
            return Err(Error::invalid(message));
        }
        if self.config.secret_identity.is_none() {
            let message = "secrets need an identity that reads them: set `secret_identity` (SOCKERLESS_ACA_SECRET_IDENTITY)";
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        let known = self.urls.iter().position(|known| known == url);
        let index = known.unwrap_or_else(|| {
            self.urls.push(url.to_owned());
            self.urls.len() - 1
        });
        Ok(format!("secret-{index}"))
    }

    /// The job's `secrets`.
    pub fn all(&self) -> Vec<Value> {
        let entry = |(index, url): (usize, &String)| json!({"name": format!("secret-{index}"), "keyVaultUrl": url, "identity": self.config.secret_identity});
        self.urls.iter().enumerate().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[test]
    fn a_secret_is_named_once_and_read_by_the_identity() {
        let config = Config { secret_identity: Some("system-environment".into()), ..config() };
        let mut secrets = Secrets::new(&config);
        let url = "https://v.vault.azure.net/secrets/s";
        assert_eq!(secrets.reference(url).unwrap(), "secret-0");
        assert_eq!(secrets.reference(url).unwrap(), "secret-0");
        assert_eq!(
            secrets.all(),
            [json!({"name": "secret-0", "keyVaultUrl": url, "identity": "system-environment"})]
        );
    }

    #[test]
    fn without_an_identity_or_a_vault_it_is_refused() {
        let config = config();
        let refused = |url| Secrets::new(&config).reference(url).unwrap_err().message;
        assert!(refused("https://v.vault.azure.net/secrets/s").contains("SOCKERLESS_ACA_SECRET_IDENTITY"));
        assert!(refused("password").contains("vault"));
    }
}
