//! Blobs and volumes in a Cloud Storage bucket, by its JSON API, and folders of it as mounts.

mod batch;
mod options;
mod volumes;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Error, Request, Response, Result, Storage,
    storage::{
        BlobInfo, BlobPage, MountRequest, MountSource, PreparedMount, Volume, VolumePage, VolumeUsage,
    },
    time, url,
};

use crate::{CloudRun, google, jobs::Bucket, limits, names};

/// Where volumes are; blobs stay out of it.
const VOLUMES: &str = "volumes";

/// `Object`, as far as it is read. 64-bit numbers are strings in Google's JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    name: String,
    size: String,
    updated: String,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Objects {
    items: Vec<Object>,
    next_page_token: String,
}

impl Storage for CloudRun {
    fn create_volume(&self, volume: Volume) -> Result<()> {
        self.make_volume(&volume)
    }

    fn remove_volume(&self, owner: String, name: String) -> Result<()> {
        self.remove_owned(&owner, &name)
    }

    fn volumes(&self, owner: String, cursor: Option<Cursor>) -> Result<VolumePage> {
        self.owned_volumes(&owner, cursor.as_ref())
    }

    fn usage(&self, owner: String, name: String) -> Result<VolumeUsage> {
        self.usage_of(&owner, &name)
    }

    fn mount(&self, request: MountRequest) -> Result<PreparedMount> {
        let (only_dir, flags) = match &request.source {
            MountSource::Blobs(prefix) => {
                let only_dir = prefix.trim_matches('/');
                if !only_dir.is_empty() {
                    check_path(only_dir)?;
                }
                // A flag of gcsfuse: a comma would begin the next one.
                if only_dir.contains(',') {
                    return Err(Error::invalid(format!("cannot mount {only_dir:?}: a comma in the path")));
                }
                (only_dir.to_owned(), Vec::new())
            }
            MountSource::Volume(name) => self.volume_mount(&request.owner, name)?,
        };
        let bucket = Bucket {
            bucket: self.config.bucket.clone(),
            only_dir,
            executable: request.executable,
            read_only: request.read_only,
            flags,
        };
        // Strings and booleans are always JSON.
        Ok(PreparedMount { state: serde_json::to_string(&bucket).unwrap_or_default() })
    }

    /// Uploads at once; only when the bucket is missing it is made, and the upload repeated.
    fn put(&self, path: String, content: Vec<u8>) -> Result<()> {
        check_path(&path)?;
        let doing = format!("writing gs://{}/{path}", self.config.bucket);
        let target =
            format!("{}/upload/storage/v1/b/{}/o", self.config.storage, url::encode(&self.config.bucket));
        let request = Request::post(target)
            .query("uploadType", "media")
            .query("name", &path)
            .body("application/octet-stream", content)
            .credential(google::CREDENTIAL);
        let mut answer = self.host.send(&request)?;
        if answer.status == 404 {
            self.create_bucket()?;
            answer = self.host.send(&request)?;
        }
        self.check(&doing, &answer)?;
        let written: Object = answer.json()?;
        let sent = request.body.as_ref().map_or(0, Vec::len);
        if written.size.parse() == Ok(sent) {
            return Ok(());
        }
        Err(Error::unavailable(format!("{doing}: {sent} bytes were sent and {} arrived", written.size), 0))
    }

