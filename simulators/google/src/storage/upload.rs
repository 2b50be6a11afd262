//! `objects.insert`: simple, multipart and resumable uploads.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use super::content::{Content, received};
use super::error::{Result, StorageError};
use super::index::{self, Object, Upload};
use super::multipart::Related;
use super::{buckets, objects, resources};
use crate::schema::{self, Query};
use crate::server::Simulator;
use crate::{ids, limits};

const INSERT: &str = "storage.objects.insert";

/// Answers `POST` and `PUT` below `/upload`.
pub async fn upload(
    simulator: &Simulator,
    bucket: &str,
    raw_query: &str,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let query = schema::storage().query(INSERT, Some(raw_query))?;
    if let Some(id) = query.text("upload_id") {
        return resume(simulator, id, method, headers, body).await;
    }
    buckets::find(simulator, bucket)?;
    let object = match query.text("uploadType") {
        Some("media") => {
            let mut doc = Map::new();
            doc.insert(
                "contentType".into(),
                json!(text(headers, "content-type").unwrap_or("application/octet-stream")),
            );
            let name = object_name(&query, &Value::Null)?;
            let mut writer = simulator.storage.files.create().await?;
            writer.body(body).await?;
            let content = writer.finish().await?;
            checked(simulator, (bucket, &name), doc, content, &query, &Value::Null).await?
        }
        Some("multipart") => multipart(simulator, bucket, &query, headers, body).await?,
        Some("resumable") => return begin(simulator, bucket, raw_query, &query, headers, body).await,
        other => {
            let message = format!(
                "Upload type {:?} is none of media, multipart and resumable.",
                other.unwrap_or_default()
            );
            return Err(StorageError::invalid(message));
        }
    };
    Ok(Json(resources::object(&object, &simulator.info.google)).into_response())
}

