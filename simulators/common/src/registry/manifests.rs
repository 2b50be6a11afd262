//! Manifests, tags and the catalogue.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::{RegistryError, Result};
use super::store::{self, Manifest};
use super::{Registry, check_digest};
use crate::limits;

/// `GET` and `HEAD /v2/NAME/manifests/REFERENCE`
pub fn get(registry: &Registry, repository: &str, reference: &str) -> Result<Response> {
    let manifest = store::manifest(&registry.db.lock(), repository, reference)?
        .ok_or_else(|| RegistryError::no_manifest(repository, reference))?;
    let fields = [
        (header::CONTENT_TYPE, manifest.kind),
        (header::CONTENT_LENGTH, manifest.content.len().to_string()),
        (header::ETAG, format!("\"{}\"", manifest.digest)),
        (header::HeaderName::from_static("docker-content-digest"), manifest.digest),
    ];
    Ok((fields, manifest.content).into_response())
}

/// `PUT /v2/NAME/manifests/REFERENCE`: all that it names has to be there.
pub async fn put(
    registry: &Registry,
    repository: &str,
    reference: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let invalid = |message: String| RegistryError::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message);
    let content = axum::body::to_bytes(body, limits::MANIFEST).await.map_err(|_| {
        RegistryError::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the manifest is larger than 4 MiB")
    })?;
    let json: Value = serde_json::from_slice(&content)
        .map_err(|error| invalid(format!("the manifest is no JSON: {error}")))?;
    if json["schemaVersion"] != 2 {
        return Err(invalid("only schema version 2 is supported".to_owned()));
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
    let tag = if reference.contains(':') {
        check_digest(reference)?;
        if reference != digest {
            return Err(RegistryError::digest(format!("the manifest's digest is {digest}, not {reference}")));
        }
        None
    } else if good_tag(reference) {
        Some(reference)
    } else {
        return Err(RegistryError::new(
            StatusCode::BAD_REQUEST,
            "TAG_INVALID",
            format!("{reference:?} is no tag"),
        ));
    };
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let own = json["mediaType"].as_str().map(str::to_owned);
    let kind = given.or(own).ok_or_else(|| invalid("the media type is missing".to_owned()))?;
    let db = registry.db.lock();
    complete(&db, repository, &json)?;
    let manifest = Manifest { digest: digest.clone(), kind, content: content.to_vec() };
    store::put_manifest(&db, repository, &manifest, tag)?;
    let fields =
        [("location", format!("/v2/{repository}/manifests/{digest}")), ("docker-content-digest", digest)];
    Ok((StatusCode::CREATED, fields).into_response())
}

/// Whether the repository has all blobs or manifests that a manifest names.
fn complete(db: &Connection, repository: &str, manifest: &Value) -> Result<()> {
    let missing = |digest: &str| {
        RegistryError::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_BLOB_UNKNOWN",
            format!("{digest} is unknown to the repository"),
        )
    };
    for entry in manifest["manifests"].as_array().into_iter().flatten() {
        let digest = entry["digest"].as_str().unwrap_or_default();
        if store::manifest(db, repository, digest)?.is_none() {
            return Err(missing(digest));
        }
    }
    let layers = manifest["layers"].as_array().into_iter().flatten();
    // A layer with addresses of its own is fetched from there.
    let own = layers.filter(|layer| layer["urls"].as_array().is_none_or(Vec::is_empty));
    for entry in own.chain(manifest.get("config")) {
        let digest = entry["digest"].as_str().unwrap_or_default();
        if !store::has_blob(db, repository, digest)? {
            return Err(missing(digest));
        }
    }
    Ok(())
}

/// `DELETE /v2/NAME/manifests/REFERENCE`
pub fn delete(registry: &Registry, repository: &str, reference: &str) -> Result<Response> {
    if store::remove_manifest(&registry.db.lock(), repository, reference)? {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    Err(RegistryError::no_manifest(repository, reference))
}

/// `GET /v2/NAME/tags/list`
pub fn tags(registry: &Registry, repository: &str, query: &HashMap<String, String>) -> Result<Response> {
    let (after, limit) = page(query)?;
    let tags =
        store::tags(&registry.db.lock(), repository, after, limit.saturating_add(1))?.ok_or_else(|| {
            RegistryError::new(
                StatusCode::NOT_FOUND,
                "NAME_UNKNOWN",
                format!("repository {repository} is unknown"),
            )
        })?;
    Ok(listing(json!({"name": repository}), "tags", tags, limit, &format!("/v2/{repository}/tags/list")))
}

/// `GET /v2/_catalog`
pub fn catalog(registry: &Registry, query: &HashMap<String, String>) -> Result<Response> {
    let (after, limit) = page(query)?;
    let found = store::repositories(&registry.db.lock(), after, limit.saturating_add(1))?;
    Ok(listing(json!({}), "repositories", found, limit, "/v2/_catalog"))
}

fn page(query: &HashMap<String, String>) -> Result<(&str, i64)> {
    let limit = match query.get("n") {
        Some(text) => text.parse().ok().filter(|limit| *limit >= 0).ok_or_else(|| {
            RegistryError::new(
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                format!("n={text} is no page size"),
            )
        })?,
        None => i64::MAX - 1,
    };
    Ok((query.get("last").map_or("", String::as_str), limit))
}

fn listing(mut body: Value, field: &str, mut found: Vec<String>, limit: i64, path: &str) -> Response {
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let link = found.last().filter(|_| more).map(|last| {
        let last: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
        format!("<{path}?n={limit}&last={last}>; rel=\"next\"")
    });
    body[field] = json!(found);
    match link {
        Some(link) => ([(header::LINK, link)], Json(body)).into_response(),
        None => Json(body).into_response(),
    }
}

fn good_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}
