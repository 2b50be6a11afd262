//! The subscription and its groups.

use http::Method;
use serde_json::json;

use super::{Answer, Call, no_route};
use crate::error::{ArmError, Result};

/// `GET` of the subscription and of its groups.
pub fn scope(call: &Call, method: &Method, depth: usize) -> Result<Answer> {
    if call.version().is_empty() {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(ArmError::bad("MissingApiVersionParameter", message));
    }
    let config = &call.simulator.config;
    let group = |name: &str| {
        json!({
            "id": format!("/subscriptions/{}/resourceGroups/{name}", config.subscription),
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": config.location,
            "properties": {"provisioningState": "Succeeded"},
        })
    };
    match (method.as_str(), depth) {
        ("GET", 2) => Ok(Answer::ok(json!({
            "id": format!("/subscriptions/{}", config.subscription),
            "subscriptionId": config.subscription,
            "tenantId": config.tenant,
            "displayName": "Simulated subscription",
            "state": "Enabled",
        }))),
        ("GET", 3) => {
            Ok(Answer::ok(json!({"value": config.groups.iter().map(|name| group(name)).collect::<Vec<_>>()})))
        }
        ("GET", 4) => Ok(Answer::ok(group(&call.group))),
        ("HEAD", 4) => Ok(Answer::empty(http::StatusCode::NO_CONTENT)),
        _ => Err(no_route(&call.path)),
    }
}
