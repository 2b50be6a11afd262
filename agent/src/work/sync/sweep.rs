//! Removing from the storage what no version needs.

use std::{
    collections::HashSet,
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    packs,
    version::{self, Id, Version},
};
use crate::say;

/// Removes packs and versions that none of these needs and that are older than `keep`: younger ones may belong to somebody
/// whose version is not known here yet. What cannot be removed stays until the next time.
pub fn sweep(store: &Path, kept: &[(Option<Id>, &Version)], keep: Duration) {
    let versions: HashSet<String> = kept.iter().filter_map(|(id, _)| id.map(hex::encode)).collect();
    let needed: HashSet<String> =
        kept.iter().flat_map(|(_, version)| &version.packs).map(|pack| hex::encode(pack.id)).collect();
    for (folder, needed) in [(version::folder(store), versions), (packs::folder(store), needed)] {
        match clear(&folder, &needed, keep) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                say!("{}: what is not needed any more stays: {error}", folder.display());
            }
            _ => {}
        }
    }
}

fn clear(folder: &Path, needed: &HashSet<String>, keep: Duration) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
            continue;
        }
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age >= keep {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
