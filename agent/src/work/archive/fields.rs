//! What stands in the headers of a tar archive.

use sockerless_agent_wire::request::{Fault, FaultKind};
use sockerless_pax as pax;
use tar::Header;

use super::header::Member;
use crate::work::fault::fault;

/// A header's number.
pub fn number(field: &[u8]) -> Result<i64, Fault> {
    pax::number(field).ok_or_else(invalid)
}

/// How many bytes follow a header.
pub fn size(header: &Header) -> Result<u64, Fault> {
    pax::unsigned(&header.as_bytes()[124..136]).ok_or_else(invalid)
}

/// The records of an extended header.
pub fn records(bytes: &[u8]) -> Result<Vec<pax::Record>, Fault> {
    pax::records(bytes).ok_or_else(invalid)
}

impl Member {
    /// Applies a record of an extended header.
    pub fn amend(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Fault> {
        let number =
            || std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok()).ok_or_else(invalid);
        let id = || u32::try_from(number()?).map_err(|_| invalid());
        match key.as_slice() {
            b"path" => self.name = value,
            b"linkpath" => self.link = value,
            b"uid" => self.uid = id()?,
            b"gid" => self.gid = id()?,
            b"size" => self.size = number()?,
            b"mtime" => self.modified = pax::seconds(&value).ok_or_else(invalid)?,
            b"atime" => self.accessed = Some(pax::seconds(&value).ok_or_else(invalid)?),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(fault(FaultKind::Invalid, "sparse files in archives are not supported"));
            }
            key => {
                if let Some(name) = key.strip_prefix(pax::ATTRIBUTE.as_bytes()) {
                    self.attributes.push((name.to_owned(), value));
                }
            }
        }
        Ok(())
    }
}

/// What Go's reader says of a header that it cannot read.
pub fn invalid() -> Fault {
    fault(FaultKind::Invalid, "archive/tar: invalid tar header")
}
