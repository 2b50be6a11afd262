//! Who calls: access tokens, the OAuth2 token endpoint, workload identity's exchange, and the metadata server.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::error::{ApiError, Code};
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Tokens outlive the process, as a cloud's do.
pub const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;";

const GRANT_JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const GRANT_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Checks the `Authorization: Bearer` of an API call.
///
/// # Errors
/// 401 UNAUTHENTICATED in Google's words.
pub fn check(simulator: &Simulator, headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given else {
        return Err(unauthenticated(
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid \
             authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            "CREDENTIALS_MISSING",
        ));
    };
    let standing = match given.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => standing(simulator, token.trim())?,
        _ => Standing::Unknown,
    };
    let reason = match standing {
        Standing::Good => return Ok(()),
        Standing::Expired => "ACCESS_TOKEN_EXPIRED",
        Standing::Unknown => "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    };
    Err(unauthenticated(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        reason,
    ))
}

/// Checks a registry's login: a bearer token, or the user `oauth2accesstoken` with one as password.
pub fn check_registry(simulator: &Simulator, headers: &HeaderMap) -> rusqlite::Result<bool> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, secret)) = given.and_then(|given| given.split_once(' ')) else { return Ok(false) };
    if scheme.eq_ignore_ascii_case("bearer") {
        return valid(simulator, secret.trim());
    }
    let login = STANDARD.decode(secret.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match login.as_deref().and_then(|login| login.split_once(':')) {
        Some(("oauth2accesstoken", token)) => valid(simulator, token),
        _ => Ok(false),
    }
}

/// What is known of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Expired,
    Unknown,
}

fn standing(simulator: &Simulator, token: &str) -> rusqlite::Result<Standing> {
    if token == simulator.info.token {
        return Ok(Standing::Good);
    }
    let db = simulator.db.lock();
    let mut query = db.prepare_cached("SELECT expires FROM tokens WHERE token = ?1")?;
    let expires: Option<i64> = query.query_row([token], |row| row.get(0)).optional()?;
    Ok(match expires {
        Some(expires) if expires > time::now().as_second() => Standing::Good,
        Some(_) => Standing::Expired,
        None => Standing::Unknown,
    })
}

/// Whether a token is known and has not expired.
fn valid(simulator: &Simulator, token: &str) -> rusqlite::Result<bool> {
    Ok(standing(simulator, token)? == Standing::Good)
}

fn issue(simulator: &Simulator) -> Result<Value, ApiError> {
    let token = ids::token();
    let now = time::now().as_second();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let life = seconds(simulator.config.token_life);
    let db = simulator.db.lock();
    let forgotten = now.saturating_sub(seconds(limits::EXPIRED_TOKEN_KEPT));
    db.prepare_cached("DELETE FROM tokens WHERE expires <= ?1")?.execute([forgotten])?;
    db.prepare_cached("INSERT INTO tokens VALUES (?1, ?2)")?.execute((&token, now + life))?;
    Ok(json!({"access_token": token, "expires_in": life, "token_type": "Bearer"}))
}

