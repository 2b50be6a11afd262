//! Buckets and objects as the API shows them, and what a caller may set.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::error::{Result, StorageError};
use super::index::{Bucket, Object};
use crate::auth;
use crate::schema::Query;

/// Fields of an object that a caller may set.
const SETTABLE: &[&str] = &[
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "eventBasedHold",
    "metadata",
    "storageClass",
    "temporaryHold",
];

/// What an object's caller sets, out of a checked body.
pub fn settable(body: &Value) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(field, _)| SETTABLE.contains(&field.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Merges a patch: `null` removes. `raw` is the body before it lost its nulls.
pub fn merge(doc: &mut Map<String, Value>, raw: &Value) {
    for (field, value) in raw.as_object().into_iter().flatten() {
        match value {
            Value::Null => {
                doc.remove(field);
            }
            Value::Object(_) => {
                let entry = doc.entry(field.clone()).or_insert_with(|| json!({}));
                if !entry.is_object() {
                    *entry = json!({});
                }
                if let Some(inner) = entry.as_object_mut() {
                    merge(inner, value);
                }
            }
            _ => {
                doc.insert(field.clone(), value.clone());
            }
        }
    }
}

/// The bucket's resource.
pub fn bucket(bucket: &Bucket, base: &str) -> Value {
    let mut resource = Value::Object(bucket.doc.clone());
    resource["kind"] = json!("storage#bucket");
    resource["id"] = json!(bucket.name);
    resource["name"] = json!(bucket.name);
    resource["selfLink"] = json!(format!("{base}/storage/v1/b/{}", bucket.name));
    resource["projectNumber"] = json!(auth::project_number(&bucket.project).to_string());
    resource["metageneration"] = json!(bucket.metageneration.to_string());
    resource["etag"] = json!(etag(bucket.metageneration, 0));
    resource
}

/// The object's resource.
pub fn object(object: &Object, base: &str) -> Value {
    let mut resource = Value::Object(object.doc.clone());
    let name: String =
        url::form_urlencoded::byte_serialize(object.name.as_bytes()).collect::<String>().replace('+', "%20");
    let path = format!("b/{}/o/{name}", object.bucket);
    resource["kind"] = json!("storage#object");
    resource["id"] = json!(format!("{}/{}/{}", object.bucket, object.name, object.generation));
    resource["selfLink"] = json!(format!("{base}/storage/v1/{path}"));
    resource["mediaLink"] =
        json!(format!("{base}/download/storage/v1/{path}?generation={}&alt=media", object.generation));
    resource["name"] = json!(object.name);
    resource["bucket"] = json!(object.bucket);
    resource["generation"] = json!(object.generation.to_string());
    resource["metageneration"] = json!(object.metageneration.to_string());
    resource["size"] = json!(object.size.to_string());
    resource["crc32c"] = json!(object.crc32c);
    if let Some(md5) = &object.md5 {
        resource["md5Hash"] = json!(md5);
    }
    resource["etag"] = json!(etag(object.generation, object.metageneration));
    resource["timeCreated"] = json!(object.created);
    resource["timeStorageClassUpdated"] = json!(object.created);
    resource["timeFinalized"] = json!(object.created);
    resource["updated"] = json!(object.updated);
    if resource["storageClass"].is_null() {
        resource["storageClass"] = json!("STANDARD");
    }
    resource
}

/// The fingerprint of a generation and metageneration.
pub fn etag(generation: i64, metageneration: i64) -> String {
    let mut bytes = generation.to_be_bytes().to_vec();
    bytes.extend(metageneration.to_be_bytes());
    STANDARD.encode(bytes)
}

/// Checks `ifGenerationMatch` and its kin against the live version. `prefix` is `if` or `ifSource`.
///
/// # Errors
/// 412 when one does not hold.
pub fn preconditions(query: &Query, prefix: &str, object: Option<&Object>) -> Result<()> {
    let generation = object.map_or(0, |object| object.generation);
    let metageneration = object.map_or(0, |object| object.metageneration);
    for (field, actual) in [("Generation", generation), ("Metageneration", metageneration)] {
        let matches = query.number(&format!("{prefix}{field}Match")).is_none_or(|wanted| wanted == actual);
        let differs = query.number(&format!("{prefix}{field}NotMatch")).is_none_or(|other| other != actual);
        if !matches || !differs {
            return Err(StorageError::precondition());
        }
    }
    Ok(())
}

/// Checks an object's name.
///
/// # Errors
/// 400 for what the cloud does not take.
pub fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(StorageError::new(http::StatusCode::BAD_REQUEST, "required", "Required object name"));
    }
    if name.len() > 1_024 || name.contains(['\r', '\n']) || name == "." || name == ".." {
        return Err(StorageError::invalid(format!(
            "Disallowed unicode characters present in object name '{name}'"
        )));
    }
    Ok(())
}
