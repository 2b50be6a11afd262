//! Volumes: the objects below `volumes/NAME/`, and for each a record beside them that says whose it is.
//!
//! The record is the first thing that is made and the last that goes, so that what was begun is found again.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Error, ErrorCode, Label, Request, Response, Result,
    storage::{Volume, VolumePage, VolumeUsage},
    url,
};

use super::{Objects, VOLUMES, batch, options};
use crate::{CloudRun, limits, names};

/// The records' folder; no volume's name begins with a dot.
const RECORDS: &str = "volumes/.sockerless/";

/// What a record holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    name: String,
    owner: String,
    labels: Vec<Label>,
    options: Vec<Label>,
}

/// `volumes/NAME`, without a slash at its end.
///
/// # Errors
/// `invalid-argument` for a name that no volume has.
pub fn folder(name: &str) -> Result<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = (1..=limits::VOLUME_NAME_CHARS).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(inner);
    if good {
        Ok(format!("{VOLUMES}/{name}"))
    } else {
        Err(Error::invalid(format!("{name:?} is no name of a volume")))
    }
}

fn record_path(name: &str) -> String {
    format!("{RECORDS}{name}.json")
}

impl CloudRun {
    /// Makes record and folder, and the bucket if it is missing.
    pub(super) fn make_volume(&self, volume: &Volume) -> Result<()> {
        let folder = folder(&volume.name)?;
        options::flags(&volume.options)?;
        let doing = format!("creating the volume {}", volume.name);
        let record = Record {
            name: volume.name.clone(),
            owner: volume.owner.clone(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        };
        let record = serde_json::to_vec(&record).map_err(|error| Error::internal(error.to_string()))?;
        let request = self.new_object(&record_path(&volume.name), &volume.owner, record);
        let mut answer = self.send(request.clone())?;
        if answer.status == 404 {
            self.create_bucket()?;
            answer = self.send(request)?;
        }
        if answer.status == 412 {
            let owner = self.record(&volume.name)?.map(|record| record.owner);
            if owner.as_ref() != Some(&volume.owner) {
                let message = format!(
                    "{doing}: another daemon has a volume of that name in gs://{}",
                    self.config.bucket
                );
                return Err(Error::new(ErrorCode::AlreadyExists, message).with_status(412));
            }
        } else {
            self.check(&doing, &answer)?;
        }
        // Shown by every client as the folder that it is.
        let answer = self.send(self.new_object(&format!("{folder}/"), &volume.owner, Vec::new()))?;
        if answer.status == 412 { Ok(()) } else { self.check(&doing, &answer) }
    }

    /// An upload of an object that must not be there yet, with its owner as metadata.
    fn new_object(&self, name: &str, owner: &str, content: Vec<u8>) -> Request {
        const BOUNDARY: &str = "sockerless-object";
        let metadata = json!({
            "name": name,
            "metadata": {names::MANAGED_BY.0: names::MANAGED_BY.1, names::OWNER: owner},
        });
        let kind = if content.is_empty() { "text/plain" } else { "application/json" };
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
             --{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n"
        )
        .into_bytes();
        body.extend(content);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let bucket = url::encode(&self.config.bucket);
        Request::post(format!("{}/upload/storage/v1/b/{bucket}/o", self.config.storage))
            .query("uploadType", "multipart")
            .query("ifGenerationMatch", "0")
            .body(&format!("multipart/related; boundary={BOUNDARY}"), body)
    }

    /// Reads a volume's record, whoever owns it. None when there is none.
    fn record(&self, name: &str) -> Result<Option<Record>> {
        let request = Request::get(self.object_url(&record_path(name))).query("alt", "media");
        let answer = self.send(request)?;
        self.read_record(name, &answer)
    }

    fn read_record(&self, name: &str, answer: &Response) -> Result<Option<Record>> {
        if answer.status == 404 {
            return Ok(None);
        }
        self.check(&format!("asking for the volume {name}"), answer)?;
        answer.json().map(Some)
    }

    /// The record of an owner's volume.
    fn owned(&self, owner: &str, name: &str) -> Result<Option<Record>> {
        folder(name)?;
        Ok(self.record(name)?.filter(|record| record.owner == owner))
    }

    /// Deletes a volume's objects, then its record. A large one takes several calls: each deletes what it can.
    pub(super) fn remove_owned(&self, owner: &str, name: &str) -> Result<()> {
        if self.owned(owner, name)?.is_none() {
            return Ok(());
        }
        let doing = format!("removing the volume {name}");
        let prefix = format!("{}/", folder(name)?);
        for _ in 0..limits::REMOVE_PAGES {
            let page = self.page(&prefix, None, "items(name),nextPageToken", &doing)?;
            let names: Vec<String> = page.items.into_iter().map(|object| object.name).collect();
            if names.is_empty() {
                return self.remove_object(&record_path(name), &doing);
            }
            let batches = names.chunks(limits::BATCH_CALLS);
            let requests =
                batches.map(|part| batch::deletion(&self.config.storage, &self.config.bucket, part));
            for answer in self.send_all(requests.collect())? {
                self.check(&doing, &answer)?;
                let answers = batch::answers(&answer).ok_or_else(|| {
                    Error::internal(format!("{doing}: no answer to a batch: {}", answer.quote()))
                })?;
                for answer in answers.iter().filter(|answer| answer.status != 404) {
                    self.check(&doing, answer)?;
                }
            }
        }
        Err(Error::unavailable(format!("{doing}: it has more objects than one call can delete"), 0))
    }

    fn remove_object(&self, name: &str, doing: &str) -> Result<()> {
        let answer = self.send(Request::delete(self.object_url(name)))?;
        if answer.status == 404 { Ok(()) } else { self.check(doing, &answer) }
    }

    /// A page of records holds others' too, so it may give fewer volumes, or none.
    pub(super) fn owned_volumes(&self, owner: &str, cursor: Option<&Cursor>) -> Result<VolumePage> {
        let page = self.page(
            RECORDS,
            cursor.map(String::as_str),
            "items(name,metadata),nextPageToken",
            "listing volumes",
        )?;
        let own = page
            .items
            .iter()
            .filter(|object| object.metadata.get(names::OWNER).is_some_and(|of| of == owner));
        let paths: Vec<&str> = own.map(|object| object.name.as_str()).collect();
        let requests =
            paths.iter().map(|path| Request::get(self.object_url(path)).query("alt", "media")).collect();
        let mut items = Vec::with_capacity(paths.len());
        for (path, answer) in paths.iter().zip(self.send_all(requests)?) {
            // One that went between the two calls is not listed.
            let Some(record) = self.read_record(path, &answer)? else { continue };
            let Record { name, owner, labels, options } = record;
            items.push(Volume { name, owner, labels, options });
        }
        Ok(VolumePage { items, next: Some(page.next_page_token).filter(|token| !token.is_empty()) })
    }

    pub(super) fn usage_of(&self, owner: &str, name: &str) -> Result<VolumeUsage> {
        if self.owned(owner, name)?.is_none() {
            return Err(no_volume(name));
        }
        let (prefix, doing) = (format!("{}/", folder(name)?), format!("measuring the volume {name}"));
        let mut usage = VolumeUsage { bytes: 0, files: 0 };
        let mut token = String::new();
        for _ in 0..limits::USAGE_PAGES {
            let cursor = Some(token.as_str()).filter(|token| !token.is_empty());
            let page = self.page(&prefix, cursor, "items(name,size),nextPageToken", &doing)?;
            for object in page.items.iter().filter(|object| !object.name.ends_with('/')) {
                usage.bytes += object.size.parse::<u64>().unwrap_or_default();
                usage.files += 1;
            }
            if page.next_page_token.is_empty() {
                return Ok(usage);
            }
            token = page.next_page_token;
        }
        Err(Error::new(
            ErrorCode::Unsupported,
            format!(
                "{doing}: more than {} objects; `gcloud storage du --summarize gs://{}/{prefix}` counts them",
                limits::USAGE_PAGES * limits::BLOBS_PER_PAGE as usize,
                self.config.bucket
            ),
        ))
    }

    /// Folder and flags of an owner's volume.
    pub(super) fn volume_mount(&self, owner: &str, name: &str) -> Result<(String, Vec<String>)> {
        let record = self.owned(owner, name)?.ok_or_else(|| no_volume(name))?;
        Ok((folder(name)?, options::flags(&record.options)?))
    }

    fn page(&self, prefix: &str, cursor: Option<&str>, fields: &str, doing: &str) -> Result<Objects> {
        let request = Request::get(format!("{}/o", self.bucket()))
            .query("prefix", prefix)
            .query("fields", fields)
            .query("maxResults", &limits::BLOBS_PER_PAGE.to_string())
            .query_opt("pageToken", cursor);
        let answer = self.send(request)?;
        // A bucket that nothing was written to need not exist.
        if answer.status == 404 {
            return Ok(Objects::default());
        }
        self.check(doing, &answer)?;
        answer.json()
    }
}

fn no_volume(name: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no volume {name}"))
}
