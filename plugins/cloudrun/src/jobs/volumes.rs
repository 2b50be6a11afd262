//! Volumes of a task and where they are mounted.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Result,
    jobs::{MountPoint, Spec, Volume, VolumeSource},
};

use crate::limits;

/// What `storage.mount` prepares and a job's spec carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The bucket.
    #[serde(rename = "b")]
    pub bucket: String,
    /// The folder in it, without slashes at its ends; empty for all of it.
    #[serde(rename = "d")]
    pub only_dir: String,
    /// Files can be executed.
    #[serde(rename = "x")]
    pub executable: bool,
    /// Writes are refused.
    #[serde(rename = "r")]
    pub read_only: bool,
    /// More flags of gcsfuse, those of a volume.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

impl Bucket {
    /// Flags of gcsfuse without their hyphens; the style with a colon was seen rejected.
    fn options(&self) -> Vec<String> {
        // Objects have no folders of their own: without this gcsfuse shows none.
        let mut options = vec!["implicit-dirs".to_owned()];
        if !self.only_dir.is_empty() {
            options.insert(0, format!("only-dir={}", self.only_dir));
        }
        options.extend(self.flags.iter().cloned());
        if self.flags.is_empty() && self.executable {
            options.push("file-mode=755".to_owned());
            options.push("dir-mode=755".to_owned());
        }
        // Blobs are written once, before anybody mounts them: what is known of them stays true.
        if self.flags.is_empty() && self.read_only {
            options.push("metadata-cache-ttl-secs=-1".to_owned());
        }
        options
    }
}

/// The `volumes` of the task.
///
/// # Errors
/// `unsupported` for what Cloud Run cannot mount so; `internal` for a mount that this plugin
/// did not prepare.
pub fn volumes(spec: &Spec) -> Result<Vec<Value>> {
    spec.volumes.iter().map(|volume| one(spec, volume)).collect()
}

fn one(spec: &Spec, volume: &Volume) -> Result<Value> {
    let name = &volume.name;
    let points = || spec.containers.iter().flat_map(|c| &c.mounts).filter(|point| point.volume == *name);
    let read_only = points().filter(|point| point.read_only).count();
    // A mount has no flag of its own for it, only a volume has, and only one in a bucket.
    let mixed = read_only > 0 && read_only < points().count();
    let emptied = matches!(volume.source, VolumeSource::Memory(_) | VolumeSource::Scratch(_));
    if mixed || (emptied && read_only > 0) {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("volume {name}: Cloud Run makes a volume read-only as a whole, and only one in a bucket"),
        ));
    }
    Ok(match &volume.source {
        VolumeSource::Storage(mount) => {
            let bucket: Bucket = serde_json::from_str(&mount.state).map_err(|error| {
                Error::internal(format!("volume {name}: this plugin did not prepare that mount ({error})"))
            })?;
            let options = bucket.options();
            let read_only = bucket.read_only || read_only > 0;
            json!({"name": name, "gcs": {"bucket": bucket.bucket, "readOnly": read_only, "mountOptions": options}})
        }
        VolumeSource::Memory(bytes) => json!({"name": name, "emptyDir": empty_dir("MEMORY", *bytes)}),
        VolumeSource::Scratch(bytes) => json!({"name": name, "emptyDir": empty_dir("DISK", *bytes)}),
        VolumeSource::Secret(secret) => {
            let (secret, version) = secret_version(secret);
            let file = secret.rsplit('/').next().unwrap_or(secret);
            json!({"name": name, "secret": {"secret": secret, "items": [{"path": file, "version": version}]}})
        }
    })
}

/// Takes `…/versions/V` apart; the newest version without it.
pub fn secret_version(name: &str) -> (&str, &str) {
    name.split_once("/versions/").unwrap_or((name, "latest"))
}

fn empty_dir(medium: &str, bytes: Option<u64>) -> Value {
    match bytes {
        Some(bytes) => {
            json!({"medium": medium, "sizeLimit": format!("{}Mi", bytes.div_ceil(limits::MIB).max(1))})
        }
        None => json!({"medium": medium}),
    }
}

