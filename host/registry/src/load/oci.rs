//! An OCI image layout: `index.json` and blobs by digest.

use sockerless_ports::registry::ImageError;

use super::{Found, choose, contents::Contents, image};
use crate::{
    digest,
    layer::Layer,
    manifest::{Descriptor, Document},
    platform::Platform,
    reference::Reference,
};

/// All images in it; of a list the one for the platform.
pub fn images(contents: &Contents, platform: &Platform) -> Result<Vec<Found>, ImageError> {
    if !contents.json.contains_key("index.json") {
        return Err(ImageError::Invalid(
            "invalid archive: it holds neither a manifest.json (docker save) nor an index.json (OCI layout)"
                .into(),
        ));
    }
    match parse(contents.json("index.json")?, "index.json")? {
        Document::Index(index) => {
            index.manifests.iter().map(|descriptor| found(descriptor, contents, platform)).collect()
        }
        Document::Manifest(_) => Err(ImageError::Invalid("invalid archive: index.json is no index".into())),
    }
}

fn found(top: &Descriptor, contents: &Contents, platform: &Platform) -> Result<Found, ImageError> {
    let mut bytes = json_blob(contents, &top.digest)?;
    let mut media_type = top.media_type.as_str();
    let mut document = parse(bytes, &top.digest)?;
    let mut inner;
    for _depth in 0..3 {
        match document {
            Document::Manifest(manifest) => {
                let config = json_blob(contents, &manifest.config.digest)?;
                let layers: Vec<&Layer> = manifest
                    .layers
                    .iter()
                    .map(|layer| blob(contents, &layer.digest))
                    .collect::<Result<_, _>>()?;
                return image(config, &layers, Some((bytes, media_type)), name(top)?.into_iter().collect());
            }
            Document::Index(index) => {
                inner = choose(&index.manifests, platform).cloned().ok_or_else(|| {
                    ImageError::Invalid(format!("invalid archive: the list {} is empty", top.digest))
                })?;
                bytes = json_blob(contents, &inner.digest)?;
                media_type = &inner.media_type;
                document = parse(bytes, &inner.digest)?;
            }
        }
    }
    Err(ImageError::Invalid("invalid archive: lists of manifests within lists, without end".into()))
}

/// containerd's annotation holds the whole name; OCI's may hold no more than a tag, which names nothing.
fn name(descriptor: &Descriptor) -> Result<Option<Reference>, ImageError> {
    let annotation = |key: &str| descriptor.annotations.get(key);
    match annotation("io.containerd.image.name") {
        Some(name) => Reference::parse(name).map(Some),
        None => annotation("org.opencontainers.image.ref.name")
            .filter(|name| name.contains([':', '/']))
            .map(|name| Reference::parse(name))
            .transpose(),
    }
}

fn parse(bytes: &[u8], what: &str) -> Result<Document, ImageError> {
    // The archive came from the client: its faults are the client's.
    Document::parse(bytes, what).map_err(|e| ImageError::Invalid(format!("invalid archive: {e}")))
}

fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn json_blob<'a>(contents: &'a Contents, digest: &str) -> Result<&'a [u8], ImageError> {
    let bytes = contents.json(&path(digest))?;
    if digest::of(bytes) == digest { Ok(bytes) } else { Err(wrong(digest)) }
}

fn blob<'a>(contents: &'a Contents, digest: &str) -> Result<&'a Layer, ImageError> {
    let layer = contents.layer(&path(digest))?;
    if layer.came_as == digest { Ok(layer) } else { Err(wrong(digest)) }
}

fn wrong(digest: &str) -> ImageError {
    ImageError::Invalid(format!("invalid archive: the blob {digest} is not what its digest says"))
}
