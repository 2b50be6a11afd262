//! Logins at registries, as the distribution specification's token authentication has it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::RequestBuilder;
use serde::Deserialize;

use super::{ImageError, http::Http};
use crate::{
    config::RegistryAuth,
    spec::FailureReason,
    tuning::{TOKEN_LIFETIME, TOKEN_MARGIN},
};

/// What a registry wants, from its `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters: HashMap<String, String> = parameters(rest).collect();
        Some(Self::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        })
    }
}

/// `key="value",key=value`; a quoted value may hold commas.
fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut parts = Vec::new();
    let (mut part, mut quoted) = (String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts.into_iter().filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_ascii_lowercase(), value.trim().to_owned()))
    })
}

/// What is sent with a request.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    Basic(String, String),
    Bearer(String),
}

impl Login {
    pub(crate) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic(username, password) => request.basic_auth(username, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// Logins that are still good, by registry and repository.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<HashMap<String, (Login, Option<Instant>)>>);

impl Logins {
    pub(crate) fn get(&self, key: &str) -> Option<Login> {
        let logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (login, end) = logins.get(key)?;
        end.is_none_or(|end| end > Instant::now()).then(|| login.clone())
    }

    fn put(&self, key: &str, login: Login, lifetime: Option<Duration>) {
        let end = lifetime.map(|lifetime| Instant::now() + lifetime.saturating_sub(TOKEN_MARGIN));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), (login, end));
    }

    /// Meets a challenge; None when there is nothing (else) to offer.
    pub(crate) async fn meet(
        &self,
        key: &str,
        challenge: Challenge,
        auth: Option<&RegistryAuth>,
        http: &Http,
    ) -> Result<Option<Login>, ImageError> {
        let (login, lifetime) = match (challenge, auth) {
            (_, Some(RegistryAuth::Bearer(token))) => (Login::Bearer(token.clone()), None),
            (Challenge::Basic, Some(RegistryAuth::Basic { username, password })) => {
                (Login::Basic(username.clone(), password.clone()), None)
            }
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Bearer { realm, service, scope }, auth) => {
                let mut url = reqwest::Url::parse(&realm)
                    .map_err(|error| unauthorized(format!("token service {realm}: {error}")))?;
                let query = [("service", service), ("scope", scope)];
                url.query_pairs_mut()
                    .extend_pairs(query.into_iter().filter_map(|(key, value)| Some((key, value?))));
                let request = http.get(url);
                let request = match auth {
                    Some(RegistryAuth::Basic { username, password }) => {
                        request.basic_auth(username, Some(password))
                    }
                    _ => request,
                };
                fetch(request, &realm).await?
            }
        };
        self.put(key, login.clone(), lifetime);
        Ok(Some(login))
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

async fn fetch(request: RequestBuilder, realm: &str) -> Result<(Login, Option<Duration>), ImageError> {
    let unavailable = |error: reqwest::Error| {
        ImageError::new(FailureReason::ImageUnavailable, format!("token service {realm}: {error}"))
    };
    let response = request.send().await.map_err(unavailable)?;
    let status = response.status();
    if status.is_server_error() {
        return Err(ImageError::new(
            FailureReason::ImageUnavailable,
            format!("token service {realm}: {status}"),
        ));
    }
    if !status.is_success() {
        return Err(unauthorized(format!("token service {realm}: {status}")));
    }
    let answer: TokenAnswer = response.json().await.map_err(unavailable)?;
    let token = answer
        .token
        .or(answer.access_token)
        .ok_or_else(|| unauthorized(format!("token service {realm}: an answer without a token")))?;
    let lifetime = answer.expires_in.map_or(TOKEN_LIFETIME, Duration::from_secs);
    Ok((Login::Bearer(token), Some(lifetime)))
}

fn unauthorized(message: String) -> ImageError {
    ImageError::new(FailureReason::ImageUnauthorized, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_may_have_commas_in_its_scope() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("registry.example".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
    }

    #[test]
    fn other_challenges_are_told_apart() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
    }
}