async fn multipart(
    simulator: &Simulator,
    bucket: &str,
    query: &Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Object> {
    let mut related = Related::begin(text(headers, "content-type").unwrap_or_default(), body).await?;
    let metadata = schema::storage().body("Object", "resource", &related.metadata)?;
    let name = object_name(query, &metadata)?;
    let mut doc = resources::settable(&metadata);
    if let Some(kind) = &related.content_type {
        doc.entry("contentType").or_insert(json!(kind));
    }
    let mut writer = simulator.storage.files.create().await?;
    while let Some(bytes) = related.next().await? {
        writer.write(&bytes).await?;
    }
    let content = writer.finish().await?;
    checked(simulator, (bucket, &name), doc, content, query, &metadata).await
}

/// Commits content after its hashes were compared with the ones that the caller gave.
async fn checked(
    simulator: &Simulator,
    place: (&str, &str),
    mut doc: Map<String, Value>,
    content: Content,
    query: &Query,
    metadata: &Value,
) -> Result<Object> {
    let wrong = |field: &str, actual: &str| match metadata[field].as_str() {
        Some(given) if given != actual => {
            Some(format!("Provided {field} \"{given}\" doesn't match calculated {field} \"{actual}\"."))
        }
        _ => None,
    };
    let md5 = content.md5.clone().unwrap_or_default();
    if let Some(message) = wrong("crc32c", &content.crc32c).or_else(|| wrong("md5Hash", &md5)) {
        simulator.storage.files.discard(&content.file).await;
        return Err(StorageError::invalid(message));
    }
    if let Some(encoding) = query.text("contentEncoding") {
        doc.insert("contentEncoding".into(), json!(encoding));
    }
    doc.entry("contentType").or_insert(json!("application/octet-stream"));
    objects::commit(simulator, place, doc, content, query).await
}

fn object_name(query: &Query, metadata: &Value) -> Result<String> {
    let name = query.text("name").or_else(|| metadata["name"].as_str()).unwrap_or_default().to_owned();
    resources::check_name(&name)?;
    Ok(name)
}

/// Begins a resumable upload: its address is in `Location`.
async fn begin(
    simulator: &Simulator,
    bucket: &str,
    raw_query: &str,
    query: &Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let body = axum::body::to_bytes(body, limits::OBJECT_METADATA)
        .await
        .map_err(|_| StorageError::invalid("The metadata is too large."))?;
    let metadata = schema::storage().body("Object", "resource", &body)?;
    let name = object_name(query, &metadata)?;
    let existing = index::object(&simulator.db.lock(), bucket, &name)?;
    resources::preconditions(query, "if", existing.as_ref())?;
    let mut doc = resources::settable(&metadata);
    if let Some(kind) = text(headers, "x-upload-content-type") {
        doc.entry("contentType").or_insert(json!(kind));
    }
    for field in ["crc32c", "md5Hash"] {
        if !metadata[field].is_null() {
            doc.insert(field.to_owned(), metadata[field].clone());
        }
    }
    let id = ids::secret();
    std::fs::File::create(simulator.storage.files.resumable(&id))?;
    let upload = Upload { id: id.clone(), bucket: bucket.to_owned(), name, query: raw_query.to_owned(), doc };
    index::put_upload(&simulator.db.lock(), &upload)?;
    let location = format!(
        "{}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={id}",
        simulator.info.google
    );
    let mut response = StatusCode::OK.into_response();
    for (name, value) in [("location", location.as_str()), ("x-guploader-uploadid", id.as_str())] {
        let value = HeaderValue::from_str(value)
            .map_err(|_| StorageError::invalid("The bucket's name is no part of an address."))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The place of a chunk: `bytes 0-9/20`, `bytes 0-9/*`, `bytes */20`, or nothing for all.
#[derive(Debug, PartialEq, Eq)]
struct Chunk {
    /// First byte; none for a question.
    start: Option<u64>,
    /// Behind the last byte.
    end: Option<u64>,
    /// Bytes of the whole object.
    total: Option<u64>,
}

impl Chunk {
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        if range == "*" {
            return Some(Self { start: None, end: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (start, end) = (first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?);
        (end > start && total.is_none_or(|total| end <= total)).then_some(Self {
            start: Some(start),
            end: Some(end),
            total,
        })
    }
}

/// A chunk of a resumable upload, a question how far it is, or its end.
async fn resume(
    simulator: &Simulator,
    id: &str,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let gone = || StorageError::new(StatusCode::NOT_FOUND, "notFound", "The upload session does not exist.");
    // One chunk of a session at a time.
    let _guard = simulator.storage.session(id).await;
    let upload = index::upload(&simulator.db.lock(), id)?.ok_or_else(gone)?;
    let path = simulator.storage.files.resumable(id);
    if method == Method::DELETE {
        index::remove_upload(&simulator.db.lock(), id)?;
        tokio::fs::remove_file(&path).await?;
        // What Google answers to a cancelled upload.
        let status = StatusCode::from_u16(499).unwrap_or(StatusCode::NO_CONTENT);
        return Ok(status.into_response());
    }
    let held = tokio::fs::metadata(&path).await?.len();
    let chunk = match text(headers, "content-range") {
        Some(text) => Chunk::parse(text)
            .ok_or_else(|| StorageError::invalid("Failed to parse Content-Range header."))?,
        None => Chunk { start: Some(0), end: None, total: None },
    };
    let mut held = held;
    if let Some(start) = chunk.start {
        if start > held {
            return Err(StorageError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "backendError",
                "Bytes are missing before this chunk.",
            ));
        }
        let mut file = OpenOptions::new().append(true).open(&path).await?;
        // What we have already is skipped: the client repeats a chunk whose answer it did not see.
        let mut skip = held - start;
        let mut stream = body.into_data_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = received(bytes)?;
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= known as u64;
            file.write_all(&bytes[known..]).await?;
            held += (bytes.len() - known) as u64;
        }
        file.flush().await?;
    }
    let whole = match (chunk.total, text(headers, "content-range")) {
        (Some(total), _) => held >= total,
        (None, None) => true,
        (None, Some(_)) => false,
    };
    if !whole {
        // Only whole units are kept of a chunk that is not the last.
        let kept = held - held % limits::RESUMABLE_UNIT;
        if kept != held && chunk.start.is_some() {
            OpenOptions::new().write(true).open(&path).await?.set_len(kept).await?;
            held = kept;
        }
        return Ok(incomplete(held));
    }
    let content = simulator.storage.files.adopt(&path).await?;
    let given = Value::Object(upload.doc.clone());
    let mut doc = upload.doc.clone();
    doc.remove("crc32c");
    doc.remove("md5Hash");
    index::remove_upload(&simulator.db.lock(), id)?;
    let query = schema::storage().query(INSERT, Some(&upload.query))?;
    let object = checked(simulator, (&upload.bucket, &upload.name), doc, content, &query, &given).await?;
    Ok(Json(resources::object(&object, &simulator.info.google)).into_response())
}

/// 308 with what we have.
fn incomplete(held: u64) -> Response {
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    if held > 0
        && let Ok(range) = HeaderValue::from_str(&format!("bytes=0-{}", held - 1))
    {
        response.headers_mut().insert(header::RANGE, range);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunks_place_is_read() {
        assert_eq!(
            Chunk::parse("bytes 0-9/20"),
            Some(Chunk { start: Some(0), end: Some(10), total: Some(20) })
        );
        assert_eq!(Chunk::parse("bytes 0-9/*"), Some(Chunk { start: Some(0), end: Some(10), total: None }));
        assert_eq!(Chunk::parse("bytes */20"), Some(Chunk { start: None, end: None, total: Some(20) }));
        for wrong in
            ["bytes 9-0/20", "bytes 0-20/20", "0-9/20", "bytes a-b/c", "bytes 0-18446744073709551615/*"]
        {
            assert_eq!(Chunk::parse(wrong), None, "{wrong}");
        }
    }
}
