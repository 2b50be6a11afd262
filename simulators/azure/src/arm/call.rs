//! A call, as a resource provider gets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use crate::error::ArmError;
use crate::server::Simulator;

/// A call of a resource provider.
pub struct Call {
    /// The simulator.
    pub simulator: Arc<Simulator>,
    /// Scheme and authority that were asked.
    pub base: String,
    /// The subscription.
    pub subscription: String,
    /// The resource group as it is spelled; empty for a subscription's call.
    pub group: String,
    /// `Microsoft.App`
    pub namespace: String,
    /// The path as it was asked.
    pub path: String,
    /// Names of the resources in the path, behind subscription and group.
    pub names: Vec<String>,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
    /// The query string as it was asked.
    pub raw_query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, checked.
    pub body: Value,
    /// The operation that it begins is to fail so.
    pub doom: Option<ArmError>,
}

impl Call {
    /// The `api-version`.
    pub fn version(&self) -> &str {
        self.query.get("api-version").map_or("", String::as_str)
    }

    /// The scope of listings: the group, or the whole subscription.
    pub fn scope(&self) -> String {
        if self.group.is_empty() { format!("/subscriptions/{}", self.subscription) } else { self.group_id() }
    }

    /// The group's id.
    pub fn group_id(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.group)
    }

    /// A resource's id in the group: `id(&["jobs", "a"])`.
    pub fn id(&self, parts: &[&str]) -> String {
        format!("{}/providers/{}/{}", self.group_id(), self.namespace, parts.join("/"))
    }

    /// The id of the resource that is made or deleted; none of an action on one.
    pub fn resource(&self) -> Option<String> {
        let place = self.path.find("/providers/")?;
        // Provider, then types and names in pairs.
        let below = self.path[place..].trim_end_matches('/').split('/').skip(3).count();
        (below > 0 && below.is_multiple_of(2)).then(|| self.path.trim_end_matches('/').to_owned())
    }

    /// A name of the path.
    pub fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// 404 in Resource Manager's words. `kind` is `jobs`, `name` its path of names.
    pub fn missing(&self, kind: &str, name: &str) -> ArmError {
        ArmError::not_found(
            "ResourceNotFound",
            format!(
                "The Resource '{}/{kind}/{name}' under resource group '{}' was not found. For more details please go to \
                 https://aka.ms/ARMResourceNotFoundFix",
                self.namespace, self.group
            ),
        )
    }
}
