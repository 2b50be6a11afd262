//! Volumes: a share for each, or, where the operator has named a share for them, a folder for each. Whose it is, and
//! what its owner calls it, stands in the metadata of share or folder.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use sockerless_plugin_sdk::{
    Cursor, Error, ErrorCode, Label, Method, Request, Result,
    storage::{MountRequest, Volume, VolumePage, VolumeUsage},
    url,
};

use super::{Mount, options, xml};
use crate::{ContainerApps, arm, limits, names};

/// Metadata: its names have to be identifiers of C#, its values ASCII.
const MANAGED_BY: &str = "managed_by";
const OWNER: &str = "sockerless_owner";
const NAME: &str = "sockerless_volume";
const LABELS: &str = "sockerless_labels";
const OPTIONS: &str = "sockerless_options";
/// How the names of shares and folders of volumes begin.
const PREFIX: &str = "sl-";

/// `FileShare` and `FileShareItem`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Share {
    name: String,
    properties: ShareProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ShareProperties {
    metadata: Option<BTreeMap<String, String>>,
}

/// The name of a volume's share or folder.
///
/// # Errors
/// `invalid-argument` for a name that no volume has.
fn place(owner: &str, name: &str) -> Result<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = (1..=limits::VOLUME_NAME_CHARS).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(inner);
    if !good {
        return Err(Error::invalid(format!("{name:?} is no name of a volume")));
    }
    Ok(names::shortened(name, limits::SHARE_NAME_CHARS + limits::HASH_DIGITS + 4, owner))
}

fn metadata(volume: &Volume) -> Vec<(&'static str, String)> {
    // Pairs of strings are always JSON.
    let text = |pairs: &[Label]| url::encode(&serde_json::to_string(pairs).unwrap_or_default());
    vec![
        (MANAGED_BY, names::MANAGED_BY.1.to_owned()),
        (OWNER, url::encode(&volume.owner)),
        (NAME, volume.name.clone()),
        (LABELS, text(&volume.labels)),
        (OPTIONS, text(&volume.options)),
    ]
}

