//! What is kept of an image.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sockerless_ports::registry::{Image, ImageError};

use crate::manifest::{Document, Manifest};

/// An image with the bytes that make it up. Its record in the store is this as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is told of it.
    pub image: Image,
    /// The manifest, byte for byte.
    pub manifest: String,
    /// What the manifest is.
    pub media_type: String,
    /// The configuration, byte for byte.
    pub config: String,
    /// Its layers are among the blobs.
    pub local: bool,
    /// Where it was last pulled from.
    pub origin: Option<Origin>,
    /// For an image that was made here over a pulled one: where the layers are that are not among the blobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Origin>,
    /// Layers that are among the blobs, of an image that is not `local`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
}

/// A repository that has the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `docker.io`.
    pub registry: String,
    /// `library/busybox`.
    pub repository: String,
    /// `sha256:…` of its manifest there.
    pub digest: String,
    /// A login was given for the pull.
    pub login: bool,
}

impl Entry {
    /// The manifest, parsed.
    pub fn parsed(&self) -> Result<Manifest, ImageError> {
        match Document::parse(self.manifest.as_bytes(), &self.image.id)? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => {
                Err(ImageError::Internal(format!("{}: the record holds a list", self.image.id)))
            }
        }
    }

    /// Whether a layer of it is among the blobs.
    pub fn has(&self, digest: &str) -> bool {
        self.local || self.own.iter().any(|own| own == digest)
    }

    /// Where its other layers are.
    pub fn source(&self) -> Option<&Origin> {
        self.origin.as_ref().or(self.base.as_ref())
    }

    /// The blobs on disk that it needs.
    pub fn blobs(&self) -> Result<HashSet<String>, ImageError> {
        if !self.local {
            return Ok(self.own.iter().cloned().collect());
        }
        Ok(self.parsed()?.layers.into_iter().map(|layer| layer.digest).collect())
    }
}
