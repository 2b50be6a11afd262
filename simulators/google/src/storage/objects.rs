//! Objects: reading, changing and removing.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::content::Content;
use super::error::{Result, StorageError};
use super::index::{self, Object};
use super::{buckets, resources};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{limits, range, time};

/// The object that a call is about, its preconditions checked.
pub fn find(simulator: &Simulator, bucket: &str, name: &str, query: &Query, prefix: &str) -> Result<Object> {
    buckets::find(simulator, bucket)?;
    let object = index::object(&simulator.db.lock(), bucket, name)?;
    let wanted = query.number(if prefix == "if" { "generation" } else { "sourceGeneration" });
    let object = object
        .filter(|object| wanted.is_none_or(|generation| generation == object.generation))
        .ok_or_else(|| StorageError::no_object(bucket, name))?;
    resources::preconditions(query, prefix, Some(&object))?;
    Ok(object)
}

/// Makes content the live version of an object. The old version's file is removed.
pub async fn commit(
    simulator: &Simulator,
    (bucket, name): (&str, &str),
    doc: serde_json::Map<String, Value>,
    content: Content,
    query: &Query,
) -> Result<Object> {
    let file = content.file.clone();
    let outcome = replace(simulator, (bucket, name), doc, content, query);
    match &outcome {
        Ok((_, Some(old))) => simulator.storage.files.discard(&old.file).await,
        Ok((_, None)) => {}
        Err(_) => simulator.storage.files.discard(&file).await,
    }
    outcome.map(|(object, _)| object)
}

fn replace(
    simulator: &Simulator,
    (bucket, name): (&str, &str),
    doc: serde_json::Map<String, Value>,
    content: Content,
    query: &Query,
) -> Result<(Object, Option<Object>)> {
    let now = time::millis(time::now());
    let db = simulator.db.lock();
    index::bucket(&db, bucket)?.ok_or_else(StorageError::no_bucket)?;
    let old = index::object(&db, bucket, name)?;
    resources::preconditions(query, "if", old.as_ref())?;
    let object = Object {
        bucket: bucket.to_owned(),
        name: name.to_owned(),
        generation: simulator.storage.generation(),
        metageneration: 1,
        size: content.size,
        file: content.file,
        crc32c: content.crc32c,
        md5: content.md5,
        created: now.clone(),
        updated: now,
        doc,
    };
    index::put_object(&db, &object)?;
    Ok((object, old))
}

/// `objects.get`, metadata or content.
pub async fn get(
    simulator: &Simulator,
    bucket: &str,
    name: &str,
    query: &Query,
    headers: &HeaderMap,
    media: bool,
) -> Result<Response> {
    let object = find(simulator, bucket, name, query, "if")?;
    if !media {
        return Ok(Json(resources::object(&object, &simulator.info.google)).into_response());
    }
    match content(simulator, &object, headers).await {
        // It was replaced between the look-up and the opening.
        Err(_) if !simulator.storage.files.object(&object.file).exists() => {
            let object = find(simulator, bucket, name, query, "if")?;
            content(simulator, &object, headers).await
        }
        answer => answer,
    }
}

async fn content(simulator: &Simulator, object: &Object, headers: &HeaderMap) -> Result<Response> {
    let mut file = File::open(simulator.storage.files.object(&object.file)).await?;
    let range = match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        Some(range) => range::parse(range, object.size).map_err(|_| StorageError::range())?,
        None => None,
    };
    let (start, length) = range.unwrap_or((0, object.size));
    file.seek(std::io::SeekFrom::Start(start)).await?;
    let stream = ReaderStream::with_capacity(file.take(length), limits::COPY_BLOCK);
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, Body::from_stream(stream)).into_response();
    let hash = match &object.md5 {
        Some(md5) => format!("crc32c={},md5={md5}", object.crc32c),
        None => format!("crc32c={}", object.crc32c),
    };
    let set = |key: &str| object.doc.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut fields = vec![
        ("content-type", set("contentType").unwrap_or_else(|| "application/octet-stream".to_owned())),
        ("content-length", length.to_string()),
        ("accept-ranges", "bytes".to_owned()),
        ("etag", resources::etag(object.generation, object.metageneration)),
        ("x-goog-generation", object.generation.to_string()),
        ("x-goog-metageneration", object.metageneration.to_string()),
        ("x-goog-hash", hash),
        ("x-goog-stored-content-length", object.size.to_string()),
        ("x-goog-stored-content-encoding", set("contentEncoding").unwrap_or_else(|| "identity".to_owned())),
    ];
    if range.is_some() {
        fields.push(("content-range", format!("bytes {start}-{}/{}", start + length - 1, object.size)));
    }
    for (name, key) in [
        ("cache-control", "cacheControl"),
        ("content-disposition", "contentDisposition"),
        ("content-encoding", "contentEncoding"),
        ("content-language", "contentLanguage"),
    ] {
        fields.extend(set(key).map(|value| (name, value)));
    }
    for (name, value) in fields {
        // A value that a user set and that no header can carry stays in the metadata.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// `objects.patch` and `objects.update`.
pub fn change(
    simulator: &Simulator,
    bucket: &str,
    name: &str,
    query: &Query,
    raw: &Value,
    whole: bool,
) -> Result<Response> {
    let mut object = find(simulator, bucket, name, query, "if")?;
    let changes = resources::settable(raw);
    if whole {
        object.doc.clear();
    }
    resources::merge(&mut object.doc, &Value::Object(changes));
    object.metageneration += 1;
    object.updated = time::millis(time::now());
    let db = simulator.db.lock();
    // Somebody may have replaced it since it was found.
    match index::object(&db, bucket, name)? {
        Some(current) if current.generation == object.generation => index::put_object(&db, &object)?,
        _ => return Err(StorageError::precondition()),
    }
    Ok(Json(resources::object(&object, &simulator.info.google)).into_response())
}

/// `objects.delete`
pub async fn delete(simulator: &Simulator, bucket: &str, name: &str, query: &Query) -> Result<Response> {
    let object = find(simulator, bucket, name, query, "if")?;
    index::remove_object(&simulator.db.lock(), bucket, name)?;
    simulator.storage.files.discard(&object.file).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}
