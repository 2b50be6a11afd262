//! A cloud, as the engine sees it: the newest version of the WIT contract in plain Rust.
//!
//! The meaning of each item is written down once, in `wit/`; here stand only the shapes.

mod dns;
mod error;
mod jobs;
mod manifest;
mod storage;

use std::sync::Arc;

use async_trait::async_trait;

pub use dns::{AddressRecord, Dns, Zone};
pub use error::{Error, ErrorCode};
pub use jobs::{
    CloudLogEntry, JobContainer, JobHandle, JobSpec, JobStatus, JobVolume, Jobs, LogPage, MountPoint, Phase,
    Probe, ProbeAction, VolumeSource, WorkloadKind,
};
pub use manifest::{
    Check, Features, HttpGrant, ImageSources, Limits, Manifest, Setting, Size, Verdict, VolumeDriver,
};
pub use storage::{BlobInfo, Mount, MountRequest, MountSource, Storage, Usage, Volume};

/// A loaded backend. Calls may run concurrently; none of them waits for a long-running
/// operation of the cloud.
#[async_trait]
pub trait Backend: Jobs + Dns + Storage {
    /// What the backend says of itself. Changes when it is swapped.
    fn manifest(&self) -> Arc<Manifest>;
    /// Where images may come from.
    async fn images(&self) -> Result<ImageSources>;
    /// Looks at the account with read-only calls.
    async fn doctor(&self) -> Result<Vec<Check>>;
}

/// A backend's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// An ordered list of keys and values.
pub type Labels = Vec<(String, String)>;

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// This page's items.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}
