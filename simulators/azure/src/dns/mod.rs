//! Microsoft.Network's private DNS zones, their links to virtual networks and their record sets. Containers do not ask them here.

mod default;
mod links;
mod records;
mod zones;

use http::StatusCode;
use serde_json::{Value, json};

use crate::arm::{Answer, Call};
use crate::error::{ArmError, Result};
use crate::ids;

pub use default::make as make_zone;

/// Whether a path of the provider is of private zones.
pub fn is_dns(path: &[&str]) -> bool {
    path.iter().any(|segment| segment.eq_ignore_ascii_case("privateDnsZones"))
}

/// Answers a method of the provider.
pub async fn call(method: &str, call: Call) -> Result<Answer> {
    match method {
        "private_zones_get" => zones::get(&call),
        "private_zones_create_or_update" => zones::put(&call),
        "private_zones_update" => zones::patch(&call),
        "private_zones_delete" => zones::delete(&call),
        "private_zones_list" | "private_zones_list_by_resource_group" => zones::list(&call),
        "virtual_network_links_get" => links::get(&call),
        "virtual_network_links_create_or_update" => links::put(&call),
        "virtual_network_links_delete" => links::delete(&call),
        "virtual_network_links_list" => links::list(&call),
        "record_sets_get" => records::get(&call),
        "record_sets_create_or_update" => records::put(&call),
        "record_sets_update" => records::patch(&call),
        "record_sets_delete" => records::delete(&call),
        "record_sets_list" => records::list_all(&call),
        "record_sets_list_by_type" => records::list(&call),
        _ => Err(ArmError::internal(format!("the method {method} is in the tables and not served"))),
    }
}

/// `If-Match` and `If-None-Match` of a change.
///
/// # Errors
/// 412.
fn preconditions(call: &Call, old: Option<&Value>) -> Result<()> {
    let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let etag = old.and_then(|old| old["etag"].as_str());
    let fails = match (header("if-match"), header("if-none-match")) {
        (Some(wanted), _) if wanted == "*" => old.is_none(),
        (Some(wanted), _) => etag != Some(wanted.as_str()),
        (None, Some(other)) if other == "*" => old.is_some(),
        _ => false,
    };
    if !fails {
        return Ok(());
    }
    let message = "The condition '*' or etag in the If-Match or If-None-Match header was not satisfied.";
    Err(ArmError::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message))
}

/// What all resources of zones have. `kind` stands behind `Microsoft.Network/`.
fn document(call: &Call, id: &str, kind: &str, name: &str) -> Value {
    let mut doc = call.body.clone();
    doc["id"] = json!(id);
    doc["name"] = json!(name);
    doc["type"] = json!(format!("Microsoft.Network/{kind}"));
    doc["etag"] = json!(ids::uuid());
    if !doc["properties"].is_object() {
        doc["properties"] = json!({});
    }
    doc
}
