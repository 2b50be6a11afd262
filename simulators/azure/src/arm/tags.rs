//! Tags, and other rules that hold for resources of all kinds.

use serde_json::{Value, json};

use super::Call;
use crate::error::{ArmError, Result};
use crate::{limits, time};

/// Checks the tags of a body.
///
/// # Errors
/// 400 for too many, or too long ones.
pub fn check(body: &Value) -> Result<()> {
    let Some(tags) = body["tags"].as_object() else { return Ok(()) };
    if tags.len() > limits::TAGS {
        let message = format!("The number of tags on the resource must be at most {}.", limits::TAGS);
        return Err(ArmError::bad("TooManyTags", message));
    }
    for (name, value) in tags {
        let value = value.as_str().unwrap_or_default();
        if name.is_empty() || name.chars().count() > limits::TAG_NAME {
            let message = format!(
                "The tag name '{name}' exceeds the maximum length of {} or is empty.",
                limits::TAG_NAME
            );
            return Err(ArmError::bad("InvalidTagNameLength", message));
        }
        if let Some(wrong) = name.chars().find(|letter| "<>%&\\?/".contains(*letter)) {
            let message = format!("The tag name '{name}' has the invalid character '{wrong}'.");
            return Err(ArmError::bad("InvalidTagNameCharacters", message));
        }
        if value.chars().count() > limits::TAG_VALUE {
            let message =
                format!("The value of the tag '{name}' exceeds the maximum length of {}.", limits::TAG_VALUE);
            return Err(ArmError::bad("InvalidTagValueLength", message));
        }
    }
    Ok(())
}

/// Checks the region of a body; it may be written as it is shown ("West Europe").
///
/// # Errors
/// 400.
pub fn location(call: &Call) -> Result<()> {
    let given: String = call.body["location"].as_str().unwrap_or_default().split_whitespace().collect();
    let known = &call.simulator.config.location;
    if given.eq_ignore_ascii_case(known) {
        return Ok(());
    }
    Err(ArmError::bad(
        "LocationNotAvailableForResourceType",
        format!(
            "The provided location '{given}' is not available for resource type of namespace '{}'. List of available regions for \
             the resource type is '{known}'.",
            call.namespace
        ),
    ))
}

/// `systemData` of a resource: who made it, and who changed it last.
pub fn system_data(old: Option<&Value>) -> Value {
    let now = time::text(time::now());
    let made = |field: &str, new: &str| {
        old.and_then(|old| old["systemData"][field].as_str()).unwrap_or(new).to_owned()
    };
    json!({
        "createdBy": made("createdBy", "owner"),
        "createdByType": made("createdByType", "Application"),
        "createdAt": made("createdAt", &now),
        "lastModifiedBy": "owner",
        "lastModifiedByType": "Application",
        "lastModifiedAt": now,
    })
}
