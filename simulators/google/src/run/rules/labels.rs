//! Labels and annotations.

use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::limits;

/// Namespaces of labels and annotations that only the system writes.
const RESERVED: &[&str] =
    &["run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"];

/// Checks labels: short, lower case, and none of the system's.
pub fn labels(labels: &Value, at: &str) -> Result<()> {
    let Some(labels) = labels.as_object() else { return Ok(()) };
    let wrong = |key: &str, reason: &str| Err(ApiError::field(at, format!("{at}: Label {key:?}: {reason}")));
    if labels.len() > limits::LABELS {
        return Err(ApiError::field(at, format!("{at}: At most {} labels are allowed.", limits::LABELS)));
    }
    for (key, value) in labels {
        if reserved(key) {
            return wrong(key, "Cloud Run API v2 does not support labels with this namespace.");
        }
        let letters = |text: &str| {
            text.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-'
            })
        };
        let first = key.starts_with(|first: char| first.is_ascii_lowercase());
        if !first || key.chars().count() > limits::LABEL_CHARACTERS || !letters(key) {
            return wrong(key, "Keys begin with a lowercase letter and have at most 63 of [a-z0-9_-].");
        }
        let value = value.as_str().unwrap_or_default();
        if value.chars().count() > limits::LABEL_CHARACTERS || !letters(value) {
            return wrong(key, "Values have at most 63 of [a-z0-9_-].");
        }
    }
    Ok(())
}

/// Checks annotations: none of the system's.
pub fn annotations(annotations: &Value, at: &str) -> Result<()> {
    match annotations.as_object().and_then(|annotations| annotations.keys().find(|key| reserved(key))) {
        Some(key) => {
            let reason = format!(
                "{at}: Annotation {key:?}: Cloud Run API v2 does not support annotations with this namespace."
            );
            Err(ApiError::field(at, reason))
        }
        None => Ok(()),
    }
}

fn reserved(key: &str) -> bool {
    let namespace = key.split('/').next().unwrap_or_default();
    RESERVED.iter().any(|reserved| namespace == *reserved || namespace.ends_with(&format!(".{reserved}")))
}
