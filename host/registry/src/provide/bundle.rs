//! Images of the host's own: one layer, equal for equal content.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sockerless_ports::{
    backend::ImageSources,
    registry::{Bundle, ImageError},
};

use super::{below, unusable};
use crate::{
    client::{Fault, Place},
    digest,
    images::{Images, blocking},
    manifest::{self, Descriptor},
    platform::Platform,
    tuning,
};

/// When it was made, in its files too: a real time would make each image another one.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// An image in memory.
#[derive(Debug)]
struct Packed {
    layer: Bytes,
    config: Bytes,
    manifest: Bytes,
}

impl Images {
    /// See the port's `publish`.
    pub(crate) async fn publish_bundle(
        &self,
        bundle: &Bundle,
        sources: &ImageSources,
    ) -> Result<String, ImageError> {
        let repository = sources.repository.as_deref().ok_or_else(|| {
            ImageError::Invalid(format!(
                "there is nowhere to push the image {} to: the backend's setting `repository` (registry/path) is not set",
                bundle.name
            ))
        })?;
        let target = below(repository, &bundle.name)?;
        let place = self.to_write(&target, sources).await?;
        let own = bundle.clone();
        let packed = blocking(move || pack(&own)).await?;
        let digest = digest::of(&packed.manifest);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.push_packed(&packed, &digest, &place).await {
                Ok(()) => return Ok(format!("{}/{}@{digest}", target.registry, target.repository)),
                Err(fault) if !fault.is_transient() || attempt == tuning::ATTEMPTS => {
                    return Err(unusable(&place, &fault.plain()));
                }
                Err(fault) => {
                    tracing::info!(image = bundle.name, attempt, ?fault, "pushing an image again");
                    tokio::time::sleep(tuning::ATTEMPT_PAUSE * attempt).await;
                }
            }
        }
    }

    async fn push_packed(&self, packed: &Packed, digest: &str, to: &Place) -> Result<(), Fault> {
        if self.client.has(to, &format!("manifests/{digest}")).await? {
            return Ok(());
        }
        for blob in [&packed.layer, &packed.config] {
            self.push_blob(to, &digest::of(blob), blob.clone()).await?;
        }
        self.push_manifest(to, manifest::OCI_MANIFEST, &packed.manifest).await
    }
}

fn pack(bundle: &Bundle) -> Result<Packed, ImageError> {
    let failed =
        |error: io::Error| ImageError::Internal(format!("packing the image {}: {error}", bundle.name));
    let tar = tar(bundle).map_err(failed)?;
    let layer = gzip(&tar).map_err(failed)?;
    let platform = Platform::default();
    let config = json!({
        "created": EPOCH,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Entrypoint": bundle.entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [digest::of(&tar)]},
        "history": [{"created": EPOCH, "created_by": "sockerless"}],
    })
    .to_string();
    let descriptor = Descriptor {
        media_type: manifest::OCI_LAYER.to_owned(),
        digest: digest::of(&layer),
        size: layer.len() as u64,
        ..Descriptor::default()
    };
    let (_, manifest) = manifest::build(config.as_bytes(), vec![descriptor])?;
    Ok(Packed { layer, config: config.into(), manifest: manifest.into() })
}

fn tar(bundle: &Bundle) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in &bundle.programs {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path.trim_start_matches('/'), content.as_ref())?;
    }
    tar.into_inner()
}

/// Without a time and a name in its head, as the encoder has it.
fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(tuning::BUNDLE_GZIP_LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}
