//! The layers of images: read one by one, added by a commit, written out by `docker save`.

mod commit;
mod save;

use sockerless_ports::registry::{Archive, ImageError};

use crate::{images::Images, provide::Failure};

impl Images {
    /// See the port's `layer`.
    pub(crate) async fn layer_bytes(&self, id: &str, layer: usize) -> Result<Archive, ImageError> {
        let entry = self.catalog.get(id).map_or_else(|| self.catalog.find(id), Ok)?;
        let manifest = entry.parsed()?;
        let descriptor = manifest
            .layers
            .get(layer)
            .ok_or_else(|| ImageError::Internal(format!("image {id} has no layer {layer}")))?;
        match self.open_layer(&entry, descriptor).await {
            Ok((blob, _)) => Ok(blob),
            Err(Failure::From(error, _)) => Err(error),
            Err(Failure::To(fault)) => Err(fault.plain()),
        }
    }
}
