//! What a layer removes.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    hash::{BuildHasher, RandomState},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use sockerless_agent_wire::request::{Fault, FaultKind};

use crate::work::{
    fault::{failed, fault},
    files::path::Root,
};

/// Removes the one whose name follows.
const REMOVED: &[u8] = b".wh.";
/// Removes everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Else what begins so is of no use to anybody but the union file system of long ago.
const METADATA: &[u8] = b".wh..wh.";

/// Whether a path is such metadata, or below some.
pub fn is_metadata(path: &Path, target: &Path) -> bool {
    let relative = path.strip_prefix(target).unwrap_or(path);
    let first = relative.components().next().map(|part| part.as_os_str().as_bytes());
    first.is_some_and(|name| name.starts_with(METADATA) && name != OPAQUE)
}

/// What the layer itself has brought: that is not removed by it.
#[derive(Default)]
pub struct Whiteouts {
    kept: HashSet<u64>,
    hasher: RandomState,
}

impl Whiteouts {
    /// Notes what was unpacked.
    pub fn keep(&mut self, path: &Path) {
        self.kept.insert(self.hasher.hash_one(path));
    }

    fn is_kept(&self, path: &Path) -> bool {
        self.kept.contains(&self.hasher.hash_one(path))
    }

    /// Removes what a name says; false if it says nothing of the kind.
    pub fn apply(&self, root: &Root, directory: &Path, name: &OsStr) -> Result<bool, Fault> {
        let bytes = name.as_bytes();
        if bytes == OPAQUE {
            self.clear(root, directory)?;
        } else if let Some(name) = bytes.strip_prefix(REMOVED) {
            if matches!(name, b"" | b"." | b"..") {
                let message = format!("invalid whiteout in {:?}", directory.display().to_string());
                return Err(fault(FaultKind::Invalid, message));
            }
            remove(root, &directory.join(OsStr::from_bytes(name)))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Removes what is in a directory and not from this layer.
    fn clear(&self, root: &Root, directory: &Path) -> Result<(), Fault> {
        let step = |error: io::Error| failed(format_args!("open {}", directory.display()), &error);
        for entry in fs::read_dir(root.place(directory)).map_err(step)? {
            let entry = entry.map_err(step)?;
            let path = directory.join(entry.file_name());
            let is_directory = entry.file_type().map_err(step)?.is_dir();
            if !self.is_kept(&path) {
                remove(root, &path)?;
            } else if is_directory {
                self.clear(root, &path)?;
            }
        }
        Ok(())
    }
}

fn remove(root: &Root, path: &Path) -> Result<(), Fault> {
    let place = root.place(path);
    let removed = match fs::symlink_metadata(&place) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&place),
        Ok(_) => fs::remove_file(&place),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(format_args!("unlinkat {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}
