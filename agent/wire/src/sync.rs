//! Synced volumes: a directory on the container's own disk, and the folder in the cloud's storage that keeps it.

use serde::{Deserialize, Serialize};

/// Brings what the storage keeps into a directory, or back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Where the storage's folder is mounted.
    pub store: String,
    /// The directory; made when missing.
    pub path: String,
    /// The part of the volume that it shows: a path in it; empty for all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// The version of the volume that counts now; none for one that holds nothing yet.
    pub head: Option<String>,
    /// What has come into the volume is brought in.
    pub inwards: bool,
    /// What was changed in the directory is written to the storage, as a new version.
    pub back: bool,
    /// The first time, a volume that holds nothing gets what is in the directory, as Docker fills it from the image.
    pub fill: bool,
    /// Names the version of a file that is kept beside another one: the container's short id.
    pub label: String,
    /// Directories in it that are other volumes: absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What no version has needed for this many seconds is removed from the storage.
    pub keep: u64,
}

/// What was done; as JSON, the output of [`crate::request::Request::Sync`]. Blanks come before it, one now and then as long as
/// something moves: a turn that takes hours is told from one that hangs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// The version that was written: counts once the daemon has made it the volume's. None if there was nothing to write.
    pub version: Option<String>,
    /// Files of the volume.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Names that were put or taken away in the directory.
    pub changed: u64,
    /// Bytes that were written to the directory.
    pub came: u64,
    /// Bytes that were written to the storage.
    pub went: u64,
    /// Where versions of files are that others had changed at the same time: the first of them.
    pub conflicts: Vec<String>,
    /// How many there are.
    pub conflict_count: u64,
    /// What is in the directory and cannot be kept, with the reason: the first of it.
    pub left_out: Vec<String>,
    /// How much there is.
    pub left_out_count: u64,
    /// How many files could not be given to their owner, for want of rights.
    pub not_owned: u64,
}
