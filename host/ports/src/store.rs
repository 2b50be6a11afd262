//! Durable records: the daemon's truth.

use async_trait::async_trait;

/// Keeps records by kind and key. A record's content is the engine's business (JSON).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// All records of a kind, in the order of their keys.
    async fn load(&self, kind: Kind) -> Result<Vec<Record>, StoreError>;

    /// Makes all changes or none. Returns once they survive a power cut.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError>;
}

/// What a record is about. The name is the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Facts of the daemon itself: its owner id.
    Daemon,
    /// Containers.
    Container,
    /// What was begun in the cloud and is not yet known to have ended.
    Intent,
    /// Further processes in containers.
    Exec,
    /// Networks.
    Network,
    /// Volumes.
    Volume,
    /// Names and configurations of images.
    Image,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Daemon, Self::Container, Self::Intent, Self::Exec, Self::Network, Self::Volume, Self::Image];

    /// The name of the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Container => "container",
            Self::Intent => "intent",
            Self::Exec => "exec",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Unique within the kind.
    pub key: String,
    /// JSON.
    pub content: String,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes it, whether it was there or not.
    Put(Kind, Record),
    /// Removes it; no error when it is not there.
    Delete(Kind, String),
}

/// Why the store failed. The daemon cannot promise anything after that.
#[derive(Debug, Clone, thiserror::Error)]
#[error("state: {0}")]
pub struct StoreError(pub String);