/// What metadata says; none when it is not of a volume of ours.
fn volume_of(metadata: &BTreeMap<String, String>) -> Option<Volume> {
    // Names come back in any case.
    let get = |name: &str| {
        metadata.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    if get(MANAGED_BY)? != names::MANAGED_BY.1 {
        return None;
    }
    let pairs = |name: &str| {
        get(name).and_then(|text| serde_json::from_str(&xml::decode(text)).ok()).unwrap_or_default()
    };
    Some(Volume {
        name: get(NAME)?.clone(),
        owner: xml::decode(get(OWNER)?),
        labels: pairs(LABELS),
        options: pairs(OPTIONS),
    })
}

fn no_volume(name: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no volume {name}"))
}

impl ContainerApps {
    /// The id of a share in the account.
    pub(super) fn share_id(&self, share: &str) -> String {
        format!("{}/fileServices/default/shares/{share}", self.config.account)
    }

    /// Makes a volume.
    pub(super) fn make_volume(&self, volume: &Volume) -> Result<()> {
        let place = place(&volume.owner, &volume.name)?;
        options::mount_options(&volume.options)?;
        let doing = format!("creating the volume {}", volume.name);
        let metadata = metadata(volume);
        if let Some(share) = &self.config.volume_share {
            let doing = format!("{doing} in the share {share} (`volume_share`)");
            return self.files(share).make_folder(&place, &metadata, &doing);
        }
        let all: BTreeMap<&str, String> = metadata.into_iter().collect();
        let mut properties = json!({"metadata": all});
        if let Some(quota) = options::quota(&volume.options)? {
            properties["shareQuota"] = json!(quota);
        }
        let url = self.config.url(&self.share_id(&place));
        let answer = self.send(Request::put(url).json(&json!({"properties": properties})))?;
        self.check(&doing, &answer)
    }

    /// The volume as it was made. None when there is none.
    fn known_volume(&self, owner: &str, name: &str) -> Result<Option<Volume>> {
        let place = place(owner, name)?;
        let metadata = match &self.config.volume_share {
            Some(share) => self.folder_metadata(share, &place)?,
            None => {
                let answer = self.send(Request::get(self.config.url(&self.share_id(&place))))?;
                if answer.status == 404 {
                    return Ok(None);
                }
                self.check(&format!("asking for the volume {name}"), &answer)?;
                answer.json::<Share>()?.properties.metadata
            }
        };
        Ok(metadata.and_then(|metadata| volume_of(&metadata)).filter(|volume| volume.owner == owner))
    }

    fn folder_metadata(&self, share: &str, folder: &str) -> Result<Option<BTreeMap<String, String>>> {
        let files = self.files(share);
        let answer =
            files.send(&files.request(Method::Get, files.url(folder)).query("restype", "directory"))?;
        if answer.status == 404 {
            return Ok(None);
        }
        files.check(&format!("asking for the folder {folder}"), &answer)?;
        let of = |(name, value): &(String, String)| {
            Some((name.strip_prefix("x-ms-meta-")?.to_owned(), value.clone()))
        };
        Ok(Some(answer.headers.iter().filter_map(of).collect()))
    }

    /// Removes a volume with its data.
    pub(super) fn remove_owned(&self, owner: &str, name: &str) -> Result<()> {
        let place = place(owner, name)?;
        let doing = format!("removing the volume {name}");
        if let Some(share) = &self.config.volume_share {
            return self.files(share).remove(&place, &doing);
        }
        self.forget_share(&place)?;
        let answer = self.send(Request::delete(self.config.url(&self.share_id(&place))))?;
        if answer.status == 404 { Ok(()) } else { self.check(&doing, &answer) }
    }

    /// A page of shares, or all folders; of others' volumes nothing is told. A listing has names and no metadata: each share
    /// is asked for what it is.
    pub(super) fn owned_volumes(&self, owner: &str, cursor: Option<&Cursor>) -> Result<VolumePage> {
        let own = |volume: &Volume| volume.owner == owner;
        if let Some(share) = &self.config.volume_share {
            let mut pages = limits::FOLDER_PAGES;
            let found = self.files(share).list("", &mut pages, "listing volumes")?.unwrap_or_default();
            let mut items = Vec::new();
            for folder in found.folders.iter().filter(|folder| folder.starts_with(PREFIX)) {
                items.extend(
                    self.folder_metadata(share, folder)?
                        .and_then(|metadata| volume_of(&metadata))
                        .filter(own),
                );
            }
            return Ok(VolumePage { items, next: None });
        }
        let shares = format!("{}/fileServices/default/shares", self.config.account);
        let first = Request::get(self.config.url(&shares))
            .query("$filter", PREFIX)
            .query("$maxpagesize", &limits::SHARES_PER_PAGE.to_string());
        let cursor = cursor.map(String::as_str).filter(|cursor| !cursor.is_empty());
        let page: arm::Page<Share> = arm::page(self, "listing volumes", first, cursor)?;
        // Names have to be those of shares, since they become part of a path.
        let names = page.value.into_iter().map(|share| share.name).filter(|name| {
            name.starts_with(PREFIX) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let asked = names.map(|name| Request::get(self.config.url(&self.share_id(&name)))).collect();
        let mut items = Vec::new();
        for answer in self.send_all(asked)? {
            // It may have gone in between.
            if answer.status == 404 {
                continue;
            }
            self.check("listing volumes", &answer)?;
            let metadata = answer.json::<Share>()?.properties.metadata;
            items.extend(metadata.and_then(|metadata| volume_of(&metadata)).filter(own));
        }
        Ok(VolumePage { items, next: page.next_link })
    }

    /// How much a volume holds.
    pub(super) fn usage_of(&self, owner: &str, name: &str) -> Result<VolumeUsage> {
        let place = place(owner, name)?;
        if self.known_volume(owner, name)?.is_none() {
            return Err(no_volume(name));
        }
        let doing = format!("measuring the volume {name}");
        let files = match &self.config.volume_share {
            Some(share) => self.files(share).below(&place, &doing)?,
            None => self.files(&place).below("", &doing)?,
        };
        let files = files.unwrap_or_default();
        let bytes = files.iter().map(|(_, size)| size).sum();
        Ok(VolumeUsage { bytes, files: u64::try_from(files.len()).unwrap_or(u64::MAX) })
    }

    /// Prepares the mount of a volume.
    pub(super) fn volume_mount(&self, request: &MountRequest, name: &str) -> Result<Mount> {
        let (owner, read_only) = (request.owner.as_str(), request.read_only);
        let place = place(owner, name)?;
        let volume = self.known_volume(owner, name)?.ok_or_else(|| no_volume(name))?;
        let options = options::mount_options(&volume.options)?;
        let (share, folder) = match &self.config.volume_share {
            Some(share) => (share.clone(), place),
            None => (place, String::new()),
        };
        let storage = self.known_share(&share, read_only, request.renew)?;
        let (read_write, read_only) =
            if read_only { (String::new(), storage) } else { (storage, String::new()) };
        Ok(Mount { read_write, read_only, folder, options })
    }
}
