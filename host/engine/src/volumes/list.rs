//! `docker volume ls` and `inspect`.

use std::sync::Arc;

use bollard_stubs::models;
use sockerless_ports::backend::{Usage, VolumeDriver};

use super::{Volume, missing};
use crate::{Engine, Error, Filters, Result, filters};

impl Engine {
    /// `GET /volumes`.
    ///
    /// Errors: 400 for an unknown filter or a value that `dangling` does not have.
    pub fn list_volumes(&self, wanted: &Filters) -> Result<models::VolumeListResponse> {
        filters::accept(wanted, &["dangling", "driver", "label", "name"])?;
        let dangling = filters::flag(wanted, "dangling")?;
        let values = |name: &str| wanted.get(name).cloned().unwrap_or_default();
        let (names, drivers, labels) =
            (filters::Patterns::new(wanted.get("name")), values("driver"), values("label"));
        let matches = |volume: &Volume| {
            names.matches(&volume.name)
                && (drivers.is_empty() || drivers.contains(&self.driver_of(volume).name))
                && filters::labels(&labels, |key| volume.labels.get(key).map(String::as_str))
                && dangling.is_none_or(|dangling| self.users(&volume.name).is_empty() == dangling)
        };
        let own = self.own_volumes().into_iter().map(Arc::new);
        let mut volumes: Vec<_> =
            self.volumes.all().into_iter().chain(own).filter(|volume| matches(volume)).collect();
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        let volumes = volumes.iter().map(|volume| volume.model(&self.driver_of(volume))).collect();
        Ok(models::VolumeListResponse { volumes: Some(volumes), warnings: None })
    }

    /// `GET /volumes/{name}`, with how much it holds, as its backend counts it; -1, as Docker's API has it, for what is a part of a
    /// container.
    ///
    /// Errors: 404, 500 with the provider's words.
    pub async fn inspect_volume(&self, name: &str) -> Result<models::Volume> {
        let references = i64::try_from(self.users(name).len()).unwrap_or(i64::MAX);
        let (volume, size) = match self.volumes.get(name) {
            Some(volume) => (volume.model(&self.driver_of(&volume)), size(self.volume_usage(&volume).await?)),
            None => {
                let own = self.own_volumes().into_iter().find(|volume| volume.name == name);
                (own.ok_or_else(|| missing(name))?.model(&VolumeDriver::default()), -1)
            }
        };
        let usage_data = models::VolumeUsageData { size, ref_count: references };
        Ok(models::Volume { usage_data: Some(usage_data), ..volume })
    }

    /// How much a backend keeps for a volume.
    pub(crate) async fn volume_usage(&self, volume: &Volume) -> Result<Usage> {
        let cloud = self.cloud(&volume.backend)?;
        cloud
            .call("usage", || cloud.backend.usage(&self.owner, &volume.name))
            .await
            .map_err(|error| Error::from(error).prefixed(&format!("{}: volume inspect", volume.backend)))
    }
}

/// Bytes.
pub(crate) fn size(usage: Usage) -> i64 {
    i64::try_from(usage.bytes).unwrap_or(i64::MAX)
}
