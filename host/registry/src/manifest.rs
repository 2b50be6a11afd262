//! Manifests, lists of manifests and configurations (OCI image specification 1.1, Docker v2 schema 2).
//!
//! Only what is used is read; the bytes themselves are kept and passed on unchanged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sockerless_ports::registry::{History, Image, ImageConfig, ImageError};

use crate::digest;

/// OCI's image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's list of manifests.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list of manifests.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI's configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer in gzip.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A thing by digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// Bytes.
    #[serde(default)]
    pub size: u64,
    /// In lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformSpec>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest of a list is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlatformSpec {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// Often missing in OCI's.
    #[serde(default)]
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// Base first.
    pub layers: Vec<Descriptor>,
}

/// A list of manifests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Index {
    /// One for each platform.
    pub manifests: Vec<Descriptor>,
}

/// Manifest or list.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Of one image.
    Manifest(Manifest),
    /// Of several.
    Index(Index),
}

impl Document {
    /// Reads either. Digests in it are SHA-256 in their written form.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let bad = |why: String| ImageError::Unavailable(format!("{what}: {why}"));
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|e| bad(format!("the manifest is no JSON: {e}")))?;
        let read = |e: serde_json::Error| bad(format!("the manifest cannot be read: {e}"));
        let document = if value.get("manifests").is_some() {
            Self::Index(serde_json::from_value(value).map_err(read)?)
        } else if value.get("schemaVersion") == Some(&1.into()) {
            return Err(bad(
                "the image is in Docker's schema 1, which is no longer supported: pull and push it again \
                with a current Docker"
                    .into(),
            ));
        } else {
            Self::Manifest(serde_json::from_value(value).map_err(read)?)
        };
        let descriptors: Vec<&Descriptor> = match &document {
            Self::Index(index) => index.manifests.iter().collect(),
            Self::Manifest(manifest) => manifest.layers.iter().chain([&manifest.config]).collect(),
        };
        match descriptors.iter().find(|d| digest::digits(&d.digest).is_none()) {
            Some(d) => Err(bad(format!("unsupported digest {:?} in the manifest", d.digest))),
            None => Ok(document),
        }
    }
}

/// An image's configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigFile {
    created: Option<String>,
    author: Option<String>,
    comment: Option<String>,
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v8`.
    pub variant: Option<String>,
    config: Option<ImageConfig>,
    /// The layers.
    pub rootfs: RootFs,
    history: Option<Vec<HistoryEntry>>,
}

/// The layers of a configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// `sha256:…` of each layer uncompressed.
    pub diff_ids: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct HistoryEntry {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    empty_layer: bool,
}

impl ConfigFile {
    /// Reads it, or says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("the image's configuration cannot be read: {e}"))
    }

    /// The image with this configuration, without names.
    pub fn image(self, id: String, manifest_digest: String, layers: &[Descriptor]) -> Image {
        let mut sizes = layers.iter().map(|layer| layer.size);
        let history = self.history.unwrap_or_default().into_iter().map(|entry| History {
            created: entry.created.unwrap_or_default(),
            created_by: entry.created_by.unwrap_or_default(),
            comment: entry.comment.unwrap_or_default(),
            empty_layer: entry.empty_layer,
            size: if entry.empty_layer { 0 } else { sizes.next().unwrap_or_default() },
        });
        Image {
            id,
            manifest_digest,
            history: history.collect(),
            created: self.created.unwrap_or_default(),
            size: layers.iter().map(|layer| layer.size).sum(),
            architecture: self.architecture,
            os: self.os,
            variant: self.variant.unwrap_or_default(),
            config: self.config.unwrap_or_default(),
            diff_ids: self.rootfs.diff_ids,
            author: self.author.unwrap_or_default(),
            comment: self.comment.unwrap_or_default(),
            ..Image::default()
        }
    }
}

/// The manifest of layers that are kept here, with its bytes.
pub fn build(config: &[u8], layers: Vec<Descriptor>) -> Result<(Manifest, String), ImageError> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: OCI_MANIFEST.into(),
        config: Descriptor {
            media_type: OCI_CONFIG.into(),
            digest: digest::of(config),
            size: config.len() as u64,
            ..Descriptor::default()
        },
        layers,
    };
    let text = serde_json::to_string(&manifest)
        .map_err(|e| ImageError::Internal(format!("writing a manifest: {e}")))?;
    Ok((manifest, text))
}
