//! `docker import`: an image of one layer from a file system's tar.

mod changes;
mod words;

pub(crate) use changes::apply;

use serde_json::json;
use sockerless_ports::registry::{Archive, Image, ImageConfig, ImageError, ImportRequest};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{
    catalog::Entry,
    digest,
    images::{Images, blocking, now},
    layer::Layer,
    manifest::{self, ConfigFile},
    platform::Platform,
    reference::Reference,
};

impl Images {
    /// See the port.
    pub(crate) async fn import_archive(
        &self,
        archive: Archive,
        request: ImportRequest,
    ) -> Result<Image, ImageError> {
        let name =
            request.name.as_deref().filter(|name| !name.is_empty()).map(Reference::parse).transpose()?;
        if name.as_ref().is_some_and(|name| name.digest.is_some()) {
            return Err(ImageError::Invalid("cannot import digest reference".into()));
        }
        let platform = match request.platform.as_deref() {
            Some(text) if !text.is_empty() => Platform::parse(text)?,
            _ => self.config.platform.clone(),
        };
        let mut settings = ImageConfig::default();
        changes::apply(&mut settings, &request.changes)?;

        let mut reader = SyncIoBridge::new(StreamReader::new(archive));
        let blobs = self.blobs.clone();
        let layer = blocking(move || {
            let layer = Layer::read(&mut reader, &blobs)?;
            if !is_tar(&layer.head) {
                return Err(ImageError::Invalid("archive/tar: invalid tar header".into()));
            }
            Ok(layer)
        })
        .await?;

        let created = now();
        let message = if request.message.is_empty() { "Imported from -".to_owned() } else { request.message };
        let mut file = json!({
            "created": created,
            "architecture": platform.architecture,
            "os": platform.os,
            "comment": message,
            "config": settings,
            "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
            "history": [{ "created": created, "comment": message }],
        });
        if !platform.variant.is_empty() {
            file["variant"] = platform.variant.into();
        }
        let config = file.to_string();
        let (_, manifest) = manifest::build(config.as_bytes(), vec![layer.descriptor()])?;
        let parsed = ConfigFile::parse(config.as_bytes()).map_err(ImageError::Internal)?;
        let mut image = parsed.image(
            digest::of(config.as_bytes()),
            digest::of(manifest.as_bytes()),
            &[layer.descriptor()],
        );
        image.tags.extend(name.as_ref().and_then(Reference::familiar_tag));
        if name.is_some() {
            image.last_tagged = created;
        }
        let media_type = manifest::OCI_MANIFEST.to_owned();
        let entry = Entry {
            image,
            manifest,
            media_type,
            config,
            local: true,
            origin: None,
            base: None,
            own: Vec::new(),
        };

        let change = self.catalog.change().await;
        let blobs = self.blobs.clone();
        blocking(move || blobs.keep(&layer.file, &layer.digest)).await?;
        change.put(entry).await
    }
}

/// Whether a file begins as a tar does. An empty one is a tar of nothing.
fn is_tar(head: &[u8]) -> bool {
    if head.is_empty() || head.iter().all(|b| *b == 0) {
        return true;
    }
    let Ok(block) = <&[u8; 512]>::try_from(head) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, b)| u32::from(if (148..156).contains(&at) { b' ' } else { *b }))
        .sum();
    header.cksum().is_ok_and(|stated| stated == sum)
}
