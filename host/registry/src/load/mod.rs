//! `docker load`: archives of `docker save` and OCI layouts.

mod contents;
mod docker;
mod oci;

use std::io::{BufReader, Read};

use sockerless_ports::registry::{Archive, ImageError, Loaded, Progress, ProgressEvent};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{
    blobs::Blobs,
    catalog::Entry,
    images::{Images, blocking, now},
    layer::{self, Kind, Layer},
    manifest::{self, ConfigFile, Descriptor},
    platform::Platform,
    reference::Reference,
};
use contents::Contents;

/// An image found in an archive, not yet kept.
#[derive(Debug)]
struct Found {
    entry: Entry,
    names: Vec<Reference>,
}

impl Images {
    /// See the port.
    pub(crate) async fn load_archive(
        &self,
        archive: Archive,
        progress: Progress,
    ) -> Result<Vec<Loaded>, ImageError> {
        let mut reader = SyncIoBridge::new(StreamReader::new(archive));
        let (blobs, platform) = (self.blobs.clone(), self.config.platform.clone());
        let (contents, found) = blocking(move || {
            let contents = read(&mut reader, &blobs, &progress)?;
            let found = match contents.json.contains_key("manifest.json") {
                true => docker::images(&contents)?,
                false => oci::images(&contents, &platform)?,
            };
            Ok((contents, found))
        })
        .await?;

        let change = self.catalog.change().await;
        let blobs = self.blobs.clone();
        let needed = found.iter().try_fold(std::collections::HashSet::new(), |mut all, found| {
            all.extend(found.entry.blobs()?);
            Ok::<_, ImageError>(all)
        })?;
        blocking(move || {
            let mut kept = contents.layers.values().filter(|layer| needed.contains(&layer.digest));
            kept.try_for_each(|layer| blobs.keep(&layer.file, &layer.digest))
        })
        .await?;
        let mut loaded = Vec::new();
        for Found { mut entry, names } in found {
            let id = entry.image.id.clone();
            let tags: Vec<String> = names.iter().filter_map(Reference::familiar_tag).collect();
            if !tags.is_empty() {
                entry.image.last_tagged = now();
            }
            entry.image.tags.clone_from(&tags);
            change.put(entry).await?;
            if tags.is_empty() {
                loaded.push(Loaded { id, name: None });
            } else {
                loaded.extend(tags.into_iter().map(|tag| Loaded { id: id.clone(), name: Some(tag) }));
            }
        }
        Ok(loaded)
    }
}

fn read(reader: &mut dyn Read, blobs: &Blobs, progress: &Progress) -> Result<Contents, ImageError> {
    let mut head = Vec::new();
    (&mut *reader).take(6).read_to_end(&mut head).map_err(layer::broken)?;
    let kind = Kind::of(&head);
    let mut input = std::io::Cursor::new(head).chain(BufReader::with_capacity(256 << 10, reader));
    let mut told = |id: &str, bytes: u64| {
        let short = id.get(..crate::tuning::SHORT_ID).unwrap_or(id).to_owned();
        let event =
            ProgressEvent { id: Some(short), status: "Loading layer".into(), bytes: Some((bytes, bytes)) };
        let _nobody = progress.blocking_send(event);
    };
    let contents = match kind {
        Kind::Plain => Contents::read(&mut input, blobs, &mut told)?,
        Kind::Gzip => Contents::read(&mut flate2::read::MultiGzDecoder::new(&mut input), blobs, &mut told)?,
        Kind::Zstd => return Err(unsupported("zstd")),
        Kind::Other(name) => return Err(unsupported(name)),
    };
    // The rest, so that the client can finish writing.
    std::io::copy(&mut input, &mut std::io::sink()).map_err(layer::broken)?;
    Ok(contents)
}

fn unsupported(name: &str) -> ImageError {
    ImageError::Invalid(format!(
        "{name} compression is not supported: pass the archive plain or compressed with gzip"
    ))
}

/// An image of layers that were read, checked against its configuration. `kept` is the manifest
/// that it came with, good as long as all layers are as they came.
fn image(
    config: &[u8],
    layers: &[&Layer],
    kept: Option<(&[u8], &str)>,
    names: Vec<Reference>,
) -> Result<Found, ImageError> {
    let file = ConfigFile::parse(config).map_err(ImageError::Invalid)?;
    if file.rootfs.diff_ids.len() != layers.len() {
        return Err(ImageError::Invalid(format!(
            "invalid manifest, layers length mismatch: expected {}, got {}",
            file.rootfs.diff_ids.len(),
            layers.len()
        )));
    }
    for (expected, layer) in file.rootfs.diff_ids.iter().zip(layers) {
        if let Some(got) = layer.diff_id.as_ref().filter(|got| *got != expected) {
            return Err(ImageError::Invalid(format!(
                "invalid diffID for a layer: expected {expected:?}, got {got:?}"
            )));
        }
    }
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| ImageError::Invalid("the archive's JSON is not UTF-8".into()))
    };
    let descriptors: Vec<Descriptor> = layers.iter().map(|layer| layer.descriptor()).collect();
    let (manifest, media_type) = match kept {
        Some((bytes, media_type)) if layers.iter().all(|layer| layer.is_unchanged()) => {
            (text(bytes)?, if media_type.is_empty() { manifest::OCI_MANIFEST } else { media_type }.to_owned())
        }
        _ => (manifest::build(config, descriptors.clone())?.1, manifest::OCI_MANIFEST.to_owned()),
    };
    let id = crate::digest::of(config);
    let image = file.image(id, crate::digest::of(manifest.as_bytes()), &descriptors);
    Ok(Found {
        entry: Entry {
            image,
            manifest,
            media_type,
            config: text(config)?,
            local: true,
            origin: None,
            base: None,
            own: Vec::new(),
        },
        names,
    })
}

/// The platform of a list's entry, or the first image in it.
fn choose<'a>(entries: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    platform
        .choose(entries)
        .or_else(|| entries.iter().find(|entry| entry.platform.is_none()))
        .or(entries.first())
}
