//! Volumes and where they are mounted.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::invalid;
use crate::app::storages;
use crate::arm::store;
use crate::error::{ArmError, Result};
use crate::server::Simulator;

/// Volumes and their mounts.
///
/// # Errors
/// 400.
pub fn volumes(simulator: &Simulator, template: &mut Value, environment: &Value) -> Result<()> {
    let mut known = HashSet::new();
    for volume in template["volumes"].as_array_mut().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default().to_owned();
        if name.is_empty() || !known.insert(name.clone()) {
            return Err(invalid(format!("The volume name '{name}' is empty or used twice.")));
        }
        if volume["storageType"].is_null() {
            volume["storageType"] = json!("EmptyDir");
        }
        match volume["storageType"].as_str() {
            Some("AzureFile") => {
                let storage = volume["storageName"].as_str().unwrap_or_default();
                let id = format!("{}/storages/{storage}", environment.as_str().unwrap_or_default());
                let found = store::get(&simulator.db, &id)?;
                if found.is_none_or(|found| {
                    found["type"].as_str().is_none_or(|kind| !kind.eq_ignore_ascii_case(storages::KIND))
                }) {
                    let message = format!(
                        "The storage '{storage}' of the volume '{name}' was not found in the environment.",
                    );
                    return Err(ArmError::bad("ManagedEnvironmentStorageNotFound", message));
                }
            }
            Some("NfsAzureFile") => {
                return Err(invalid(format!("The volume '{name}': NFS shares are not simulated.")));
            }
            _ => {}
        }
    }
    for list in ["initContainers", "containers"] {
        for container in template[list].as_array().into_iter().flatten() {
            let mut paths = HashSet::new();
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let text = |field: &str| mount[field].as_str().unwrap_or_default();
                if !known.contains(text("volumeName")) {
                    let message =
                        format!("The volume '{}' that is mounted is not defined.", text("volumeName"));
                    return Err(ArmError::bad("ContainerAppVolumeNotFound", message));
                }
                let path = text("mountPath");
                if !path.starts_with('/')
                    || path == "/"
                    || path.contains(':')
                    || !paths.insert(path.trim_end_matches('/'))
                {
                    return Err(invalid(format!("The mount path '{path}' is not absolute, or used twice.")));
                }
                let sub = text("subPath");
                if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
                    return Err(invalid(format!("The sub path '{sub}' leads out of the volume.")));
                }
            }
        }
    }
    Ok(())
}
