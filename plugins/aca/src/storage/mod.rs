//! Blobs and volumes in Azure Files: shares by the storage account's ARM API, what is in them by the Files data plane.

mod files;
mod mount;
mod options;
mod volumes;
mod write;
mod xml;

use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Error, ErrorCode, Method, Request, Response, Result, Storage,
    storage::{
        BlobInfo, BlobPage, MountRequest, MountSource, PreparedMount, Volume, VolumePage, VolumeUsage,
    },
    time,
};

pub use mount::Mount;

use crate::{ContainerApps, limits};

impl Storage for ContainerApps {
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
        let mount = match &request.source {
            MountSource::Blobs(prefix) => {
                let folder = prefix.trim_matches('/');
                if !folder.is_empty() {
                    check_path(folder)?;
                }
                // The host asks for it once in its life, and again after a start that failed: the account's key may be another.
                let storage = self.known_share(&self.config.share, request.read_only, true)?;
                let (read_write, read_only) =
                    if request.read_only { (String::new(), storage) } else { (storage, String::new()) };
                Mount { read_write, read_only, folder: folder.to_owned(), options: options::BLOBS.to_owned() }
            }
            MountSource::Volume(name) => self.volume_mount(&request, name)?,
        };
        // Strings are always JSON.
        Ok(PreparedMount { state: serde_json::to_string(&mount).unwrap_or_default() })
    }

    /// Writes at once; only when share or folder is missing it is made, and the writing repeated.
    fn put(&self, path: String, content: Vec<u8>) -> Result<()> {
        check_path(&path)?;
        let share = &self.config.share;
        let doing = format!("writing {share}/{path}");
        let files = self.files(share);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = files.write(&path, &content)?;
            match files::code(&answer).as_str() {
                _ if answer.is_success() || attempts == limits::PUT_ATTEMPTS => {
                    return files.check(&doing, &answer);
                }
                "ShareNotFound" => self.make_share(&doing)?,
                "ParentNotFound" => {
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    files.make_folder(folder, &[], &doing)?;
                }
                _ => return files.check(&doing, &answer),
            }
        }
    }

    fn get(&self, path: String, offset: u64, length: u32) -> Result<Vec<u8>> {
        check_path(&path)?;
        let doing = format!("reading {}/{path}", self.config.share);
        if length == 0 {
            let none = || Error::new(ErrorCode::NotFound, format!("{doing}: there is no such file"));
            return self.stat(path.clone())?.map(|_| Vec::new()).ok_or_else(none);
        }
        let files = self.files(&self.config.share);
        let last = offset.saturating_add(u64::from(length) - 1);
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let request = files
            .request(Method::Get, files.url(&path))
            .header("x-ms-range", format!("bytes={offset}-{last}"))
            .max_response(wanted.saturating_add(limits::BLOB_SLACK_BYTES));
        let answer = files.send(&request)?;
        // Beyond the end there is nothing.
        if answer.status == 416 {
            return Ok(Vec::new());
        }
        files.check(&doing, &answer)?;
        Ok(slice(answer, offset, wanted))
    }

    fn stat(&self, path: String) -> Result<Option<BlobInfo>> {
        check_path(&path)?;
        let files = self.files(&self.config.share);
        let answer = files.send(&files.request(Method::Head, files.url(&path)))?;
        if answer.status == 404 {
            return Ok(None);
        }
        files.check(&format!("looking for {}/{path}", self.config.share), &answer)?;
        let size = answer.header("content-length").and_then(|size| size.parse().ok());
        let modified = answer.header("last-modified").and_then(time::parse_http_date);
        let size =
            size.ok_or_else(|| Error::internal(format!("{path}: Azure Files did not tell its size")))?;
        Ok(Some(BlobInfo { path, size, modified }))
    }

    fn delete_blob(&self, path: String) -> Result<()> {
        check_path(&path)?;
        let files = self.files(&self.config.share);
        let answer = files.send(&files.request(Method::Delete, files.url(&path)))?;
        if answer.status == 404 {
            return Ok(());
        }
        files.check(&format!("deleting {}/{path}", self.config.share), &answer)
    }

    /// A share has folders, which have to be asked for one by one: all blobs are on one page.
    fn blobs(&self, prefix: String, _cursor: Option<Cursor>) -> Result<BlobPage> {
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            check_path(prefix)?;
        }
        let found = self
            .files(&self.config.share)
            .below(prefix, &format!("listing {}/{prefix}", self.config.share))?;
        let items = found.unwrap_or_default().into_iter();
        Ok(BlobPage {
            items: items.map(|(path, size)| BlobInfo { path, size, modified: None }).collect(),
            next: None,
        })
    }
}

impl ContainerApps {
    /// Makes the share for blobs; that it is there already is no error.
    fn make_share(&self, doing: &str) -> Result<()> {
        let url = self.config.url(&self.share_id(&self.config.share));
        let body = json!({"properties": {"metadata": {"managed_by": "sockerless"}}});
        let answer = self.send(Request::put(url).json(&body))?;
        self.check(doing, &answer)
    }
}

/// Relative, without empty parts and without `.` and `..`, and only with characters that Azure Files takes.
fn check_path(path: &str) -> Result<()> {
    let odd = |part: &str| part.is_empty() || part.ends_with('.') || part.len() > 255;
    let bad = |c: char| c.is_control() || "\"\\:|<>*?".contains(c);
    if path.len() > 1024 || path.contains(bad) || path.split('/').any(odd) {
        return Err(Error::invalid(format!("{path:?} is no path for a file")));
    }
    Ok(())
}

/// A server may ignore the range and send all.
fn slice(answer: Response, offset: u64, length: usize) -> Vec<u8> {
    let mut content = answer.body;
    if answer.status != 206 {
        let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        content.drain(..skip);
    }
    content.truncate(length);
    content
}

#[cfg(test)]
mod blob_tests;
#[cfg(test)]
mod volume_tests;
