//! `x-ms-meta-*` of folders and files.

use std::path::Path;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rusqlite::OptionalExtension;
use serde_json::{Map, Value};

use super::Call;
use super::error::{FileError, Result};
use crate::error::ArmError;

/// The table; paths are in small letters, as they are found.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS file_metadata (share TEXT NOT NULL, path TEXT NOT NULL, data TEXT NOT NULL, \
                          PRIMARY KEY (share, path)) WITHOUT ROWID;";

const PREFIX: &str = "x-ms-meta-";

fn sql(error: rusqlite::Error) -> FileError {
    ArmError::from(error).into()
}

fn share(call: &Call) -> String {
    format!("{}/{}", call.account_name(), call.share)
}

fn relative(call: &Call, path: &Path) -> String {
    path.strip_prefix(call.root()).unwrap_or(path).to_string_lossy().to_lowercase()
}

/// Sets what the call's headers say, in the place of all that was there.
pub fn set(call: &Call, path: &Path) -> Result<()> {
    let mut data = Map::new();
    for (name, value) in &call.headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(PREFIX), value.to_str()) {
            data.insert(name.to_owned(), Value::from(value));
        }
    }
    let db = call.simulator.db.lock();
    let key = (share(call), relative(call, path));
    if data.is_empty() {
        db.prepare_cached("DELETE FROM file_metadata WHERE share = ?1 AND path = ?2")
            .and_then(|mut remove| remove.execute(key))
            .map_err(sql)?;
    } else {
        db.prepare_cached("INSERT OR REPLACE INTO file_metadata VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute((key.0, key.1, Value::Object(data).to_string())))
            .map_err(sql)?;
    }
    Ok(())
}

/// Adds what there is to the headers of an answer.
pub fn show(call: &Call, path: &Path, headers: &mut HeaderMap) -> Result<()> {
    let db = call.simulator.db.lock();
    let text: Option<String> = db
        .prepare_cached("SELECT data FROM file_metadata WHERE share = ?1 AND path = ?2")
        .and_then(|mut query| {
            query.query_row((share(call), relative(call, path)), |row| row.get(0)).optional()
        })
        .map_err(sql)?;
    let data: Map<String, Value> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    for (name, value) in data {
        let name = HeaderName::from_bytes(format!("{PREFIX}{name}").as_bytes());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    Ok(())
}

/// Forgets what belonged to a path.
pub fn forget(call: &Call, path: &Path) -> Result<()> {
    let db = call.simulator.db.lock();
    db.prepare_cached("DELETE FROM file_metadata WHERE share = ?1 AND path = ?2")
        .and_then(|mut remove| remove.execute((share(call), relative(call, path))))
        .map_err(sql)?;
    Ok(())
}

/// What belonged to a path, and to all below it, belongs to another now.
pub fn rename(call: &Call, from: &Path, to: &Path) -> Result<()> {
    let (share, from, to) = (share(call), relative(call, from), relative(call, to));
    let db = call.simulator.db.lock();
    // `0` follows `/` in ASCII: the range holds what begins with the path and a slash.
    db.prepare_cached(
        "UPDATE OR REPLACE file_metadata SET path = ?3 || substr(path, ?4)
         WHERE share = ?1 AND (path = ?2 OR (path > ?2 || '/' AND path < ?2 || '0'))",
    )
    .and_then(|mut update| {
        let rest = i64::try_from(from.chars().count()).unwrap_or(i64::MAX).saturating_add(1);
        update.execute((&share, &from, &to, rest))
    })
    .map_err(sql)?;
    Ok(())
}

/// `PUT /S/P?comp=metadata`, of a file or a folder.
pub fn put(call: &Call) -> Result<Response> {
    let place = call.place()?;
    if std::fs::symlink_metadata(&place.path).is_err() {
        return Err(FileError::no_resource());
    }
    set(call, &place.path)?;
    Ok(StatusCode::OK.into_response())
}
