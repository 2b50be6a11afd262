//! Who calls: access tokens, Entra's token endpoint, and the managed identities of machines and apps.

mod endpoints;
mod identities;
mod tokens;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};

pub use endpoints::{is_auth, serve};
pub use tokens::SCHEMA;

use crate::error::{ArmError, Result};
use crate::server::Simulator;
use crate::time;
use tokens::{Standing, standing};

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Resource Manager.
    Arm,
    /// Azure Files.
    Storage,
    /// Log Analytics.
    Logs,
    /// Container Registry.
    Registry,
}

impl Audience {
    /// By a resource or scope: `https://storage.azure.com/.default`. A cloud of one's own has Resource Manager's address as
    /// its audience.
    fn of(simulator: &Simulator, resource: &str) -> Option<Self> {
        let info = &simulator.info;
        let own = |base: &String| {
            resource.strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if [&info.azure, &info.http].into_iter().any(own) {
            return Some(Self::Arm);
        }
        let host = resource.split_once("://").map_or(resource, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        if host.starts_with("management.") {
            Some(Self::Arm)
        } else if host.starts_with("storage.") || host.contains(".file.") {
            Some(Self::Storage)
        } else if host.contains("loganalytics") {
            Some(Self::Logs)
        } else if host.contains("containerregistry") {
            Some(Self::Registry)
        } else {
            None
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Storage => "storage",
            Self::Logs => "logs",
            Self::Registry => "registry",
        }
    }
}

/// Checks the `Authorization: Bearer` of a call, and gives the principal that it is.
///
/// # Errors
/// 401 in Azure's words.
pub fn check(simulator: &Simulator, headers: &HeaderMap, audience: Audience) -> Result<String> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given else {
        let message = "Authentication failed. The 'Authorization' header is missing.";
        return Err(unauthenticated(simulator, "AuthenticationFailed", message));
    };
    let token = match given.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => {
            let message =
                "Authentication failed. The 'Authorization' header is provided in an invalid format.";
            return Err(unauthenticated(simulator, "AuthenticationFailedInvalidHeader", message));
        }
    };
    let (code, message) = match standing(simulator, token)? {
        Standing::Good(None) => return Ok("owner".to_owned()),
        Standing::Good(Some(known)) if known == audience.word() => return Ok("application".to_owned()),
        Standing::Good(Some(other)) => (
            "InvalidAuthenticationTokenAudience",
            format!("The access token has been obtained for wrong audience or resource '{other}'."),
        ),
        Standing::Expired(when) => (
            "ExpiredAuthenticationToken",
            format!(
                "The access token expiry UTC time '{when}' is earlier than current UTC time '{}'.",
                time::seconds(time::now())
            ),
        ),
        Standing::Unknown => ("InvalidAuthenticationToken", "The access token is invalid.".to_owned()),
    };
    Err(unauthenticated(simulator, code, &message))
}

/// Checks a registry's login: a bearer token, or any user with one as password.
pub fn check_registry(simulator: &Simulator, headers: &HeaderMap) -> rusqlite::Result<bool> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, secret)) = given.and_then(|given| given.split_once(' ')) else { return Ok(false) };
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_registry_password(simulator, secret.trim());
    }
    let login = STANDARD.decode(secret.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match login.as_deref().and_then(|login| login.split_once(':')) {
        Some((_, token)) => is_registry_password(simulator, token),
        None => Ok(false),
    }
}

/// Whether this opens the registry.
pub fn is_registry_password(simulator: &Simulator, secret: &str) -> rusqlite::Result<bool> {
    Ok(match standing(simulator, secret)? {
        Standing::Good(None) => true,
        Standing::Good(Some(audience)) => audience == Audience::Registry.word(),
        Standing::Expired(_) | Standing::Unknown => false,
    })
}

fn unauthenticated(simulator: &Simulator, code: &str, message: &str) -> ArmError {
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
        simulator.info.azure, simulator.config.tenant
    );
    ArmError { challenge: Some(challenge), ..ArmError::new(StatusCode::UNAUTHORIZED, code, message) }
}
