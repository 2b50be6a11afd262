//! Volumes and blobs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Labels, Page, Result};

/// Volumes and blobs. See `wit/storage.wit`.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Makes a volume; the same again is no error.
    async fn create_volume(&self, volume: &Volume) -> Result<()>;
    /// Removes a volume with its data.
    async fn remove_volume(&self, owner: &str, name: &str) -> Result<()>;
    /// All volumes of an owner.
    async fn volumes(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Volume>>;
    /// How much a volume holds.
    async fn usage(&self, owner: &str, name: &str) -> Result<Usage>;
    /// Prepares a mount for a job's spec.
    async fn mount(&self, request: &MountRequest) -> Result<Mount>;
    /// Writes a whole blob.
    async fn put(&self, path: &str, content: &[u8]) -> Result<()>;
    /// Reads at most `length` bytes from `offset` on.
    async fn get(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>>;
    /// None when there is no such blob.
    async fn stat(&self, path: &str) -> Result<Option<BlobInfo>>;
    /// Removing what is gone is no error.
    async fn delete_blob(&self, path: &str) -> Result<()>;
    /// The blobs below a path.
    async fn blobs(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<BlobInfo>>;
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique for the owner.
    pub name: String,
    /// Which daemon it belongs to.
    pub owner: String,
    /// Kept with the volume.
    pub labels: Labels,
    /// Options that the host does not know itself.
    pub options: Labels,
}

/// How much a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the files' sizes.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
}

/// A wish to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// What.
    pub source: MountSource,
    /// Which daemon's.
    pub owner: String,
    /// Writes are refused.
    pub read_only: bool,
    /// Files can be executed.
    pub executable: bool,
    /// A start with this mount has failed since it was last prepared: what the provider was told for it may be out of date.
    pub renew: bool,
}

/// What can be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume, by name.
    Volume(String),
    /// All blobs below a path, as files.
    Blobs(String),
}

/// A mount, opaque to all but the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Opaque.
    pub state: String,
}

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: Option<u64>,
}
