//! An OCI registry (distribution specification 1.1), in the place of a cloud's own.

mod blobs;
mod error;
mod manifests;
pub mod store;
mod uploads;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::json;

use crate::db::Database;
use crate::limits;
pub use error::RegistryError;
use error::Result;
use uploads::Session;

/// Who may use the registry, and for what.
pub trait Access: Send + Sync {
    /// Whether a call's `Authorization` is good.
    ///
    /// # Errors
    /// The database's.
    fn admits(&self, headers: &HeaderMap) -> rusqlite::Result<bool>;

    /// Whether a repository may have this name, which is a good one as the specification has it.
    ///
    /// # Errors
    /// The sentence of a 403.
    fn admits_name(&self, name: &str) -> std::result::Result<(), String>;

    /// Scheme and authority of the registry, for its challenge.
    fn base(&self) -> String;

    /// The user that a token is the password of.
    fn user(&self) -> &'static str;
}

/// What the registry keeps beside the database.
pub struct Registry {
    db: Arc<Database>,
    blobs: PathBuf,
    uploads: PathBuf,
    sessions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Session>>>>,
}

impl Registry {
    /// Opens the folders below a state folder; uploads of a former process are gone.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn open(db: Arc<Database>, state: &Path) -> std::io::Result<Self> {
        let folder = state.join("registry");
        let (blobs, uploads) = (folder.join("blobs"), folder.join("uploads"));
        if uploads.exists() {
            std::fs::remove_dir_all(&uploads)?;
        }
        std::fs::create_dir_all(&blobs)?;
        std::fs::create_dir_all(&uploads)?;
        Ok(Self { db, blobs, uploads, sessions: Mutex::default() })
    }

    /// Whether there is such an image, by tag or digest.
    ///
    /// # Errors
    /// The database's.
    pub fn has(&self, repository: &str, reference: &str) -> rusqlite::Result<bool> {
        Ok(store::manifest(&self.db.lock(), repository, reference)?.is_some())
    }

    /// The file of a blob; the digest was checked.
    fn blob(&self, digest: &str) -> PathBuf {
        self.blobs.join(digest.trim_start_matches("sha256:"))
    }
}

/// A digest that we take: SHA-256, in lower case.
fn check_digest(digest: &str) -> Result<()> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let good =
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if good { Ok(()) } else { Err(RegistryError::digest(format!("{digest:?} is no sha256 digest"))) }
}

/// What a path names behind `/v2/`.
enum Target {
    Ping,
    Token,
    Catalog,
    Tags,
    Manifest(String),
    Blob(String),
    Uploads,
    Upload(String),
}

fn target(path: &str) -> Option<(String, Target)> {
    let path = path.strip_prefix("/v2")?.trim_start_matches('/');
    match path.trim_end_matches('/') {
        "" => return Some((String::new(), Target::Ping)),
        "token" => return Some((String::new(), Target::Token)),
        "_catalog" => return Some((String::new(), Target::Catalog)),
        _ => {}
    }
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let (name, target) = match parts.as_slice() {
        [name @ .., "tags", "list"] => (name, Target::Tags),
        [name @ .., "manifests", reference] => (name, Target::Manifest((*reference).to_owned())),
        [name @ .., "blobs", "uploads"] => (name, Target::Uploads),
        [name @ .., "blobs", "uploads", id] => (name, Target::Upload((*id).to_owned())),
        [name @ .., "blobs", digest] => (name, Target::Blob((*digest).to_owned())),
        _ => return None,
    };
    (!name.is_empty()).then(|| (name.join("/"), target))
}

/// Answers a call.
pub async fn serve(registry: &Registry, access: &dyn Access, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let mut response = match call(registry, access, &parts, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert("docker-distribution-api-version", version);
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn call(registry: &Registry, access: &dyn Access, parts: &Parts, body: Body) -> Result<Response> {
    let path = parts.uri.path();
    let (name, target) = target(path).ok_or_else(|| {
        RegistryError::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("{path} is no path of a registry"))
    })?;
    if let Target::Token = target {
        return token(access, parts, body).await;
    }
    if !access.admits(&parts.headers)? {
        let scope = if name.is_empty() { String::new() } else { format!("repository:{name}:pull,push") };
        return Err(RegistryError::unauthorized(access, &scope));
    }
    if !name.is_empty() {
        check_name(access, &name)?;
    }
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    match (target, parts.method.as_str()) {
        (Target::Ping, "GET" | "HEAD") => Ok(Json(json!({})).into_response()),
        (Target::Catalog, "GET") => manifests::catalog(registry, &query),
        (Target::Tags, "GET") => manifests::tags(registry, &name, &query),
        (Target::Manifest(reference), "GET" | "HEAD") => manifests::get(registry, &name, &reference),
        (Target::Manifest(reference), "PUT") => {
            manifests::put(registry, &name, &reference, &parts.headers, body).await
        }
        (Target::Manifest(reference), "DELETE") => manifests::delete(registry, &name, &reference),
        (Target::Blob(digest), "GET" | "HEAD") => {
            blobs::get(registry, &name, &digest, &parts.headers, &parts.method).await
        }
        (Target::Blob(digest), "DELETE") => blobs::delete(registry, &name, &digest).await,
        (Target::Uploads, "POST") => uploads::begin(registry, &name, &query, body).await,
        (Target::Upload(id), "PATCH") => uploads::append(registry, &name, &id, &parts.headers, body).await,
        (Target::Upload(id), "PUT") => {
            uploads::finish(registry, &name, &id, &query, &parts.headers, body).await
        }
        (Target::Upload(id), "GET") => uploads::status(registry, &name, &id).await,
        (Target::Upload(id), "DELETE") => uploads::cancel(registry, &name, &id).await,
        _ => Err(RegistryError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "the operation is unsupported",
        )),
    }
}

fn check_name(access: &dyn Access, name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let good = name.len() <= 255 && name.split('/').all(|part| !part.is_empty() && part.bytes().all(plain));
    if !good {
        return Err(RegistryError::new(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            format!("invalid repository name {name:?}"),
        ));
    }
    access.admits_name(name).map_err(|message| RegistryError::new(StatusCode::FORBIDDEN, "DENIED", message))
}

/// `GET /v2/token`: the access token of a login, for clients that ask for one; `POST` is the form of OAuth2.
async fn token(access: &dyn Access, parts: &Parts, body: Body) -> Result<Response> {
    let mut headers = parts.headers.clone();
    let mut given = None;
    if parts.method == Method::POST {
        let body = axum::body::to_bytes(body, limits::LOGIN)
            .await
            .map_err(|error| RegistryError::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", error.to_string()))?;
        let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let user = form.get("username").map(String::as_str).unwrap_or_default();
        let password =
            form.get("password").or_else(|| form.get("refresh_token")).cloned().unwrap_or_default();
        let user = if user.is_empty() { access.user() } else { user };
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        if let Ok(login) = HeaderValue::from_str(&login) {
            headers.insert(header::AUTHORIZATION, login);
        }
        given = Some(password);
    }
    if !access.admits(&headers)? {
        return Err(RegistryError::unauthorized(access, ""));
    }
    let token = match given {
        Some(token) => token,
        None => secret(&headers).unwrap_or_default(),
    };
    Ok(Json(json!({"token": token, "access_token": token, "expires_in": limits::TOKEN_LIFE.as_secs()}))
        .into_response())
}

/// The token in a login.
fn secret(headers: &HeaderMap) -> Option<String> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(secret.trim().to_owned());
    }
    let login = String::from_utf8(STANDARD.decode(secret.trim()).ok()?).ok()?;
    Some(login.split_once(':')?.1.to_owned())
}
