//! Volumes and blobs. The meaning of each item: `wit/storage.wit`.

use crate::{Cursor, Result, error::unsupported};

pub use crate::bindings::exports::sockerless::backend::storage::{
    BlobInfo, BlobPage, MountRequest, MountSource, PreparedMount, Volume, VolumePage, VolumeUsage,
};

/// Data that outlives a workload.
pub trait Storage {
    /// Makes a volume; the same again is no error.
    ///
    /// # Errors
    /// The provider's.
    fn create_volume(&self, volume: Volume) -> Result<()> {
        let _ = volume;
        unsupported("volumes")
    }

    /// Removes a volume with its data; no error when it is gone.
    ///
    /// # Errors
    /// The provider's.
    fn remove_volume(&self, owner: String, name: String) -> Result<()> {
        let _ = (owner, name);
        unsupported("volumes")
    }

    /// All volumes of an owner.
    ///
    /// # Errors
    /// The provider's.
    fn volumes(&self, owner: String, cursor: Option<Cursor>) -> Result<VolumePage> {
        let _ = (owner, cursor);
        unsupported("volumes")
    }

    /// How much a volume holds.
    ///
    /// # Errors
    /// `not-found` when there is no such volume.
    fn usage(&self, owner: String, name: String) -> Result<VolumeUsage> {
        let _ = (owner, name);
        unsupported("volumes")
    }

    /// Prepares a mount for a job's spec.
    ///
    /// # Errors
    /// `not-found` when there is no such volume.
    fn mount(&self, request: MountRequest) -> Result<PreparedMount> {
        let _ = request;
        unsupported("mounts")
    }

    /// Writes a whole blob.
    ///
    /// # Errors
    /// The provider's.
    fn put(&self, path: String, content: Vec<u8>) -> Result<()> {
        let _ = (path, content);
        unsupported("blobs")
    }

    /// Reads at most `length` bytes of a blob from `offset` on.
    ///
    /// # Errors
    /// `not-found` when there is no such blob.
    fn get(&self, path: String, offset: u64, length: u32) -> Result<Vec<u8>> {
        let _ = (path, offset, length);
        unsupported("blobs")
    }

    /// Looks for a blob.
    ///
    /// # Errors
    /// The provider's; that there is none is no error.
    fn stat(&self, path: String) -> Result<Option<BlobInfo>> {
        let _ = path;
        unsupported("blobs")
    }

    /// Removes a blob; no error when it is gone.
    ///
    /// # Errors
    /// The provider's.
    fn delete_blob(&self, path: String) -> Result<()> {
        let _ = path;
        unsupported("blobs")
    }

    /// The blobs below a path.
    ///
    /// # Errors
    /// The provider's.
    fn blobs(&self, prefix: String, cursor: Option<Cursor>) -> Result<BlobPage> {
        let _ = (prefix, cursor);
        unsupported("blobs")
    }
}
