//! Who calls: access tokens, Entra's token endpoint, and the managed identities of machines and apps.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::error::{ArmError, Result};
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Tokens outlive the process, as a cloud's do.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, expires INTEGER NOT NULL, audience TEXT NOT \
                          NULL) WITHOUT ROWID;";

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

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// For this audience; none: for all.
    Good(Option<String>),
    /// Since then.
    Expired(String),
    Unknown,
}

fn standing(simulator: &Simulator, token: &str) -> rusqlite::Result<Standing> {
    if token == simulator.info.token {
        return Ok(Standing::Good(None));
    }
    let db = simulator.db.lock();
    let mut query = db.prepare_cached("SELECT expires, audience FROM tokens WHERE token = ?1")?;
    let found: Option<(i64, String)> =
        query.query_row([token], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((expires, audience)) if expires > time::now().as_second() => Standing::Good(Some(audience)),
        Some((expires, _)) => {
            Standing::Expired(time::seconds(jiff::Timestamp::from_second(expires).unwrap_or_default()))
        }
        None => Standing::Unknown,
    })
}

fn issue(simulator: &Simulator, audience: Audience) -> Result<(String, i64)> {
    let token = ids::token();
    let now = time::now().as_second();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let life = seconds(simulator.config.token_life);
    let db = simulator.db.lock();
    let forgotten = now.saturating_sub(seconds(limits::EXPIRED_TOKEN_KEPT));
    db.prepare_cached("DELETE FROM tokens WHERE expires <= ?1")?.execute([forgotten])?;
    db.prepare_cached("INSERT INTO tokens VALUES (?1, ?2, ?3)")?.execute((
        &token,
        now + life,
        audience.word(),
    ))?;
    Ok((token, life))
}

/// Where a registry gives a token of its own for one of Entra's.
const EXCHANGE: &str = "/oauth2/exchange";

/// Whether a path is of Entra, of a registry's token server or an identity endpoint.
pub fn is_auth(path: &str) -> bool {
    path.starts_with("/metadata/identity/")
        || path == "/msi/token"
        || path == "/common/discovery/instance"
        || path == EXCHANGE
        || path.ends_with("/oauth2/v2.0/token")
        || path.ends_with("/oauth2/token")
        || path.ends_with("/.well-known/openid-configuration")
}