/// Token endpoints and metadata server.
pub async fn serve(simulator: &Simulator, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let answer = match (request.method(), path.as_str()) {
        // Clients ask the root whether this is a metadata server.
        (_, path) if path == "/" || path.starts_with("/computeMetadata/") => metadata(simulator, &request),
        (&Method::POST, "/token" | "/oauth2/token" | "/oauth2/v4/token" | "/v1/token") => {
            token(simulator, request).await
        }
        _ => Err(not_found(&path)),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// `POST /token` for an authorised user's refresh token, a service account's assertion, or an exchanged token.
async fn token(simulator: &Simulator, request: Request<Body>) -> Result<Response, ApiError> {
    let body = axum::body::to_bytes(request.into_body(), limits::OBJECT_METADATA)
        .await
        .map_err(|error| ApiError::new(Code::InvalidArgument, error.to_string()))?;
    let form: std::collections::BTreeMap<String, String> = match serde_json::from_slice::<Value>(&body) {
        // Workload identity's clients send JSON.
        Ok(Value::Object(fields)) => {
            fields.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
        }
        _ => url::form_urlencoded::parse(&body).into_owned().collect(),
    };
    let field =
        |name: &str, camel: &str| form.get(name).or_else(|| form.get(camel)).map_or("", String::as_str);
    let answer = match field("grant_type", "grantType") {
        "refresh_token" if field("refresh_token", "refreshToken").is_empty() => {
            return Ok(refusal("invalid_request", "Missing required parameter: refresh_token"));
        }
        "refresh_token" => json!({"scope": SCOPE}),
        GRANT_JWT => match claims(field("assertion", "assertion")) {
            Ok(claims) => match claims["target_audience"].as_str() {
                Some(_) => {
                    return Ok(refusal(
                        "invalid_request",
                        "This simulator issues access tokens, no identity tokens.",
                    ));
                }
                None => json!({}),
            },
            Err(reason) => return Ok(refusal("invalid_grant", &reason)),
        },
        GRANT_EXCHANGE if field("subject_token", "subjectToken").is_empty() => {
            return Ok(refusal("invalid_request", "Missing required parameter: subject_token"));
        }
        GRANT_EXCHANGE => json!({"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
        other => return Ok(refusal("unsupported_grant_type", &format!("Invalid grant_type: {other}"))),
    };
    let mut issued = issue(simulator)?;
    for (key, value) in answer.as_object().into_iter().flatten() {
        issued[key] = value.clone();
    }
    Ok(Json(issued).into_response())
}

/// The claims of an assertion. Its signature is taken on trust: the simulator has no copy of anybody's public keys.
fn claims(assertion: &str) -> Result<Value, String> {
    let mut parts = assertion.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("Bad Request: assertion is not a JSON Web Token".to_owned());
    };
    let claims: Value = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or("Invalid JWT: claims cannot be read")?;
    if claims["iss"].as_str().is_none_or(str::is_empty) {
        return Err("Invalid JWT: iss field missing.".to_owned());
    }
    let now = time::now().as_second();
    if claims["exp"].as_i64().is_none_or(|expires| expires < now) {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                    Check your iat and exp values in the JWT claim."
                .to_owned(),
        );
    }
    Ok(claims)
}

fn refusal(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}

/// `GET /computeMetadata/v1/…`, as instances have it.
fn metadata(simulator: &Simulator, request: &Request<Body>) -> Result<Response, ApiError> {
    const FLAVOR: &str = "Metadata-Flavor";
    let google = HeaderValue::from_static("Google");
    if request.headers().get(FLAVOR) != Some(&google) || request.headers().contains_key("X-Forwarded-For") {
        return Ok((StatusCode::FORBIDDEN, [(FLAVOR, "Google")], "Missing Metadata-Flavor:Google header.")
            .into_response());
    }
    let info = &simulator.info;
    let email = service_account(&info.project);
    let account = json!({"aliases": ["default"], "email": email, "scopes": [SCOPE]});
    let recursive = request.uri().query().is_some_and(|query| query.contains("recursive=true"));
    let path = request.uri().path().trim_start_matches("/computeMetadata/v1").trim_matches('/').to_owned();
    let path = path.replace(&format!("service-accounts/{email}"), "service-accounts/default");
    let text = match path.as_str() {
        "instance/service-accounts/default/token" => {
            return Ok(([(FLAVOR, "Google")], Json(issue(simulator)?)).into_response());
        }
        "instance/service-accounts/default" if recursive => {
            return Ok(([(FLAVOR, "Google")], Json(account)).into_response());
        }
        "instance/service-accounts" if recursive => {
            return Ok(([(FLAVOR, "Google")], Json(json!({"default": account}))).into_response());
        }
        "project/project-id" => info.project.clone(),
        "project/numeric-project-id" => project_number(&info.project).to_string(),
        "instance/region" => format!("projects/{}/regions/{}", project_number(&info.project), info.region),
        "instance/zone" => format!("projects/{}/zones/{}-1", project_number(&info.project), info.region),
        "instance/service-accounts" => format!("default/\n{email}/\n"),
        "instance/service-accounts/default" => "aliases\nemail\nscopes\ntoken\n".to_owned(),
        "instance/service-accounts/default/email" => email,
        "instance/service-accounts/default/scopes" => format!("{SCOPE}\n"),
        "instance/service-accounts/default/aliases" => "default\n".to_owned(),
        "universe/universe-domain" | "universe/universe_domain" => "googleapis.com".to_owned(),
        "" => "instance/\nproject/\n".to_owned(),
        _ => return Ok((StatusCode::NOT_FOUND, [(FLAVOR, "Google")], "Not Found\n").into_response()),
    };
    Ok(([(FLAVOR, "Google"), ("Content-Type", "application/text")], text).into_response())
}

/// The account that a job runs as when it names none.
pub fn service_account(project: &str) -> String {
    format!("{}-compute@developer.gserviceaccount.com", project_number(project))
}

/// A project's number: made from its name, always the same.
pub fn project_number(project: &str) -> u64 {
    let sum = project.bytes().fold(1_469_598_103_934_665_603_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    });
    100_000_000_000 + sum % 900_000_000_000
}

fn unauthenticated(message: &str, reason: &str) -> ApiError {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    });
    ApiError { details: vec![info], ..ApiError::new(Code::Unauthenticated, message) }
}

fn not_found(path: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("The requested URL {path} was not found on this server."))
}
