//! What is on the user's side at this moment.

use std::{
    ffi::OsStr,
    fmt::Display,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, Mode, openat, unlinkat},
    io::Errno,
};
use sockerless_ports::link::listing::Listed;

use super::{
    disk::{self, DIRECTORY, Opened},
    ignore::Ignore,
    merge::Tree,
};
use crate::{Error, ErrorKind, Result, tuning};

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub root: Arc<Opened>,
    pub ignore: Ignore,
    /// Where the patterns come from: the user's alone, whatever the container makes of it.
    pub ignore_file: Option<Vec<u8>>,
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
    held: Held,
}

impl Scope {
    /// Whether something belongs to it.
    pub fn has(&self, path: &[u8]) -> bool {
        !self.is_excepted(path) && (path.is_empty() || !self.ignore.has(path))
    }

    /// Whether the container may change something on the user's side.
    pub fn may_change(&self, path: &[u8]) -> bool {
        let own = self.ignore_file.as_deref().and_then(|own| path.strip_prefix(own));
        own.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(b"/"))
    }

    fn is_excepted(&self, path: &[u8]) -> bool {
        let within = |except: &Vec<u8>| {
            path.strip_prefix(except.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        disk::is_draft(name) || self.except.iter().any(within)
    }

    /// Looks at everything. Errors: the disk's words for what cannot be looked at, with its path; more than
    /// [`tuning::BIND_LISTED`] allows.
    pub fn scan(&self) -> Result<Found> {
        let mut found = Found::default();
        match self.root.file() {
            Some(name) => match disk::look(self.root.directory(), name, b"") {
                Ok(listed) if listed.is_file() => found.add(listed),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => return Err(self.failed(b"", error)),
            },
            None => self.directory(self.root.directory(), b"", 0, &mut found)?,
        }
        Ok(found)
    }

    fn directory(
        &self,
        directory: BorrowedFd<'_>,
        path: &[u8],
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
        if depth > tuning::BIND_DEPTH {
            return Err(Error::new(ErrorKind::Invalid, format!("{}: {}", self.show(path), disk::too_deep())));
        }
        // All at once, so that no more than one descriptor is open for each directory on the way.
        let names = names(directory).map_err(|error| self.failed(path, error))?;
        for name in names {
            let path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
            if disk::is_own_draft(&name, &self.tag) {
                self.remove_draft(directory, &name, &path);
            }
            if self.is_excepted(&path) {
                continue;
            }
            let listed = match disk::look(directory, &name, &path) {
                // It has just gone, or become something else.
                Err(Errno::NOENT | Errno::INVAL) => continue,
                listed => listed.map_err(|error| self.failed(&path, error))?,
            };
            let (stays, is_directory) = (self.ignore.has(&path), listed.is_directory());
            if !stays {
                found.held.add(&listed, &self.root.path().display())?;
                found.add(listed);
            }
            if is_directory && (!stays || self.ignore.has_exceptions()) {
                match openat(directory, name.as_slice(), DIRECTORY, Mode::empty()) {
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(self.failed(&path, error)),
                    Ok(below) => self.directory(below.as_fd(), &path, depth + 1, found)?,
                }
            }
        }
        Ok(())
    }

    /// What an earlier daemon was writing when it was killed.
    fn remove_draft(&self, directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) {
        if let Err(error) = unlinkat(directory, name, AtFlags::empty()) {
            let path = self.show(path);
            tracing::warn!(path, %error, "a file that was not written to its end stays behind");
        }
    }

    fn show(&self, path: &[u8]) -> String {
        let root = self.root.path();
        match path {
            [] => root.display().to_string(),
            path => root.join(OsStr::from_bytes(path)).display().to_string(),
        }
    }

    fn failed(&self, path: &[u8], error: Errno) -> Error {
        Error::new(ErrorKind::Internal, format!("{}: {}", self.show(path), io::Error::from(error)))
    }
}

fn names(directory: BorrowedFd<'_>) -> std::result::Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// How much one side holds, by what a list of it has: the daemon holds that in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    things: usize,
    bytes: usize,
}

impl Held {
    /// Counts one more. Errors: that is more than may be, of `whose`.
    pub fn add(&mut self, listed: &Listed, whose: &dyn Display) -> Result<()> {
        self.things += 1;
        self.bytes += listed.path.len() + listed.target.len();
        if self.things <= tuning::BIND_LISTED && self.bytes <= tuning::BIND_LISTED_BYTES {
            return Ok(());
        }
        let message = format!(
            "{whose} holds more than {} files and directories, or more than {} bytes of names: leave out what is not needed on \
             both sides (a file {} in the directory, or the label sockerless.binds.exclude), or use a volume",
            tuning::BIND_LISTED,
            tuning::BIND_LISTED_BYTES,
            tuning::BIND_IGNORE,
        );
        Err(Error::new(ErrorKind::Invalid, message))
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    fn open(path: &Path, was_file: Option<bool>) -> Arc<Opened> {
        Arc::new(Opened::open(path, was_file, false).unwrap())
    }

    fn scope(folder: &tempfile::TempDir, ignore: &str, except: &[&str]) -> Scope {
        Scope {
            root: open(&folder.path().canonicalize().unwrap(), None),
            ignore: Ignore::parse(ignore).unwrap(),
            ignore_file: None,
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
        let alone = Scope { root: open(&file.canonicalize().unwrap(), None), ..scope(&folder, "*", &[]) };
        let found = alone.scan().unwrap();
        assert_eq!((paths(&found), found.bytes), (vec![String::new()], 3));
        fs::remove_file(&file).unwrap();
        assert!(alone.scan().unwrap().tree.is_empty());
        symlink("/etc/passwd", &file).unwrap();
        assert!(alone.scan().unwrap().tree.is_empty(), "nothing but a file is one");
    }

    #[test]
    fn what_takes_the_directorys_place_is_not_looked_at() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().canonicalize().unwrap().join("work");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mine"), "").unwrap();
        fs::write(outside.path().join("secret"), "").unwrap();
        let scope = Scope { root: open(&path, None), ..scope(&folder, "", &[]) };
        fs::rename(&path, folder.path().join("moved")).unwrap();
        symlink(outside.path(), &path).unwrap();
        assert_eq!(paths(&scope.scan().unwrap()), ["mine"]);
    }

    #[test]
    fn more_than_the_daemon_can_hold_is_refused_with_what_to_do() {
        let named = |path: &[u8]| Listed { path: path.to_vec(), ..Listed::default() };
        let mut held = Held { things: tuning::BIND_LISTED - 1, bytes: 0 };
        held.add(&named(b"a"), &"/work").unwrap();
        let error = held.add(&named(b"b"), &"/work").unwrap_err();
        assert!(error.message.contains("/work holds more than") && error.message.contains("binds.exclude"));
        let mut held = Held { things: 0, bytes: tuning::BIND_LISTED_BYTES - 1 };
        held.add(&named(b"a"), &"/work").unwrap();
        assert!(held.add(&named(b"b"), &"/work").is_err());
    }

    #[test]
    fn a_directory_below_too_many_others_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d/".repeat(tuning::BIND_DEPTH));
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(scope(&folder, "", &[]).scan().unwrap().tree.len(), tuning::BIND_DEPTH);
        fs::create_dir(deep.join("d")).unwrap();
        let error = scope(&folder, "", &[]).scan().unwrap_err();
        assert!(error.message.contains("directories deep"), "{error}");
        // That stays at home.
        scope(&folder, "d", &[]).scan().unwrap();
    }
}
