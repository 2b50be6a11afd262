//! Blobs: reading and removing.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::error::{RegistryError, Result};
use super::{Registry, check_digest, store};
use crate::{limits, range};

/// `GET` and `HEAD /v2/NAME/blobs/DIGEST`
pub async fn get(
    registry: &Registry,
    repository: &str,
    digest: &str,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Response> {
    check_digest(digest)?;
    if !store::has_blob(&registry.db.lock(), repository, digest)? {
        return Err(RegistryError::no_blob(digest));
    }
    let mut file = File::open(registry.blob(digest)).await?;
    let size = file.metadata().await?.len();
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let part = match asked.filter(|_| method == Method::GET) {
        Some(text) => range::parse(text, size).map_err(|_| {
            RegistryError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "SIZE_INVALID",
                "the range is beyond the blob",
            )
        })?,
        None => None,
    };
    let (start, length) = part.unwrap_or((0, size));
    let fields = [
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
        (header::HeaderName::from_static("docker-content-digest"), digest.to_owned()),
    ];
    if method == Method::HEAD {
        return Ok((fields, Body::empty()).into_response());
    }
    file.seek(std::io::SeekFrom::Start(start)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), limits::COPY_BLOCK));
    if part.is_none() {
        return Ok((fields, body).into_response());
    }
    let content_range = format!("bytes {start}-{}/{size}", start + length - 1);
    Ok((StatusCode::PARTIAL_CONTENT, fields, [(header::CONTENT_RANGE, content_range)], body).into_response())
}

/// `DELETE /v2/NAME/blobs/DIGEST`: the file goes with its last repository.
pub async fn delete(registry: &Registry, repository: &str, digest: &str) -> Result<Response> {
    check_digest(digest)?;
    let (removed, others) = store::remove_blob(&registry.db.lock(), repository, digest)?;
    if !removed {
        return Err(RegistryError::no_blob(digest));
    }
    if !others {
        tokio::fs::remove_file(registry.blob(digest)).await?;
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