    fn get(&self, path: String, offset: u64, length: u32) -> Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let request = match (u64::try_from(length).unwrap_or(u64::MAX), length) {
            (_, 0) => Request::get(self.object(&path)?),
            (bytes, _) => {
                let last = offset.saturating_add(bytes - 1);
                Request::get(self.object(&path)?)
                    .query("alt", "media")
                    .header("range", format!("bytes={offset}-{last}"))
            }
        };
        let answer = self.send(request.max_response(length.saturating_add(limits::BLOB_SLACK_BYTES)))?;
        // Beyond the end there is nothing.
        if answer.status == 416 {
            return Ok(Vec::new());
        }
        self.check(&format!("reading gs://{}/{path}", self.config.bucket), &answer)?;
        Ok(slice(answer, offset, length))
    }

    fn stat(&self, path: String) -> Result<Option<BlobInfo>> {
        let answer = self.send(Request::get(self.object(&path)?))?;
        if answer.status == 404 {
            return Ok(None);
        }
        self.check(&format!("looking for gs://{}/{path}", self.config.bucket), &answer)?;
        Ok(Some(info(answer.json()?)))
    }

    fn delete_blob(&self, path: String) -> Result<()> {
        let answer = self.send(Request::delete(self.object(&path)?))?;
        if answer.status == 404 {
            return Ok(());
        }
        self.check(&format!("deleting gs://{}/{path}", self.config.bucket), &answer)
    }

    fn blobs(&self, prefix: String, cursor: Option<Cursor>) -> Result<BlobPage> {
        let prefix = prefix.trim_matches('/');
        let folder = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let request = Request::get(format!("{}/o", self.bucket()))
            .query("prefix", &folder)
            .query("maxResults", &limits::BLOBS_PER_PAGE.to_string())
            .query_opt("pageToken", cursor.as_deref());
        let answer = self.send(request)?;
        // A bucket that nothing was written to need not exist.
        if answer.status == 404 {
            return Ok(BlobPage { items: Vec::new(), next: None });
        }
        self.check(&format!("listing gs://{}/{folder}", self.config.bucket), &answer)?;
        let page: Objects = answer.json()?;
        let volumes = format!("{VOLUMES}/");
        let items =
            page.items.into_iter().filter(|object| !object.name.starts_with(&volumes)).map(info).collect();
        Ok(BlobPage { items, next: Some(page.next_page_token).filter(|token| !token.is_empty()) })
    }
}

impl CloudRun {
    /// The URL of the bucket.
    pub fn bucket(&self) -> String {
        format!("{}/storage/v1/b/{}", self.config.storage, url::encode(&self.config.bucket))
    }

    fn object(&self, path: &str) -> Result<String> {
        check_path(path)?;
        Ok(self.object_url(path))
    }

    /// The URL of an object, blob or not.
    fn object_url(&self, name: &str) -> String {
        format!("{}/o/{}", self.bucket(), url::encode(name))
    }

    /// Makes the bucket; that it is there already is no error.
    fn create_bucket(&self) -> Result<()> {
        let body = json!({
            "name": self.config.bucket,
            "location": self.config.region,
            "labels": {names::MANAGED_BY.0: names::MANAGED_BY.1},
            // Nothing in it is ever public: it holds users' data.
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": true},
                "publicAccessPrevention": "enforced",
            },
        });
        let target = format!("{}/storage/v1/b", self.config.storage);
        let answer = self.send(Request::post(target).query("project", &self.config.project).json(&body))?;
        // 409: another call was first, or the name is somebody else's, which the next call will show.
        if answer.status == 409 {
            return Ok(());
        }
        self.check(&format!("creating the bucket {}", self.config.bucket), &answer)
    }
}

/// Relative, without empty parts and without `.` and `..`, which a file system would not give back.
fn check_path(path: &str) -> Result<()> {
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.len() > 1024 || path.contains(['\r', '\n', '\0']) || path.split('/').any(odd) {
        return Err(Error::invalid(format!("{path:?} is no path for a blob")));
    }
    if path.split('/').next() == Some(VOLUMES) {
        return Err(Error::invalid(format!("{path:?}: blobs may not be among the {VOLUMES}")));
    }
    Ok(())
}

/// A server may ignore the range and send all.
fn slice(answer: Response, offset: u64, length: usize) -> Vec<u8> {
    let mut content = answer.body;
    if length == 0 {
        return Vec::new();
    }
    if answer.status != 206 {
        let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        content.drain(..skip);
    }
    content.truncate(length);
    content
}

fn info(object: Object) -> BlobInfo {
    BlobInfo {
        path: object.name,
        size: object.size.parse().unwrap_or_default(),
        modified: time::parse_rfc3339(&object.updated),
    }
}

#[cfg(test)]
mod blob_tests;
#[cfg(test)]
mod volume_tests;
