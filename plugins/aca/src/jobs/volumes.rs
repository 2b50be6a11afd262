//! Volumes of a job and where they are mounted.

use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Result,
    jobs::{MountPoint, Spec, Volume, VolumeSource},
};

use super::secrets::Secrets;
use crate::storage::Mount;

/// The `volumes` of the template.
///
/// # Errors
/// `unsupported` for what Container Apps cannot mount; `internal` for a mount that this plugin did not prepare.
pub fn volumes(spec: &Spec, secrets: &mut Secrets<'_>) -> Result<Vec<Value>> {
    let mut all = Vec::with_capacity(spec.volumes.len());
    for volume in &spec.volumes {
        let prepared = prepared(volume)?;
        match (&volume.source, prepared) {
            // One storage of the environment is either writable or not: a volume that is mounted both ways is two.
            (VolumeSource::Storage(_), Some(mount)) => {
                let points = || points(spec, &volume.name);
                if points().any(|point| !point.read_only) || points().next().is_none() {
                    all.push(files(&volume.name, &mount, mount.storage(false)));
                }
                if points().any(|point| point.read_only) {
                    all.push(files(&read_only_name(spec, &volume.name), &mount, mount.storage(true)));
                }
            }
            (VolumeSource::Scratch(_), _) => {
                all.push(json!({"name": volume.name, "storageType": "EmptyDir"}));
            }
            (VolumeSource::Secret(url), _) => {
                let reference = secrets.reference(url)?;
                all.push(json!({
                    "name": volume.name,
                    "storageType": "Secret",
                    "secrets": [{"secretRef": reference, "path": url.rsplit('/').next().unwrap_or(url)}],
                }));
            }
            (VolumeSource::Memory(_) | VolumeSource::Storage(_), _) => {
                return Err(Error::new(
                    ErrorCode::Unsupported,
                    format!("volume {}: Container Apps has no volumes in memory", volume.name),
                ));
            }
        }
    }
    Ok(all)
}

fn files(name: &str, mount: &Mount, storage: &str) -> Value {
    let mut value = json!({"name": name, "storageType": "AzureFile", "storageName": storage});
    if !mount.options.is_empty() {
        value["mountOptions"] = json!(mount.options);
    }
    value
}

/// What `storage.mount` prepared, if the volume comes from there.
fn prepared(volume: &Volume) -> Result<Option<Mount>> {
    let VolumeSource::Storage(prepared) = &volume.source else { return Ok(None) };
    serde_json::from_str(&prepared.state).map(Some).map_err(|error| {
        Error::internal(format!("volume {}: this plugin did not prepare that mount ({error})", volume.name))
    })
}

/// The points at which a volume is mounted.
fn points<'a>(spec: &'a Spec, volume: &'a str) -> impl Iterator<Item = &'a MountPoint> {
    let containers = spec.init.iter().chain(&spec.containers);
    containers.flat_map(|container| &container.mounts).filter(move |point| point.volume == volume)
}

/// The name of a volume's read-only side: its own, unless that is the writable one.
fn read_only_name(spec: &Spec, volume: &str) -> String {
    if points(spec, volume).all(|point| point.read_only) {
        return volume.to_owned();
    }
    let taken = |name: &String| spec.volumes.iter().any(|volume| volume.name == *name);
    let short: String = volume.chars().take(55).collect();
    let mut names =
        std::iter::once(format!("{short}-ro")).chain((2..).map(|number| format!("{short}-ro{number}")));
    // One of endlessly many is free.
    names.find(|name| !taken(name)).unwrap_or(short)
}

