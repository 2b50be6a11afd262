//! Volumes: data that outlives a container, kept by a backend's storage.

mod create;
mod driver;
mod list;
mod mount;
pub(crate) mod mounts;
mod name;
mod prune;
mod remove;
mod synced;
mod table;
mod users;

use std::collections::HashMap;

use bollard_stubs::models;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockerless_ports::{
    backend::{self, VolumeDriver},
    store::{Change, Kind, Record},
};

pub use self::synced::Consistency;
pub(crate) use self::{
    list::size,
    mounts::{Mounted, Source},
    table::Volumes,
};
use crate::{Engine, Error, ErrorKind, Result, containers::Spec};

/// What dockerd (23.0 and later) puts on a volume that got its name by chance.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub name: String,
    pub created: Timestamp,
    pub labels: HashMap<String, String>,
    pub options: HashMap<String, String>,
    /// The backend whose storage has it.
    pub backend: String,
    /// Of a synced volume, the version that counts; none as long as nobody has brought anything back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Volume {
    /// It got its name by chance.
    fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }

    /// An anonymous volume, which is a part of its container.
    fn own(name: &str, spec: &Spec) -> Self {
        Self {
            name: name.to_owned(),
            created: spec.created,
            labels: HashMap::from([(ANONYMOUS.to_owned(), String::new())]),
            options: HashMap::new(),
            backend: spec.backend.clone(),
            version: None,
        }
    }

    /// Docker's model, without how much it holds.
    fn model(&self, driver: &VolumeDriver) -> models::Volume {
        models::Volume {
            name: self.name.clone(),
            driver: driver.name.clone(),
            mountpoint: driver.place(&self.name),
            created_at: Some(self.created.to_string()),
            labels: self.labels.clone(),
            scope: Some(models::VolumeScopeEnum::LOCAL),
            options: self.options.clone(),
            ..models::Volume::default()
        }
    }

    /// As the backend knows it.
    fn for_backend(&self, owner: &str) -> backend::Volume {
        let sorted = |map: &HashMap<String, String>| {
            let mut list: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            list.sort();
            list
        };
        backend::Volume {
            name: self.name.clone(),
            owner: owner.to_owned(),
            labels: sorted(&self.labels),
            options: sorted(&self.backends_options()),
        }
    }

    fn put(&self) -> Result<Change> {
        let content = serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("volume {}: {error}", self.name)))?;
        Ok(Change::Put(Kind::Volume, Record { key: self.name.clone(), content }))
    }
}

/// dockerd's 404.
fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("get {name}: no such volume"))
}

impl Engine {
    /// Reads the volumes that are kept.
    pub(crate) async fn reopen_volumes(&self) -> Result<()> {
        for record in self.store().load(Kind::Volume).await? {
            let volume = serde_json::from_str(&record.content).map_err(|error| {
                let message = format!("the record of volume {} cannot be read: {error}", record.key);
                Error::new(ErrorKind::Internal, message)
            })?;
            self.volumes.insert(volume);
        }
        Ok(())
    }
}
