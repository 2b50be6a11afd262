//! Names in the VPC.

use sockerless_plugin_sdk::{
    Cursor, Dns, Error, ErrorCode, Result,
    dns::{AddressRecord, Zone, ZonePage},
};

use crate::CloudRun;

fn later<T>() -> Result<T> {
    Err(Error::new(
        ErrorCode::Unsupported,
        "DNS zones on Google Cloud come with a later version of this plugin; the agents resolve the names between containers",
    ))
}

impl Dns for CloudRun {
    fn ensure_zone(&self, _zone: Zone) -> Result<()> {
        later()
    }
    fn delete_zone(&self, _zone: String) -> Result<()> {
        later()
    }
    fn upsert(&self, _zone: String, _record: AddressRecord) -> Result<()> {
        later()
    }
    fn remove_record(&self, _zone: String, _name: String) -> Result<()> {
        later()
    }
    fn records(&self, _zone: String) -> Result<Vec<AddressRecord>> {
        later()
    }
    fn zones(&self, _owner: String, _cursor: Option<Cursor>) -> Result<ZonePage> {
        later()
    }
}
