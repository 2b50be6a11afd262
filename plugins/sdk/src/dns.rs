//! Names in the private network. The meaning of each item: `wit/dns.wit`.

use crate::{Cursor, Result, error::unsupported};

pub use crate::bindings::exports::sockerless::backend::dns::{AddressRecord, Zone, ZonePage};

/// Zones and address records.
pub trait Dns {
    /// Makes the zone if it is not there.
    ///
    /// # Errors
    /// `already-exists` for one of another owner; `unsupported` without a private network.
    fn ensure_zone(&self, zone: Zone) -> Result<()> {
        let _ = zone;
        unsupported("DNS zones")
    }

    /// Removes the zone with its records; no error when it is gone.
    ///
    /// # Errors
    /// The provider's.
    fn delete_zone(&self, zone: String) -> Result<()> {
        let _ = zone;
        unsupported("DNS zones")
    }

    /// Sets all addresses of a name.
    ///
    /// # Errors
    /// `not-found` when there is no such zone.
    fn upsert(&self, zone: String, record: AddressRecord) -> Result<()> {
        let _ = (zone, record);
        unsupported("DNS records")
    }

    /// Removes a name; no error when it is gone.
    ///
    /// # Errors
    /// The provider's.
    fn remove_record(&self, zone: String, name: String) -> Result<()> {
        let _ = (zone, name);
        unsupported("DNS records")
    }

    /// The address records of a zone.
    ///
    /// # Errors
    /// `not-found` when there is no such zone.
    fn records(&self, zone: String) -> Result<Vec<AddressRecord>> {
        let _ = zone;
        unsupported("DNS records")
    }

    /// All zones of an owner.
    ///
    /// # Errors
    /// The provider's.
    fn zones(&self, owner: String, cursor: Option<Cursor>) -> Result<ZonePage> {
        let _ = (owner, cursor);
        unsupported("DNS zones")
    }
}
