//! Authentication: what a registry challenges with, and the tokens that answer it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use sockerless_ports::registry::Login;

use super::{Fault, read_at_most};
use crate::tuning;

/// How this program names itself to token servers.
const CLIENT_ID: &str = "sockerless";

/// What a registry wants (`WWW-Authenticate`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password.
    Basic,
    /// A token of this server.
    Bearer {
        /// Its address.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the header; none when it is of no known kind.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Some(Self::Bearer { realm: get("realm")?, service: get("service") })
    }
}

/// `a="b, c",d=e` as pairs; keys in lower case.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    while let Some((key, rest)) = text.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_lowercase();
        let value;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            value = inside;
            text = after;
        } else {
            let (plain, after) = rest.split_once(',').unwrap_or((rest, ""));
            value = plain.trim();
            text = after;
        }
        all.push((key, value.to_owned()));
    }
    all
}

/// Whose token, at which registry, for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    base: String,
    scope: String,
    /// A hash of the login: the cache keeps no secret twice.
    login: u64,
}

impl Key {
    /// A key.
    pub fn new(base: &str, scope: &str, login: Option<&Login>) -> Self {
        let mut hasher = DefaultHasher::new();
        login.map(|l| (&l.username, &l.password, &l.identitytoken)).hash(&mut hasher);
        Self { base: base.into(), scope: scope.into(), login: hasher.finish() }
    }
}

/// What goes with a request.
#[derive(Debug, Clone)]
enum Pass {
    Basic,
    Bearer(String, Instant),
}

/// Tokens, while they are good.
#[derive(Debug, Default)]
pub struct Passes(Mutex<HashMap<Key, Pass>>);

impl Passes {
    /// Adds what is known to be wanted.
    pub fn attach(&self, key: &Key, login: Option<&Login>, request: RequestBuilder) -> RequestBuilder {
        let pass = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        match (pass, login) {
            (Some(Pass::Bearer(token, until)), _) if Instant::now() < until => request.bearer_auth(token),
            (Some(Pass::Basic), Some(login)) => request.basic_auth(&login.username, Some(&login.password)),
            _ => request,
        }
    }

    /// Answers a challenge. False: nothing can be answered.
    pub async fn answer(
        &self,
        http: &reqwest::Client,
        key: Key,
        login: Option<&Login>,
        challenge: &Challenge,
    ) -> Result<bool, Fault> {
        let pass = match (challenge, login) {
            (Challenge::Basic, None) => return Ok(false),
            (Challenge::Basic, Some(_)) => Pass::Basic,
            (Challenge::Bearer { realm, service }, _) => {
                let token = fetch(http, realm, service.as_deref(), &key.scope, login, false).await?;
                let life = token.expires_in.map_or(tuning::TOKEN_LIFE, Duration::from_secs);
                let until = Instant::now() + life.saturating_sub(tuning::TOKEN_MARGIN);
                Pass::Bearer(token.value()?, until)
            }
        };
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.retain(|_, pass| !matches!(pass, Pass::Bearer(_, until) if *until <= Instant::now()));
        passes.insert(key, pass);
        Ok(true)
    }
}

/// A token server's answer.
#[derive(Debug, Deserialize)]
pub struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    /// What to come back with instead of the password.
    pub refresh_token: Option<String>,
}

impl Token {
    /// The token itself. Errors: there is none.
    pub fn value(self) -> Result<String, Fault> {
        let value = self.token.or(self.access_token).filter(|token| !token.is_empty());
        value.ok_or_else(|| {
            Fault::Nonsense("authorization server did not include a token in the response".into())
        })
    }
}

/// Asks a token server, as Docker's token specification says. `scope` may be empty: then the token proves who
/// asks and allows nothing. `offline` asks for a refresh token too.
pub async fn fetch(
    http: &reqwest::Client,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    login: Option<&Login>,
    offline: bool,
) -> Result<Token, Fault> {
    let mut url = reqwest::Url::parse(realm).map_err(|e| {
        Fault::Nonsense(format!("the registry names a token server that is no URL ({realm:?}): {e}"))
    })?;
    let scopes = scope.split(' ').filter(|scope| !scope.is_empty());
    let (method, request) = match login.filter(|login| !login.identitytoken.is_empty()) {
        Some(login) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", &login.identitytoken)
                .append_pair("client_id", CLIENT_ID);
            if !scope.is_empty() {
                form.append_pair("scope", scope);
            }
            if let Some(service) = service {
                form.append_pair("service", service);
            }
            let request = http
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.finish());
            (Method::POST, request)
        }
        None => {
            let login = login.filter(|login| !login.username.is_empty() && !login.password.is_empty());
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            for scope in scopes {
                url.query_pairs_mut().append_pair("scope", scope);
            }
            if let Some(login) = login {
                url.query_pairs_mut().append_pair("account", &login.username);
            }
            if offline {
                url.query_pairs_mut()
                    .append_pair("client_id", CLIENT_ID)
                    .append_pair("offline_token", "true");
            }
            let mut request = http.get(url.clone());
            if let Some(login) = login {
                request = request.basic_auth(&login.username, Some(&login.password));
            }
            (Method::GET, request)
        }
    };
    let response = request.send().await.map_err(|e| Fault::line(&method, url.as_str(), &e))?;
    let status = response.status();
    let body = read_at_most(response, tuning::MAX_ANSWER, &method, url.as_str()).await?;
    if !status.is_success() {
        return Err(match Fault::answer(&method, url.as_str(), status, &body) {
            Fault::Answer { status: 401, code, message, request } if code.is_empty() => Fault::Answer {
                status: 401,
                code: "UNAUTHORIZED".into(),
                message: if message.is_empty() { "authentication required".into() } else { message },
                request,
            },
            fault => fault,
        });
    }
    serde_json::from_slice(&body)
        .map_err(|e| Fault::Nonsense(format!("the token server's answer cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_commas_inside_quotes() {
        let header =
            r#"Bearer realm="https://auth.example/token",service="reg,1",scope="repository:a:pull,push""#;
        let expected =
            Challenge::Bearer { realm: "https://auth.example/token".into(), service: Some("reg,1".into()) };
        assert_eq!(Challenge::parse(header), Some(expected));
        assert_eq!(Challenge::parse("basic realm=x"), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
    }
}