/// One of a container's `volumeMounts`.
///
/// # Errors
/// `invalid-argument` for a path that Container Apps does not take; `unsupported` for what cannot be read-only.
pub fn mount(spec: &Spec, point: &MountPoint) -> Result<Value> {
    if !point.path.starts_with('/') || point.path.contains([':', ',']) {
        return Err(Error::invalid(format!(
            "cannot mount at {:?}: Container Apps wants an absolute path without colons and commas",
            point.path
        )));
    }
    let volume = spec.volumes.iter().find(|volume| volume.name == point.volume);
    let mount = volume.map(prepared).transpose()?.flatten();
    let read_only = match (&mount, volume.map(|volume| &volume.source)) {
        (Some(_), _) => point.read_only,
        (None, Some(VolumeSource::Secret(_))) => false,
        (None, _) if point.read_only => {
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!(
                    "volume {}: on Container Apps scratch space cannot be mounted read-only",
                    point.volume
                ),
            ));
        }
        (None, _) => false,
    };
    let name = if read_only { read_only_name(spec, &point.volume) } else { point.volume.clone() };
    let inside = mount.map(|mount| mount.folder).unwrap_or_default();
    let below = point.sub_path.as_deref().unwrap_or_default();
    let path =
        [inside.as_str(), below].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let mut value = json!({"volumeName": name, "mountPath": point.path});
    if !path.is_empty() {
        value["subPath"] = json!(path);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::storage::PreparedMount;

    use super::*;
    use crate::testing::{config, spec};

    fn mount_of(folder: &str, options: &str) -> VolumeSource {
        let mount = Mount {
            read_write: "st-rw".into(),
            read_only: "st-ro".into(),
            folder: folder.into(),
            options: options.into(),
        };
        VolumeSource::Storage(PreparedMount { state: serde_json::to_string(&mount).unwrap() })
    }

    fn point(path: &str, read_only: bool, sub_path: Option<&str>) -> MountPoint {
        MountPoint { volume: "v".into(), path: path.into(), sub_path: sub_path.map(Into::into), read_only }
    }

    fn with(source: VolumeSource, points: Vec<MountPoint>) -> Spec {
        let mut spec = spec();
        spec.volumes = vec![Volume { name: "v".into(), source }];
        spec.containers[0].mounts = points;
        spec
    }

    fn all(spec: &Spec) -> Result<Vec<Value>> {
        let config = config();
        volumes(spec, &mut Secrets::new(&config))
    }

    #[test]
    fn a_folder_of_a_share_is_a_volume_with_a_sub_path() {
        let spec = with(mount_of("agent/12", "file_mode=0755"), vec![point("/a", true, Some("b"))]);
        assert_eq!(
            all(&spec).unwrap(),
            [
                json!({"name": "v", "storageType": "AzureFile", "storageName": "st-ro", "mountOptions": "file_mode=0755"})
            ]
        );
        let mounted = mount(&spec, &spec.containers[0].mounts[0]).unwrap();
        assert_eq!(mounted, json!({"volumeName": "v", "mountPath": "/a", "subPath": "agent/12/b"}));
    }

    #[test]
    fn a_share_that_is_read_only_here_and_writable_there_is_two_volumes() {
        let spec = with(mount_of("", ""), vec![point("/r", true, None), point("/w", false, None)]);
        let look: Vec<_> = all(&spec)
            .unwrap()
            .iter()
            .map(|volume| (volume["name"].clone(), volume["storageName"].clone()))
            .collect();
        assert_eq!(look, [(json!("v"), json!("st-rw")), (json!("v-ro"), json!("st-ro"))]);
        let names =
            |index: usize| mount(&spec, &spec.containers[0].mounts[index]).unwrap()["volumeName"].clone();
        assert_eq!((names(0), names(1)), (json!("v-ro"), json!("v")));
    }

    #[test]
    fn scratch_is_local_disk_and_memory_is_refused() {
        let spec = with(VolumeSource::Scratch(None), vec![point("/s", false, None)]);
        assert_eq!(all(&spec).unwrap(), [json!({"name": "v", "storageType": "EmptyDir"})]);
        let memory = with(VolumeSource::Memory(None), vec![]);
        assert_eq!(all(&memory).unwrap_err().code, ErrorCode::Unsupported);
        let fixed = with(VolumeSource::Scratch(None), vec![point("/s", true, None)]);
        assert_eq!(mount(&fixed, &fixed.containers[0].mounts[0]).unwrap_err().code, ErrorCode::Unsupported);
    }

    #[test]
    fn a_mount_of_somebody_else_and_an_odd_path_are_refused() {
        let foreign = VolumeSource::Storage(PreparedMount { state: "share=x".into() });
        assert_eq!(all(&with(foreign, vec![])).unwrap_err().code, ErrorCode::Internal);
        assert_eq!(mount(&spec(), &point("/a:b", false, None)).unwrap_err().code, ErrorCode::InvalidArgument);
    }
}
