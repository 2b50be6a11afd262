//! Blobs on their way in: in one piece, in chunks, or mounted from another repository.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

use super::error::{RegistryError, Result};
use super::{Registry, check_digest, store};
use crate::ids;

/// An upload that was begun.
pub struct Session {
    repository: String,
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
}

impl Session {
    async fn write(&mut self, body: Body) -> Result<()> {
        let mut stream = body.into_data_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| {
                RegistryError::new(
                    StatusCode::BAD_REQUEST,
                    "BLOB_UPLOAD_INVALID",
                    format!("the body ended early: {error}"),
                )
            })?;
            self.file.write_all(&bytes).await?;
            self.hash.update(&bytes);
            self.size += bytes.len() as u64;
        }
        self.file.flush().await?;
        Ok(())
    }
}

type Shared = Arc<Mutex<Session>>;

fn sessions(registry: &Registry) -> std::sync::MutexGuard<'_, HashMap<String, Shared>> {
    registry.sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn find(registry: &Registry, repository: &str, id: &str) -> Result<Shared> {
    let session = sessions(registry).get(id).cloned().ok_or_else(RegistryError::no_upload)?;
    if session.lock().await.repository != repository {
        return Err(RegistryError::no_upload());
    }
    Ok(session)
}

/// `POST /v2/NAME/blobs/uploads/`
pub async fn begin(
    registry: &Registry,
    repository: &str,
    query: &HashMap<String, String>,
    body: Body,
) -> Result<Response> {
    if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
        check_digest(digest)?;
        let db = registry.db.lock();
        if store::has_blob(&db, from, digest)? {
            store::add_blob(&db, repository, digest)?;
            return Ok(created(repository, digest));
        }
    }
    let id = ids::uuid();
    let path = registry.uploads.join(&id);
    let file = File::create(&path).await?;
    let session = Session { repository: repository.to_owned(), path, file, hash: Sha256::new(), size: 0 };
    let session = Arc::new(Mutex::new(session));
    sessions(registry).insert(id.clone(), session.clone());
    if let Some(digest) = query.get("digest") {
        session.lock().await.write(body).await?;
        return complete(registry, repository, &id, &session, digest).await;
    }
    Ok(accepted(repository, &id, 0))
}

/// `PATCH /v2/NAME/blobs/uploads/ID`
pub async fn append(
    registry: &Registry,
    repository: &str,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let session = find(registry, repository, id).await?;
    let mut session = session.lock().await;
    in_order(headers, session.size)?;
    session.write(body).await?;
    Ok(accepted(repository, id, session.size))
}

/// `PUT /v2/NAME/blobs/uploads/ID?digest=`
pub async fn finish(
    registry: &Registry,
    repository: &str,
    id: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let session = find(registry, repository, id).await?;
    let digest = query.get("digest").ok_or_else(|| RegistryError::digest("the digest is missing"))?;
    {
        let mut session = session.lock().await;
        in_order(headers, session.size)?;
        session.write(body).await?;
    }
    complete(registry, repository, id, &session, digest).await
}

/// `GET /v2/NAME/blobs/uploads/ID`
pub async fn status(registry: &Registry, repository: &str, id: &str) -> Result<Response> {
    let session = find(registry, repository, id).await?;
    let mut response = accepted(repository, id, session.lock().await.size);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// `DELETE /v2/NAME/blobs/uploads/ID`
pub async fn cancel(registry: &Registry, repository: &str, id: &str) -> Result<Response> {
    let session = find(registry, repository, id).await?;
    sessions(registry).remove(id);
    tokio::fs::remove_file(&session.lock().await.path).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Chunks come one behind the other.
fn in_order(headers: &HeaderMap, held: u64) -> Result<()> {
    let Some(range) = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    match range.split_once('-').and_then(|(start, _)| start.trim().parse::<u64>().ok()) {
        Some(start) if start == held => Ok(()),
        _ => Err(RegistryError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "BLOB_UPLOAD_INVALID",
            format!("the next chunk begins at {held}"),
        )),
    }
}

async fn complete(
    registry: &Registry,
    repository: &str,
    id: &str,
    session: &Shared,
    digest: &str,
) -> Result<Response> {
    check_digest(digest)?;
    let session = session.lock().await;
    let actual = format!("sha256:{}", hex::encode(session.hash.clone().finalize()));
    sessions(registry).remove(id);
    if actual != digest {
        tokio::fs::remove_file(&session.path).await?;
        return Err(RegistryError::digest(format!("the content's digest is {actual}, not {digest}")));
    }
    tokio::fs::rename(&session.path, registry.blob(digest)).await?;
    store::add_blob(&registry.db.lock(), repository, digest)?;
    Ok(created(repository, digest))
}

fn created(repository: &str, digest: &str) -> Response {
    let location = format!("/v2/{repository}/blobs/{digest}");
    let fields = [("location", location), ("docker-content-digest", digest.to_owned())];
    (StatusCode::CREATED, fields).into_response()
}

fn accepted(repository: &str, id: &str, size: u64) -> Response {
    let fields = [
        ("location", format!("/v2/{repository}/blobs/uploads/{id}")),
        ("docker-upload-uuid", id.to_owned()),
        ("range", format!("0-{}", size.saturating_sub(1))),
    ];
    (StatusCode::ACCEPTED, fields).into_response()
}
