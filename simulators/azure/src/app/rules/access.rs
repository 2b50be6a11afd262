//! Secrets, registries and identities.

use std::collections::HashSet;

use serde_json::Value;

use crate::error::{ArmError, Result};
use crate::server::Simulator;

/// Secrets and registries.
///
/// # Errors
/// 400.
pub fn configuration(configuration: &Value) -> Result<()> {
    let secrets = &configuration["secrets"];
    let mut known = HashSet::new();
    for secret in secrets.as_array().into_iter().flatten() {
        let name = secret["name"].as_str().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let good = !name.is_empty()
            && name.bytes().all(plain)
            && !name.starts_with(['-', '.'])
            && !name.ends_with(['-', '.']);
        let valued = secret["value"].as_str().is_some_and(|value| !value.is_empty());
        if !good || !valued || !known.insert(name) {
            return Err(ArmError::bad(
                "ContainerAppSecretInvalid",
                format!(
                    "Invalid Request: Container app secret(s) with name(s) '{name}' are invalid: name can contain only lower case \
                     letters, digits, '-' and '.', once, and value should be provided (this simulator has no Key Vault)."
                ),
            ));
        }
    }
    for registry in configuration["registries"].as_array().into_iter().flatten() {
        let text = |field: &str| registry[field].as_str().unwrap_or_default();
        let by_secret = !text("username").is_empty() && known.contains(text("passwordSecretRef"));
        if text("server").is_empty() || (!by_secret && text("identity").is_empty()) {
            return Err(ArmError::bad(
                "ContainerAppRegistryInvalid",
                format!(
                    "The registry '{}' needs a server, and either an identity or a username with a passwordSecretRef that names a \
                     secret.",
                    text("server")
                ),
            ));
        }
    }
    Ok(())
}

/// Identities of a resource exist, and those of its registries and settings are among them.
///
/// # Errors
/// 400.
pub fn identities(simulator: &Simulator, identity: &Value, configuration: &Value) -> Result<()> {
    let own: Vec<&str> = identity["userAssignedIdentities"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, _)| id.as_str())
        .collect();
    let known = &simulator.info.identity;
    if let Some(other) = own.iter().find(|id| !id.eq_ignore_ascii_case(known)) {
        let message = format!("The identity '{other}' was not found.");
        return Err(ArmError::bad("FailedIdentityOperation", message));
    }
    let kind = identity["type"].as_str().unwrap_or("None");
    for setting in configuration["identitySettings"].as_array().into_iter().flatten() {
        let id = setting["identity"].as_str().unwrap_or_default();
        let assigned = match id {
            "system" => kind.contains("SystemAssigned"),
            id => kind.contains("UserAssigned") && own.iter().any(|own| own.eq_ignore_ascii_case(id)),
        };
        if !assigned {
            let message = format!("The identity '{id}' of identitySettings is not assigned to the resource.");
            return Err(ArmError::bad("ContainerAppIdentityNotAssigned", message));
        }
    }
    for registry in configuration["registries"].as_array().into_iter().flatten() {
        let good = match registry["identity"].as_str().unwrap_or_default() {
            "" | "system-environment" => true,
            "system" => kind.contains("SystemAssigned"),
            id => kind.contains("UserAssigned") && own.iter().any(|own| own.eq_ignore_ascii_case(id)),
        };
        if !good {
            let message = format!(
                "The identity '{}' of the registry '{}' is not assigned to the resource.",
                registry["identity"].as_str().unwrap_or_default(),
                registry["server"].as_str().unwrap_or_default()
            );
            return Err(ArmError::bad("ContainerAppRegistryIdentityNotAssigned", message));
        }
    }
    Ok(())
}
