//! Logging in to Azure Container Registry: a token of Entra is exchanged for one of the registry.

use serde::Deserialize;
use url::form_urlencoded;

use super::{Azure, cloud::Audience, words};
use crate::{CredentialError, CredentialErrorKind, RegistryLogin, Secret};

/// The user that goes with a refresh token
/// (<https://learn.microsoft.com/azure/container-registry/container-registry-authentication>).
const USER: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: Secret,
}

impl Azure {
    /// A login for one registry.
    pub(super) async fn exchange(
        &self,
        name: &str,
        registry: &str,
    ) -> Result<RegistryLogin, CredentialError> {
        let token = self.token(name, &self.places.scope(Audience::Arm)).await?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "access_token")
            .append_pair("service", registry)
            .append_pair("access_token", token.expose())
            .finish();
        let refused = |kind, what: String| {
            let remedy = match kind {
                CredentialErrorKind::Unavailable => "",
                _ => "Give the daemon's identity the role AcrPush on the registry",
            };
            CredentialError::new(name, kind, format!("no login for {registry}: {what}"), remedy)
        };
        let unavailable = |error: reqwest::Error| refused(CredentialErrorKind::Unavailable, words(&error));
        let answer = self
            .http(name)?
            .post(format!("{}://{registry}/oauth2/exchange", scheme(registry)))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(unavailable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unavailable)?;
        match serde_json::from_slice::<Exchanged>(&body) {
            Ok(exchanged) if status.is_success() => {
                Ok(RegistryLogin { username: USER.to_owned(), password: exchanged.refresh_token })
            }
            _ => {
                let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                let kind = CredentialErrorKind::of_status(status.as_u16());
                Err(refused(kind, format!("{text} (HTTP {})", status.as_u16())))
            }
        }
    }
}

/// A registry on this machine has no TLS, as Docker has it.
fn scheme(registry: &str) -> &'static str {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let here =
        host == "localhost" || host.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback());
    if here { "http" } else { "https" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_without_tls_to_this_machine_alone() {
        for (registry, expected) in [
            ("127.0.0.1:5000", "http"),
            ("localhost", "http"),
            ("r.azurecr.io", "https"),
            ("10.0.0.1:5000", "https"),
            ("localhost.example", "https"),
        ] {
            assert_eq!(scheme(registry), expected, "{registry}");
        }
    }
}