/// One of a container's `volumeMounts`.
///
/// # Errors
/// `invalid-argument` for a path that Cloud Run does not take.
pub fn mount(point: &MountPoint) -> Result<Value> {
    if !point.path.starts_with('/') || point.path.contains(':') {
        return Err(Error::invalid(format!(
            "cannot mount at {:?}: Cloud Run wants an absolute path without a colon",
            point.path
        )));
    }
    let mut mount = json!({"name": point.volume, "mountPath": point.path});
    if let Some(sub_path) = &point.sub_path {
        mount["subPath"] = json!(sub_path);
    }
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::storage::PreparedMount;

    use super::*;
    use crate::testing::spec;

    fn with(source: VolumeSource, read_only: &[bool]) -> Result<Value> {
        let mut spec = spec();
        spec.volumes = vec![Volume { name: "v".into(), source }];
        spec.containers[0].mounts = read_only
            .iter()
            .map(|&read_only| MountPoint { volume: "v".into(), path: "/v".into(), sub_path: None, read_only })
            .collect();
        volumes(&spec).map(|mut all| all.remove(0))
    }

    fn bucket(read_only: bool) -> VolumeSource {
        let bucket = Bucket {
            bucket: "b".into(),
            only_dir: "agent/12".into(),
            executable: true,
            read_only,
            flags: vec![],
        };
        VolumeSource::Storage(PreparedMount { state: serde_json::to_string(&bucket).unwrap() })
    }

    #[test]
    fn blobs_become_a_folder_of_executables() {
        assert_eq!(
            with(bucket(true), &[true]).unwrap(),
            json!({"name": "v", "gcs": {"bucket": "b", "readOnly": true,
                "mountOptions": ["only-dir=agent/12", "implicit-dirs", "file-mode=755", "dir-mode=755",
                    "metadata-cache-ttl-secs=-1"]}})
        );
        assert_eq!(with(bucket(false), &[true]).unwrap()["gcs"]["readOnly"], true);
        assert_eq!(with(bucket(false), &[false]).unwrap()["gcs"]["readOnly"], false);
    }

    #[test]
    fn memory_has_a_limit_in_mebibytes() {
        let volume = with(VolumeSource::Memory(Some(limits::MIB + 1)), &[false]).unwrap();
        assert_eq!(volume, json!({"name": "v", "emptyDir": {"medium": "MEMORY", "sizeLimit": "2Mi"}}));
        let volume = with(VolumeSource::Scratch(None), &[false]).unwrap();
        assert_eq!(volume, json!({"name": "v", "emptyDir": {"medium": "DISK"}}));
    }

    #[test]
    fn a_secret_has_a_version() {
        let volume = with(VolumeSource::Secret("projects/p/secrets/s/versions/3".into()), &[true]).unwrap();
        assert_eq!(
            volume["secret"],
            json!({"secret": "projects/p/secrets/s", "items": [{"path": "s", "version": "3"}]})
        );
        assert_eq!(secret_version("s"), ("s", "latest"));
    }

    #[test]
    fn what_cannot_be_read_only_is_refused_rather_than_writable() {
        assert_eq!(with(VolumeSource::Memory(None), &[true]).unwrap_err().code, ErrorCode::Unsupported);
        assert_eq!(with(bucket(false), &[true, false]).unwrap_err().code, ErrorCode::Unsupported);
    }

    #[test]
    fn a_mount_of_somebody_else_is_refused() {
        let foreign = VolumeSource::Storage(PreparedMount { state: "share=x".into() });
        assert_eq!(with(foreign, &[]).unwrap_err().code, ErrorCode::Internal);
    }

    #[test]
    fn a_path_with_a_colon_is_refused() {
        let point = MountPoint { volume: "v".into(), path: "/a:b".into(), sub_path: None, read_only: false };
        assert_eq!(mount(&point).unwrap_err().code, ErrorCode::InvalidArgument);
        let point = MountPoint { path: "/a".into(), sub_path: Some("c".into()), ..point };
        assert_eq!(mount(&point).unwrap(), json!({"name": "v", "mountPath": "/a", "subPath": "c"}));
    }
}
