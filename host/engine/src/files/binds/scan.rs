//! What is on the user's side at this moment.

use std::{
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use sockerless_ports::link::listing::Listed;

use super::{disk, ignore::Ignore, merge::Tree};
use crate::{Error, ErrorKind, Result};

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Resolved.
    pub source: PathBuf,
    pub is_file: bool,
    pub ignore: Ignore,
    /// What is not part of it, with all below: from the directory on.
    pub except: Vec<Vec<u8>>,
    /// The container's short id.
    pub tag: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub tree: Tree,
    /// Bytes of all files.
    pub bytes: u64,
    /// Sockets and devices, which cannot be copied.
    pub left_out: u64,
}

impl Scope {
    /// Whether something belongs to it.
    pub fn has(&self, path: &[u8]) -> bool {
        !self.is_excepted(path) && (path.is_empty() || !self.ignore.has(path))
    }

    fn is_excepted(&self, path: &[u8]) -> bool {
        let within = |except: &Vec<u8>| {
            path.strip_prefix(except.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        disk::is_draft(name) || self.except.iter().any(within)
    }

    /// Looks at everything. Errors: 403-like words of the disk for what cannot be looked at, with its path.
    pub fn scan(&self) -> Result<Found> {
        let mut found = Found::default();
        if self.is_file {
            let meta = fs::symlink_metadata(&self.source).map_err(|error| failed(&self.source, &error))?;
            if meta.is_file() {
                found.add(Listed::new(b"", &meta));
            }
            return Ok(found);
        }
        self.directory(&self.source, b"", &mut found)?;
        Ok(found)
    }

    fn directory(&self, directory: &Path, path: &[u8], found: &mut Found) -> Result<()> {
        let entries = match fs::read_dir(directory) {
            // It has just gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_empty() => return Ok(()),
            entries => entries.map_err(|error| failed(directory, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(directory, &error))?;
            let (name, place) = (entry.file_name().into_vec(), entry.path());
            let path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
            if disk::is_own_draft(&name, &self.tag) {
                remove_draft(&place);
            }
            if self.is_excepted(&path) {
                continue;
            }
            let meta = match fs::symlink_metadata(&place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                meta => meta.map_err(|error| failed(&place, &error))?,
            };
            let stays = self.ignore.has(&path);
            if !stays {
                let mut listed = Listed::new(&*path, &meta);
                if meta.is_symlink() {
                    match fs::read_link(&place) {
                        Ok(target) => listed.target = target.as_os_str().as_bytes().to_vec(),
                        Err(_) => continue,
                    }
                }
                found.add(listed);
            }
            if meta.is_dir() && (!stays || self.ignore.has_exceptions()) {
                self.directory(&place, &path, found)?;
            }
        }
        Ok(())
    }
}

impl Found {
    fn add(&mut self, listed: Listed) {
        if is_copied(&listed) {
            self.bytes += listed.size;
            self.tree.insert(listed.path.clone(), listed);
        } else {
            self.left_out += 1;
        }
    }
}

/// Files, directories, links and named pipes; not sockets and devices.
pub(super) fn is_copied(listed: &Listed) -> bool {
    listed.is_file() || listed.is_directory() || listed.is_symlink() || listed.is_fifo()
}

/// What an earlier daemon was writing when it was killed.
fn remove_draft(place: &Path) {
    if let Err(error) = fs::remove_file(place) {
        tracing::warn!(path = %place.display(), %error, "a file that was not written to its end stays behind");
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn scope(folder: &tempfile::TempDir, ignore: &str, except: &[&str]) -> Scope {
        Scope {
            source: folder.path().to_owned(),
            is_file: false,
            ignore: Ignore::parse(ignore).unwrap(),
            except: except.iter().map(|path| path.as_bytes().to_vec()).collect(),
            tag: "c0ffee".into(),
        }
    }

    fn paths(found: &Found) -> Vec<String> {
        found.tree.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    #[test]
    fn everything_is_found_but_what_stays_at_home() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["src/deep", "target/debug", "node_modules/mine", "cache"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in
            ["src/a", "src/deep/b", "target/debug/c", "node_modules/d", "node_modules/mine/e", "cache/f"]
        {
            fs::write(at(path), "12345").unwrap();
        }
        symlink("/etc", at("src/link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::write(at(".sockerless-c0ffee-00.partial"), "").unwrap();
        fs::write(at(".sockerless-other-00.partial"), "").unwrap();
        let found = scope(&folder, "target\nnode_modules\n!node_modules/mine", &["cache"]).scan().unwrap();
        let expected = [
            "node_modules/mine",
            "node_modules/mine/e",
            "src",
            "src/a",
            "src/deep",
            "src/deep/b",
            "src/link",
        ];
        assert_eq!(paths(&found), expected);
        assert_eq!((found.bytes, found.left_out), (15, 1));
        assert_eq!(found.tree[&b"src/link"[..]].target, b"/etc");
        assert!(!at(".sockerless-c0ffee-00.partial").exists() && at(".sockerless-other-00.partial").exists());
        let scope = scope(&folder, "target", &["cache"]);
        assert!(scope.has(b"src/a") && scope.has(b"cached") && scope.has(b""));
        assert!(!scope.has(b"target/x") && !scope.has(b"cache") && !scope.has(b"cache/f"));
    }

    #[test]
    fn a_file_alone_is_found_under_the_empty_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("conf");
        fs::write(&file, "123").unwrap();
        let alone = Scope { source: file, is_file: true, ..scope(&folder, "*", &[]) };
        let found = alone.scan().unwrap();
        assert_eq!((paths(&found), found.bytes), (vec![String::new()], 3));
        let gone = Scope { source: folder.path().join("none"), ..alone };
        assert!(gone.scan().unwrap_err().message.contains("/none: No such file"));
    }
}
