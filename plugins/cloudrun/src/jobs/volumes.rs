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
    let mut all = Vec::with_capacity(spec.volumes.len());
    for volume in &spec.volumes {
        let mut entry = one(spec, volume)?;
        if let Some(twin) = twin(spec, &volume.name) {
            let writable = entry.clone();
            entry["name"] = json!(twin);
            entry["gcs"]["readOnly"] = json!(true);
            all.push(writable);
        }
        all.push(entry);
    }
    Ok(all)
}

/// The points at which a volume is mounted.
fn points<'a>(spec: &'a Spec, volume: &'a str) -> impl Iterator<Item = &'a MountPoint> {
    spec.containers.iter().flat_map(|container| &container.mounts).filter(move |point| point.volume == volume)
}

/// The second name of a bucket that is mounted read-only here and writable there: a mount has no flag for it, only a volume.
fn twin(spec: &Spec, name: &str) -> Option<String> {
    let volume = spec.volumes.iter().find(|volume| volume.name == name)?;
    let mixed =
        points(spec, name).any(|point| point.read_only) && points(spec, name).any(|point| !point.read_only);
    if !mixed || !matches!(volume.source, VolumeSource::Storage(_)) {
        return None;
    }
    let taken = |name: &String| spec.volumes.iter().any(|volume| volume.name == *name);
    let short: String = name.chars().take(limits::VOLUME_CHARS - limits::TWIN_CHARS).collect();
    let mut names =
        std::iter::once(format!("{short}-ro")).chain((2..).map(|number| format!("{short}-ro{number}")));
    names.find(|name| !taken(name))
}

fn one(spec: &Spec, volume: &Volume) -> Result<Value> {
    let name = &volume.name;
    let read_only = points(spec, name).any(|point| point.read_only);
    let writable = points(spec, name).any(|point| !point.read_only);
    if read_only && matches!(volume.source, VolumeSource::Memory(_) | VolumeSource::Scratch(_)) {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("volume {name}: on Cloud Run memory and scratch space cannot be mounted read-only"),
        ));
    }
    Ok(match &volume.source {
        VolumeSource::Storage(mount) => {
            let bucket: Bucket = serde_json::from_str(&mount.state).map_err(|error| {
                Error::internal(format!("volume {name}: this plugin did not prepare that mount ({error})"))
            })?;
            let options = bucket.options();
            let read_only = bucket.read_only || (read_only && !writable);
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
pub fn mount(spec: &Spec, point: &MountPoint) -> Result<Value> {
    let reserved = |folder: &&str| {
        point.path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(folder) = ["/dev", "/proc", "/sys"].into_iter().find(reserved) {
        return Err(Error::invalid(format!(
            "cannot mount at {}: Cloud Run allows no mounts in {folder}",
            point.path
        )));
    }
    if !point.path.starts_with('/') || point.path.contains(':') {
        return Err(Error::invalid(format!(
            "cannot mount at {:?}: Cloud Run wants an absolute path without a colon",
            point.path
        )));
    }
    let twin = twin(spec, &point.volume).filter(|_| point.read_only);
    let mut mount = json!({"name": twin.as_ref().unwrap_or(&point.volume), "mountPath": point.path});
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
        assert_eq!(
            with(VolumeSource::Scratch(None), &[true, false]).unwrap_err().code,
            ErrorCode::Unsupported
        );
    }

    #[test]
    fn a_bucket_that_is_read_only_here_and_writable_there_is_two_volumes() {
        let mut spec = spec();
        spec.volumes = vec![
            Volume { name: "v".into(), source: bucket(false) },
            Volume { name: "v-ro".into(), source: VolumeSource::Memory(None) },
        ];
        let point = |path: &str, read_only| MountPoint {
            volume: "v".into(),
            path: path.into(),
            sub_path: None,
            read_only,
        };
        spec.containers[0].mounts = vec![point("/r", true), point("/w", false)];
        let all = volumes(&spec).unwrap();
        let look = |volume: &Value| (volume["name"].clone(), volume["gcs"]["readOnly"].clone());
        assert_eq!(look(&all[0]), (json!("v"), json!(false)));
        assert_eq!(look(&all[1]), (json!("v-ro2"), json!(true)));
        assert_eq!(mount(&spec, &point("/r", true)).unwrap()["name"], "v-ro2");
        assert_eq!(mount(&spec, &point("/w", false)).unwrap()["name"], "v");
    }

    #[test]
    fn a_mount_of_somebody_else_is_refused() {
        let foreign = VolumeSource::Storage(PreparedMount { state: "share=x".into() });
        assert_eq!(with(foreign, &[]).unwrap_err().code, ErrorCode::Internal);
    }

    #[test]
    fn paths_that_cloud_run_does_not_take_are_refused() {
        let point = MountPoint { volume: "v".into(), path: "/a:b".into(), sub_path: None, read_only: false };
        assert_eq!(mount(&spec(), &point).unwrap_err().code, ErrorCode::InvalidArgument);
        for path in ["/dev/shm", "/proc", "/sys/x"] {
            let point = MountPoint { path: path.into(), ..point.clone() };
            assert!(mount(&spec(), &point).unwrap_err().message.contains("allows no mounts"));
        }
        assert!(mount(&spec(), &MountPoint { path: "/device".into(), ..point.clone() }).is_ok());
        let point = MountPoint { path: "/a".into(), sub_path: Some("c".into()), ..point };
        assert_eq!(mount(&spec(), &point).unwrap(), json!({"name": "v", "mountPath": "/a", "subPath": "c"}));
    }
}
