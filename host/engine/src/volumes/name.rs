//! Names of volumes.

use crate::{Error, ErrorKind, Result};

/// Errors: 400 in dockerd's words for a name that is too short or has characters that none may have.
pub(crate) fn check(name: &str) -> Result<()> {
    if name.len() == 1 {
        let words = "volume name is too short, names should be at least two alphanumeric characters";
        return Err(Error::new(ErrorKind::Invalid, words));
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inside) {
        return Ok(());
    }
    let words = format!(
        "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    );
    Err(Error::new(ErrorKind::Invalid, words))
}
