//! The files of an archive: JSON in memory, layers on disk.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
};

use sockerless_ports::registry::ImageError;
use tar::EntryType;

use crate::{
    blobs::Blobs,
    layer::{Layer, broken},
    tuning,
};

/// What an archive holds, by path.
#[derive(Debug, Default)]
pub struct Contents {
    /// Small files that begin as JSON does.
    pub json: HashMap<String, Vec<u8>>,
    /// All others.
    pub layers: HashMap<String, Layer>,
    /// Links to files: older `docker save` has one for a layer that occurs twice.
    links: HashMap<String, String>,
}

impl Contents {
    /// Reads the archive once, from front to back.
    pub fn read(
        reader: &mut dyn Read,
        blobs: &Blobs,
        told: &mut dyn FnMut(&str, u64),
    ) -> Result<Self, ImageError> {
        let mut contents = Self::default();
        let mut in_memory = 0;
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = plain(&String::from_utf8_lossy(&entry.path_bytes()));
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {}
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let base =
                        if entry.header().entry_type() == EntryType::Symlink { parent(&path) } else { "" };
                    contents.links.insert(path.clone(), plain(&format!("{base}/{target}")));
                    continue;
                }
                _ => continue,
            }
            let size = entry.size();
            let mut head = Vec::new();
            entry.by_ref().take(512).read_to_end(&mut head).map_err(broken)?;
            if is_json(&path, &head, size) {
                in_memory += size;
                if in_memory > tuning::MAX_JSON_SUM {
                    return Err(ImageError::Invalid(
                        "the archive holds too much JSON to be one of images".into(),
                    ));
                }
                entry.read_to_end(&mut head).map_err(broken)?;
                contents.json.insert(path, head);
            } else {
                let layer = Layer::read(&mut Cursor::new(head).chain(entry), blobs)?;
                told(
                    layer.diff_id.as_deref().unwrap_or(&layer.digest).trim_start_matches("sha256:"),
                    layer.size,
                );
                contents.layers.insert(path, layer);
            }
        }
        Ok(contents)
    }

    /// A JSON file.
    pub fn json(&self, path: &str) -> Result<&[u8], ImageError> {
        self.json.get(&plain(path)).map(Vec::as_slice).ok_or_else(|| missing(path))
    }

    /// A layer, through links.
    pub fn layer(&self, path: &str) -> Result<&Layer, ImageError> {
        let mut at = plain(path);
        for _hop in 0..8 {
            if let Some(layer) = self.layers.get(&at) {
                return Ok(layer);
            }
            match self.links.get(&at) {
                Some(target) => at.clone_from(target),
                None => break,
            }
        }
        Err(missing(path))
    }
}

fn is_json(path: &str, head: &[u8], size: u64) -> bool {
    let begins = head.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'['));
    let is_tar = head.get(257..262) == Some(b"ustar");
    let named = path.ends_with(".json")
        || path == "repositories"
        || path == "oci-layout"
        || path.ends_with("VERSION");
    size <= tuning::MAX_JSON && (named || (begins && !is_tar))
}

fn missing(path: &str) -> ImageError {
    ImageError::Invalid(format!("invalid archive: {path} is missing"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Without `.`, `..` and doubled slashes: a key, never a path of this machine.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
