//! Volumes of a replica: empty folders, shares and secrets.

use serde_json::Value;
use sockerless_executor::{MountSource, TaskMount};

use super::plan::Replica;
use crate::arm::store;
use crate::storage::MountOptions;

/// A secret's value.
pub fn secret<'a>(configuration: &'a Value, name: &str) -> Option<&'a str> {
    let mut secrets = configuration["secrets"].as_array().into_iter().flatten();
    secrets.find(|secret| secret["name"] == name)?["value"].as_str()
}

/// A container's mounts.
///
/// # Errors
/// Why one fails.
pub fn of(replica: &Replica<'_>, container: &Value) -> Result<Vec<TaskMount>, String> {
    let volumes = replica.template["volumes"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let mut mounts = Vec::new();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let text = |field: &str| mount[field].as_str().unwrap_or_default();
        let Some(volume) = volumes.iter().find(|volume| volume["name"] == mount["volumeName"]) else {
            continue;
        };
        let name = text("volumeName");
        let sub_path = text("subPath").trim_matches('/');
        let fails = |why: String| format!("MountVolume.SetUp failed for volume \"{name}\": {why}");
        let (source, read_only) = match volume["storageType"].as_str() {
            Some("AzureFile") => share(replica, volume, sub_path).map_err(fails)?,
            Some("Secret") => (secrets(replica, volume).map_err(fails)?, true),
            _ if !sub_path.is_empty() => {
                return Err(fails("this simulator mounts empty folders from their root".to_owned()));
            }
            _ => (MountSource::Shared(name.to_owned()), false),
        };
        mounts.push(TaskMount { path: text("mountPath").to_owned(), source, read_only });
    }
    Ok(mounts)
}

/// A share, by the environment's storage.
fn share(replica: &Replica<'_>, volume: &Value, sub_path: &str) -> Result<(MountSource, bool), String> {
    let simulator = replica.simulator;
    let name = volume["storageName"].as_str().unwrap_or_default();
    let storage = store::get(&simulator.db, &format!("{}/storages/{name}", replica.environment))
        .map_err(|error| error.message)?
        .ok_or_else(|| format!("the environment has no storage {name:?} any more"))?;
    let file = &storage["properties"]["azureFile"];
    let text = |field: &str| file[field].as_str().unwrap_or_default();
    let (account, share) = (text("accountName"), text("shareName"));
    if !simulator.files.has_key(simulator, account, text("accountKey")).map_err(|error| error.message)? {
        return Err(format!(
            "mount error(13): Permission denied: the key of //{account}.file.core.windows.net/{share} is wrong"
        ));
    }
    if !simulator.files.has_share(simulator, account, share).map_err(|error| error.message)? {
        return Err(format!(
            "mount error(2): No such file or directory: //{account}.file.core.windows.net/{share}"
        ));
    }
    let options = MountOptions::parse(volume["mountOptions"].as_str().unwrap_or_default())?;
    let read_only = file["accessMode"] == "ReadOnly" || options.read_only;
    let source =
        simulator.files.mount(account, share, sub_path, options).map_err(|error| error.to_string())?;
    Ok((source, read_only))
}

/// Files of secrets, in a folder of the replica's own.
fn secrets(replica: &Replica<'_>, volume: &Value) -> Result<MountSource, String> {
    let folder = folder(replica, volume["name"].as_str().unwrap_or_default());
    let failed = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let listed = volume["secrets"].as_array().filter(|list| !list.is_empty());
    let named: Vec<(String, String)> = match listed {
        Some(list) => list
            .iter()
            .map(|entry| {
                let name = entry["secretRef"].as_str().unwrap_or_default();
                (name.to_owned(), entry["path"].as_str().unwrap_or(name).to_owned())
            })
            .collect(),
        None => replica.configuration["secrets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|secret| secret["name"].as_str())
            .map(|name| (name.to_owned(), name.to_owned()))
            .collect(),
    };
    for (name, path) in named {
        let value =
            secret(replica.configuration, &name).ok_or_else(|| format!("there is no secret {name:?}"))?;
        if path.is_empty() || path.contains('/') || path.starts_with("..") {
            return Err(format!("{path:?} is no name of a file"));
        }
        std::fs::write(folder.join(path), value).map_err(failed)?;
    }
    Ok(MountSource::Directory(folder))
}

fn folder(replica: &Replica<'_>, volume: &str) -> std::path::PathBuf {
    replica_folder(replica).join(volume.replace('/', "_"))
}

/// What a replica keeps on disk beside its containers.
pub fn replica_folder(replica: &Replica<'_>) -> std::path::PathBuf {
    replica.simulator.config.state.join("replicas").join(replica.name)
}
