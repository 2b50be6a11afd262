//! Volumes.

use serde_json::Value;

use super::{dns_label, unimplemented};
use crate::error::{ApiError, Result};
use crate::run::quantity;

/// Checks a volume. `at` is its place.
pub fn volume(volume: &Value, at: &str) -> Result<()> {
    let wrong = |field: &str, reason: &str| {
        Err(ApiError::field(&format!("{at}.{field}"), format!("{at}.{field}: {reason}")))
    };
    if volume["name"].as_str().is_none_or(|name| !dns_label(name)) {
        return wrong("name", "Must be a DNS label.");
    }
    for (source, what) in [
        ("secret", "secret volumes"),
        ("cloudSqlInstance", "Cloud SQL volumes"),
        ("nfs", "NFS volumes"),
        ("filestore", "Filestore volumes"),
    ] {
        if !volume[source].is_null() {
            return Err(unimplemented(&format!("{at}.{source}"), what));
        }
    }
    match (&volume["gcs"], &volume["emptyDir"]) {
        (Value::Object(gcs), Value::Null) => {
            if gcs.get("bucket").and_then(Value::as_str).is_none_or(str::is_empty) {
                return wrong("gcs.bucket", "This field is required.");
            }
            Ok(())
        }
        (Value::Null, Value::Object(empty)) => match empty.get("sizeLimit").and_then(Value::as_str) {
            Some(size) if quantity::bytes(size).is_none_or(|bytes| bytes == 0) => {
                wrong("empty_dir.size_limit", "Invalid quantity.")
            }
            _ => Ok(()),
        },
        _ => wrong("name", "Exactly one volume source is required."),
    }
}
