//! Files and their ranges.

use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sockerless_simulator_common::range;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::error::{FileError, Result};
use super::{Call, metadata};
use crate::{limits, time};

/// What the headers say of a file or folder.
pub fn properties(found: &Metadata, kind: &str) -> HeaderMap {
    let modified = jiff::Timestamp::new(found.mtime(), i32::try_from(found.mtime_nsec()).unwrap_or_default());
    let modified = modified.unwrap_or_default();
    let size = if found.is_dir() { 0 } else { found.len() };
    let etag = format!("\"0x{:X}{:X}\"", time::to_nanos(modified), size);
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("etag", etag);
    set("last-modified", time::http(modified));
    set("x-ms-type", kind.to_owned());
    set("x-ms-file-attributes", if found.is_dir() { "Directory" } else { "Archive" }.to_owned());
    for name in ["x-ms-file-creation-time", "x-ms-file-last-write-time", "x-ms-file-change-time"] {
        set(name, time::text(modified));
    }
    set("x-ms-file-id", found.ino().to_string());
    set("x-ms-server-encrypted", "true".to_owned());
    headers
}

/// The file of the path.
fn find(call: &Call) -> Result<(PathBuf, Metadata)> {
    let place = call.place()?;
    match fs::symlink_metadata(&place.path) {
        Ok(found) if found.is_dir() => Err(FileError::type_mismatch()),
        Ok(found) => Ok((place.path, found)),
        Err(_) if !place.has_parent => Err(FileError::no_parent()),
        Err(_) => Err(FileError::no_resource()),
    }
}

fn length(call: &Call) -> Result<u64> {
    let text = call.header("x-ms-content-length").ok_or_else(|| FileError::header("x-ms-content-length"))?;
    let length: u64 = text.parse().map_err(|_| FileError::header("x-ms-content-length"))?;
    if length > limits::FILE {
        return Err(FileError::too_large());
    }
    Ok(length)
}

/// `PUT /S/P` with `x-ms-type: file`: of that many zeros, in the place of one that was there.
pub async fn create(call: &Call, body: Body) -> Result<Response> {
    if !call.header("x-ms-type").is_some_and(|kind| kind.eq_ignore_ascii_case("file")) {
        return Err(FileError::header("x-ms-type"));
    }
    let length = length(call)?;
    let body = axum::body::to_bytes(body, 1).await.map_err(|_| FileError::too_large())?;
    if !body.is_empty() {
        return Err(FileError::bad("InvalidInput", "A file is created without content; put its ranges."));
    }
    let place = call.place()?;
    if !place.has_parent {
        return Err(FileError::no_parent());
    }
    if place.path.is_dir() {
        return Err(FileError::type_mismatch());
    }
    let file = File::create(&place.path)?;
    file.set_len(length)?;
    metadata::set(call, &place.path)?;
    Ok((StatusCode::CREATED, properties(&file.metadata()?, "File")).into_response())
}

/// `PUT /S/P?comp=range`: writes or clears bytes that the file has.
pub fn range(call: &Call, bytes: &[u8]) -> Result<Response> {
    let text = call
        .header("x-ms-range")
        .or_else(|| call.header("range"))
        .ok_or_else(|| FileError::header("x-ms-range"))?;
    let (first, last) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)))
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| FileError::header("x-ms-range"))?;
    let (path, found) = find(call)?;
    if last >= found.len() {
        return Err(FileError::range());
    }
    let length = last - first + 1;
    let file = OpenOptions::new().write(true).open(path)?;
    match call.header("x-ms-write").map(str::to_ascii_lowercase).as_deref() {
        Some("update") if length > limits::RANGE => return Err(FileError::too_large()),
        Some("update") if length != bytes.len() as u64 => {
            return Err(FileError::bad("InvalidRange", "The range is not as long as the body."));
        }
        Some("update") => file.write_all_at(bytes, first)?,
        Some("clear") if bytes.is_empty() => {
            let zeros = vec![0; limits::COPY_BLOCK];
            let mut at = first;
            while at <= last {
                let part = usize::try_from(last - at + 1).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all_at(&zeros[..part], at)?;
                at += part as u64;
            }
        }
        _ => return Err(FileError::header("x-ms-write")),
    }
    Ok((StatusCode::CREATED, properties(&file.metadata()?, "File")).into_response())
}

/// `PUT /S/P?comp=properties`: the length alone.
pub fn resize(call: &Call) -> Result<Response> {
    let (path, found) = find(call)?;
    if call.header("x-ms-content-length").is_none() {
        return Ok((StatusCode::OK, properties(&found, "File")).into_response());
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length(call)?)?;
    Ok((StatusCode::OK, properties(&file.metadata()?, "File")).into_response())
}

/// `GET` and `HEAD /S/P`
pub async fn get(call: &Call) -> Result<Response> {
    let (path, found) = find(call)?;
    let size = found.len();
    let mut headers = properties(&found, "File");
    metadata::show(call, &path, &mut headers)?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if call.method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        return Ok((StatusCode::OK, headers, Body::empty()).into_response());
    }
    let asked = call.header("x-ms-range").or_else(|| call.header("range"));
    let part = match asked {
        Some(text) => range::parse(text, size).map_err(|_| FileError::range())?,
        None => None,
    };
    let (start, length) = part.unwrap_or((0, size));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(std::io::SeekFrom::Start(start)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), limits::COPY_BLOCK));
    if part.is_none() {
        return Ok((StatusCode::OK, headers, body).into_response());
    }
    if let Ok(value) = HeaderValue::from_str(&format!("bytes {start}-{}/{size}", start + length - 1)) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok((StatusCode::PARTIAL_CONTENT, headers, body).into_response())
}

/// `GET /S/P?comp=rangelist`: a file here is one range.
pub fn ranges(call: &Call) -> Result<Response> {
    let (_, found) = find(call)?;
    let range = match found.len() {
        0 => String::new(),
        size => format!("<Range><Start>0</Start><End>{}</End></Range>", size - 1),
    };
    let body = format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Ranges>{range}</Ranges>");
    let mut headers = properties(&found, "File");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("x-ms-content-length", HeaderValue::from(found.len()));
    Ok((StatusCode::OK, headers, body).into_response())
}

/// `DELETE /S/P`
pub fn delete(call: &Call) -> Result<Response> {
    let (path, _) = find(call)?;
    fs::remove_file(&path)?;
    metadata::forget(call, &path)?;
    Ok(StatusCode::ACCEPTED.into_response())
}