/// Token endpoints and what leads to them.
pub async fn serve(simulator: &Simulator, base: &str, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["metadata", "identity", "oauth2", "token"]) => {
            machine(simulator, request.headers(), &query)
        }
        (&Method::POST, ["oauth2", "exchange"]) => exchange(simulator, request).await,
        (&Method::GET, ["msi", "token"]) => app(simulator, request.headers(), &query),
        (&Method::GET, ["common", "discovery", "instance"]) => Json(json!({
            "tenant_discovery_endpoint": format!("{base}/{}/v2.0/.well-known/openid-configuration", simulator.config.tenant),
            "api-version": "1.1",
            "metadata": [],
        }))
        .into_response(),
        (&Method::GET, [tenant, .., ".well-known", "openid-configuration"]) => Json(json!({
            "issuer": format!("{base}/{tenant}/v2.0"),
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        }))
        .into_response(),
        (&Method::POST, [tenant, "oauth2", .., "token"]) => {
            let tenant = (*tenant).to_owned();
            entra(simulator, &tenant, request).await
        }
        _ => ArmError::not_found("NotFound", format!("{path} is no path of an identity endpoint."))
            .into_response(),
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`
async fn entra(simulator: &Simulator, tenant: &str, request: Request<Body>) -> Response {
    let body = match axum::body::to_bytes(request.into_body(), limits::TOKEN_BODY).await {
        Ok(body) => body,
        Err(error) => return refusal("invalid_request", 900_144, &error.to_string()),
    };
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if tenant != simulator.config.tenant {
        return refusal("invalid_request", 90_002, &format!("Tenant '{tenant}' not found."));
    }
    if field("grant_type") != "client_credentials" {
        let message = format!("Unsupported grant type '{}'.", field("grant_type"));
        return refusal("unsupported_grant_type", 70_003, &message);
    }
    if field("client_id") != simulator.info.client_id {
        let message =
            format!("Application with identifier '{}' was not found in the directory.", field("client_id"));
        return refusal("unauthorized_client", 700_016, &message);
    }
    if field("client_assertion").is_empty() {
        if field("client_secret") != simulator.info.client_secret {
            return refusal("invalid_client", 7_000_215, "Invalid client secret provided.");
        }
    } else if let Err(why) = assertion(field("client_assertion")) {
        return refusal("invalid_client", 700_027, &why);
    }
    let scope = if field("scope").is_empty() { field("resource") } else { field("scope") };
    let Some(audience) = Audience::of(simulator, scope) else {
        let message = format!("The resource principal named {scope} was not found in the tenant.");
        return refusal("invalid_resource", 500_011, &message);
    };
    match issue(simulator, audience) {
        Ok((token, life)) => Json(json!({
            "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token,
        }))
        .into_response(),
        Err(error) => error.into_response(),
    }
}

/// `POST /oauth2/exchange`, as Container Registry has it.
async fn exchange(simulator: &Simulator, request: Request<Body>) -> Response {
    let refused = |message: &str| {
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": message}]});
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), limits::TOKEN_BODY).await else {
        return refused("the body is too long");
    };
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "access_token" || field("service") != simulator.info.registry {
        return refused("grant_type and service are to be access_token and the registry's name");
    }
    let good = match standing(simulator, field("access_token")) {
        Ok(Standing::Good(audience)) => audience.is_none_or(|audience| audience == Audience::Arm.word()),
        Ok(_) => false,
        Err(error) => return ArmError::from(error).into_response(),
    };
    if !good {
        return refused(
            "authentication required, visit https://aka.ms/acr/authorization for more information.",
        );
    }
    match issue(simulator, Audience::Registry) {
        Ok((token, _)) => Json(json!({"refresh_token": token})).into_response(),
        Err(error) => error.into_response(),
    }
}

/// A workload's assertion. Its signature is taken on trust: the simulator has no copy of anybody's public keys.
fn assertion(text: &str) -> std::result::Result<(), String> {
    let mut parts = text.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("Client assertion is not a JSON Web Token.".to_owned());
    };
    let claims: Value = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or("Client assertion cannot be read.")?;
    match claims["exp"].as_i64() {
        Some(expires) if expires > time::now().as_second() => Ok(()),
        _ => Err("Client assertion is not within its valid time range.".to_owned()),
    }
}

fn refusal(error: &str, number: u32, description: &str) -> Response {
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{number}: {description}"),
        "error_codes": [number],
        "timestamp": time::seconds(time::now()),
        "trace_id": ids::uuid(),
        "correlation_id": ids::uuid(),
    });
    (status, Json(body)).into_response()
}

/// `GET /metadata/identity/oauth2/token`: a virtual machine's identity.
fn machine(simulator: &Simulator, headers: &HeaderMap, query: &BTreeMap<String, String>) -> Response {
    let flagged = headers.get("Metadata").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    if !flagged || headers.contains_key("X-Forwarded-For") {
        return identity_error("invalid_request", "Required metadata header not specified");
    }
    identity(simulator, query, |token, life| {
        let now = time::now().as_second();
        json!({
            "access_token": token, "client_id": simulator.info.client_id, "expires_in": life.to_string(),
            "ext_expires_in": life.to_string(), "expires_on": (now + life).to_string(), "not_before": now.to_string(),
            "resource": query.get("resource"), "token_type": "Bearer",
        })
    })
}

/// `GET /msi/token`: a container app's identity.
fn app(simulator: &Simulator, headers: &HeaderMap, query: &BTreeMap<String, String>) -> Response {
    let header = headers.get("X-IDENTITY-HEADER").map(http::HeaderValue::as_bytes);
    if header != Some(simulator.info.identity_header.as_bytes()) {
        return (
            StatusCode::FORBIDDEN,
            Json(json!({"statusCode": 403, "message": "The identity header is missing or wrong."})),
        )
            .into_response();
    }
    identity(simulator, query, |token, life| {
        json!({
            "access_token": token, "client_id": simulator.info.client_id,
            "expires_on": (time::now().as_second() + life).to_string(),
            "resource": query.get("resource"), "token_type": "Bearer",
        })
    })
}

fn identity(
    simulator: &Simulator,
    query: &BTreeMap<String, String>,
    answer: impl Fn(&str, i64) -> Value,
) -> Response {
    if query.get("api-version").is_none_or(String::is_empty) {
        return identity_error("invalid_request", "Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource") else {
        return identity_error("invalid_request", "Required query variable 'resource' is missing");
    };
    let Some(audience) = Audience::of(simulator, resource) else {
        let message = format!("The resource principal named {resource} was not found in the tenant.");
        return identity_error("invalid_resource", &message);
    };
    match issue(simulator, audience) {
        Ok((token, life)) => Json(answer(&token, life)).into_response(),
        Err(error) => error.into_response(),
    }
}

fn identity_error(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}

fn unauthenticated(simulator: &Simulator, code: &str, message: &str) -> ArmError {
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
        simulator.info.azure, simulator.config.tenant
    );
    ArmError { challenge: Some(challenge), ..ArmError::new(StatusCode::UNAUTHORIZED, code, message) }
}
