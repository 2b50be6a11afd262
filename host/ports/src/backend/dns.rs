//! Names in the private network.

use async_trait::async_trait;

use super::{Labels, Page, Result};

/// Names in the private network. See `wit/dns.wit`.
#[async_trait]
pub trait Dns: Send + Sync + 'static {
    /// Makes the zone if it is not there.
    async fn ensure_zone(&self, zone: &Zone) -> Result<()>;
    /// Removes the zone with its records.
    async fn delete_zone(&self, zone: &str) -> Result<()>;
    /// Sets all addresses of a name.
    async fn upsert(&self, zone: &str, record: &AddressRecord) -> Result<()>;
    /// Removes a name.
    async fn remove_record(&self, zone: &str, name: &str) -> Result<()>;
    /// The records of a zone.
    async fn records(&self, zone: &str) -> Result<Vec<AddressRecord>>;
    /// All zones of an owner.
    async fn zones(&self, owner: &str, cursor: Option<&str>) -> Result<Page<Zone>>;
}

/// A zone: one for each network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Unique in the account.
    pub name: String,
    /// Domain with its final dot.
    pub domain: String,
    /// Which daemon it belongs to.
    pub owner: String,
    /// Kept with the zone.
    pub labels: Labels,
}

/// An address record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRecord {
    /// Relative to the zone's domain.
    pub name: String,
    /// IPv4 in dotted form.
    pub addresses: Vec<String>,
    /// Seconds that a resolver may keep it.
    pub ttl_seconds: u32,
}
