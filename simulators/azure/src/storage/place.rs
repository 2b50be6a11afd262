//! Paths inside a share: names are found without regard to case, as SMB has it, and kept as they were given.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a path leads on this disk.
#[derive(Debug)]
pub struct Place {
    /// The path, spelled as on the disk as far as it exists.
    pub path: PathBuf,
    /// The folder it is in exists.
    pub has_parent: bool,
}

/// Resolves a path below a folder.
///
/// # Errors
/// `InvalidInput` for a path that leads out of it.
pub fn resolve(root: &Path, path: &str) -> io::Result<Place> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| *part == "." || *part == ".." || part.contains('\0')) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut place = root.to_owned();
    let mut has_parent = true;
    for (index, part) in parts.iter().enumerate() {
        if has_parent {
            place = child(&place, part);
        } else {
            place.push(part);
        }
        if index + 1 < parts.len() && has_parent {
            has_parent = place.is_dir();
        }
    }
    Ok(Place { path: place, has_parent })
}

/// The path of a name in a folder, by another spelling if that is there.
pub fn child(folder: &Path, name: &str) -> PathBuf {
    let exact = folder.join(name);
    if exact.symlink_metadata().is_ok() {
        return exact;
    }
    let wanted = name.to_lowercase();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let other = entries
        .into_iter()
        .find(|entry| entry.file_name().to_str().is_some_and(|known| known.to_lowercase() == wanted));
    other.map_or(exact, |entry| entry.path())
}

/// Bytes of all files below a folder.
///
/// # Errors
/// The disk's.
pub fn usage(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                open.push(entry.path());
            } else {
                total += found.len();
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_regard_to_case() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("Folder")).unwrap();
        fs::write(root.path().join("Folder/File.txt"), "12345").unwrap();
        let found = resolve(root.path(), "folder/FILE.TXT").unwrap();
        assert_eq!((found.path, found.has_parent), (root.path().join("Folder/File.txt"), true));
        let missing = resolve(root.path(), "none/file").unwrap();
        assert!(!missing.has_parent);
        assert!(resolve(root.path(), "a/../../b").is_err());
        assert_eq!(usage(root.path()).unwrap(), 5);
    }
}
