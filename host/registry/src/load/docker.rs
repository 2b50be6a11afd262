//! The archive of `docker save`: `manifest.json` names configuration, layers and tags.

use serde::Deserialize;
use sockerless_ports::registry::ImageError;

use super::{Found, contents::Contents, image};
use crate::{digest, reference::Reference};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// All images in it.
pub fn images(contents: &Contents) -> Result<Vec<Found>, ImageError> {
    let items: Vec<Item> = serde_json::from_slice(contents.json("manifest.json")?)
        .map_err(|e| ImageError::Invalid(format!("invalid archive: manifest.json cannot be read: {e}")))?;
    items.iter().map(|item| found(item, contents)).collect()
}

fn found(item: &Item, contents: &Contents) -> Result<Found, ImageError> {
    let config = contents.json(&item.config)?;
    // The file is named by its digest, in both generations of the format.
    let name = item.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if digest::is_digits(name) && digest::of(config) != format!("sha256:{name}") {
        return Err(ImageError::Invalid(format!(
            "invalid archive: {} is not what its digest says",
            item.config
        )));
    }
    let layers: Vec<_> =
        item.layers.iter().flatten().map(|path| contents.layer(path)).collect::<Result<_, _>>()?;
    let names: Vec<_> =
        item.repo_tags.iter().flatten().map(|tag| Reference::parse(tag)).collect::<Result<_, _>>()?;
    image(config, &layers, None, names)
}
