//! The `buckets` collection.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::{Result, StorageError};
use super::index::{self, Bucket};
use super::resources;
use crate::error::{ApiError, Code};
use crate::schema::Query;
use crate::server::Simulator;
use crate::{limits, time};

/// Fields that the server alone sets.
const SERVER: &[&str] = &[
    "kind",
    "id",
    "name",
    "selfLink",
    "projectNumber",
    "metageneration",
    "etag",
    "timeCreated",
    "updated",
    "generation",
];

/// A bucket that has to be there.
pub fn find(simulator: &Simulator, name: &str) -> Result<Bucket> {
    index::bucket(&simulator.db.lock(), name)?.ok_or_else(StorageError::no_bucket)
}

/// `buckets.insert`
pub fn insert(simulator: &Simulator, query: &Query, body: &Value) -> Result<Response> {
    let project = query.text("project").unwrap_or_default();
    simulator.project(project, "storage.googleapis.com")?;
    let name = body["name"].as_str().unwrap_or_default();
    if !good_name(name) {
        return Err(StorageError::invalid(format!("Invalid bucket name: '{name}'")));
    }
    let now = time::millis(time::now());
    let mut doc = settable(body);
    doc.insert("timeCreated".into(), json!(now));
    doc.insert("updated".into(), json!(now));
    for (field, value) in [
        ("storageClass", json!("STANDARD")),
        ("location", json!("US")),
        ("locationType", json!("multi-region")),
        (
            "iamConfiguration",
            json!({"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "inherited"}),
        ),
    ] {
        doc.entry(field).or_insert(value);
    }
    if let Some(location) = doc.get("location").and_then(Value::as_str).map(str::to_uppercase) {
        let region = if location.contains('-') { "region" } else { "multi-region" };
        doc.insert("locationType".into(), json!(region));
        doc.insert("location".into(), json!(location));
    }
    let bucket = Bucket { name: name.to_owned(), project: project.to_owned(), metageneration: 1, doc };
    let db = simulator.db.lock();
    if let Some(other) = index::bucket(&db, name)? {
        let message = if other.project == project {
            "Your previous request to create the named bucket succeeded and you already own it."
        } else {
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
             Please select a different name and try again."
        };
        return Err(StorageError::new(StatusCode::CONFLICT, "conflict", message));
    }
    index::put_bucket(&db, &bucket)?;
    Ok(Json(resources::bucket(&bucket, &simulator.info.google)).into_response())
}

/// `buckets.get`
pub fn get(simulator: &Simulator, name: &str, query: &Query) -> Result<Response> {
    let bucket = find(simulator, name)?;
    preconditions(query, &bucket)?;
    Ok(Json(resources::bucket(&bucket, &simulator.info.google)).into_response())
}

/// `buckets.list`
pub fn list(simulator: &Simulator, query: &Query) -> Result<Response> {
    let project = query.text("project").unwrap_or_default();
    simulator.project(project, "storage.googleapis.com")?;
    let after = page_token(query)?;
    let size = page_size(query)?;
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let prefix = query.text("prefix").unwrap_or_default();
    let found = index::buckets(&simulator.db.lock(), project, prefix, &after, limit)?;
    let mut page = json!({"kind": "storage#buckets"});
    if found.len() > size {
        page["nextPageToken"] = json!(STANDARD.encode(&found[size - 1].name));
    }
    let items: Vec<Value> =
        found.iter().take(size).map(|bucket| resources::bucket(bucket, &simulator.info.google)).collect();
    if !items.is_empty() {
        page["items"] = json!(items);
    }
    Ok(Json(page).into_response())
}

/// `buckets.patch` and `buckets.update`: the latter forgets what the body does not name.
pub fn change(
    simulator: &Simulator,
    name: &str,
    query: &Query,
    raw: &Value,
    whole: bool,
) -> Result<Response> {
    let db = simulator.db.lock();
    let mut bucket = index::bucket(&db, name)?.ok_or_else(StorageError::no_bucket)?;
    preconditions(query, &bucket)?;
    let fixed = ["timeCreated", "location", "locationType"];
    if whole {
        bucket.doc.retain(|field, _| fixed.contains(&field.as_str()));
    }
    let mut changes = settable(raw);
    changes.retain(|field, _| !fixed.contains(&field.as_str()));
    resources::merge(&mut bucket.doc, &Value::Object(changes));
    bucket.doc.entry("storageClass").or_insert(json!("STANDARD"));
    bucket.doc.insert("updated".into(), json!(time::millis(time::now())));
    bucket.metageneration += 1;
    index::put_bucket(&db, &bucket)?;
    Ok(Json(resources::bucket(&bucket, &simulator.info.google)).into_response())
}

/// `buckets.delete`
pub fn delete(simulator: &Simulator, name: &str, query: &Query) -> Result<Response> {
    let db = simulator.db.lock();
    let bucket = index::bucket(&db, name)?.ok_or_else(StorageError::no_bucket)?;
    preconditions(query, &bucket)?;
    if !index::objects(&db, name, "", false, 1)?.is_empty() {
        return Err(StorageError::new(
            StatusCode::CONFLICT,
            "conflict",
            "The bucket you tried to delete is not empty.",
        ));
    }
    index::remove_bucket(&db, name)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn preconditions(query: &Query, bucket: &Bucket) -> Result<()> {
    let matches = query.number("ifMetagenerationMatch").is_none_or(|wanted| wanted == bucket.metageneration);
    let differs = query.number("ifMetagenerationNotMatch").is_none_or(|other| other != bucket.metageneration);
    if matches && differs { Ok(()) } else { Err(StorageError::precondition()) }
}

fn settable(body: &Value) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(field, _)| !SERVER.contains(&field.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Bucket names: 3 to 63 (222 with dots) of lower case letters, digits, `-`, `_`, `.`, beginning and ending with a letter or digit.
fn good_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let most = if name.contains('.') { 222 } else { 63 };
    (3..=most).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
        && !name.contains("..")
        && !name.starts_with("goog")
}

/// The name that a page begins behind.
pub fn page_token(query: &Query) -> Result<String> {
    let Some(token) = query.text("pageToken") else { return Ok(String::new()) };
    let name = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| StorageError::from(ApiError::new(Code::InvalidArgument, "Invalid pageToken")))
}

/// How many items a page has.
pub fn page_size(query: &Query) -> Result<usize> {
    match query.number("maxResults") {
        None => Ok(limits::OBJECT_PAGE),
        Some(size) => match usize::try_from(size) {
            Ok(size) if size > 0 => Ok(size.min(limits::OBJECT_PAGE)),
            _ => Err(StorageError::invalid("Invalid value for maxResults: it has to be positive.")),
        },
    }
}
