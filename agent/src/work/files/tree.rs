//! The way through a file system: every entry once, a directory before what is in it, names in the order of their bytes.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use sockerless_agent_wire::request::{Entry, Fault};

use super::{clock::Since, mounts::Mounts, path::Root};
use crate::work::fault::failed;

/// Whether the way leads into what is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cross {
    /// No: the container's own files only.
    Never,
    /// Into volumes, not into what shows the machine.
    Volumes,
}

/// Something on the way.
pub struct Found<'a> {
    /// Absolute, in the container.
    pub path: &'a Path,
    /// Of the thing itself, not of what a link leads to.
    pub meta: &'a Metadata,
    /// Not the container's own: something is mounted there, or whoever runs the container maintains it.
    pub foreign: bool,
    /// A directory that the agent's user may not list, or something that it may not even look at.
    pub closed: Option<Fault>,
}

impl Found<'_> {
    /// The same for the daemon, without a link's target.
    pub fn entry(&self, since: Since) -> Entry {
        let Self { path, meta, foreign, ref closed } = *self;
        Entry {
            path: path.to_string_lossy().into_owned(),
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            size: if meta.is_file() { meta.size() } else { 0 },
            modified: meta.mtime(),
            link: String::new(),
            recent: !foreign && since.is_before(meta),
            closed: foreign || closed.is_some(),
        }
    }
}

/// What is done with it.
type Visit<'v> = dyn FnMut(Found<'_>) -> Result<(), Fault> + 'v;

/// See the module.
pub struct Tree<'a> {
    pub root: &'a Root,
    pub mounts: &'a Mounts,
    pub cross: Cross,
    /// What may not even be looked at is visited as closed, with what is known of its directory instead of itself. Otherwise it
    /// is left out where something is mounted, and an error elsewhere.
    pub unseen: bool,
}

impl Tree<'_> {
    /// Goes through everything from a path on, which is absolute, resolved and no mount to be left out. What vanishes on
    /// the way is not there. Errors: those of the visitor.
    pub fn walk(&self, from: &Path, meta: &Metadata, visit: &mut Visit<'_>) -> Result<(), Fault> {
        if !meta.is_dir() {
            return visit(Found { path: from, meta, foreign: false, closed: None });
        }
        self.directory(from, meta, visit)
    }

    fn directory(&self, path: &Path, meta: &Metadata, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let names = match names(&self.root.place(path)) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let closed = Some(failed(format_args!("open {}", path.display()), &error));
                return visit(Found { path, meta, foreign: false, closed });
            }
        };
        visit(Found { path, meta, foreign: false, closed: None })?;
        let mut at = path.to_owned();
        for name in names {
            at.push(name);
            self.entry(&at, meta, visit)?;
            at.pop();
        }
        Ok(())
    }

    fn entry(&self, path: &Path, parent: &Metadata, visit: &mut Visit<'_>) -> Result<(), Fault> {
        if self.mounts.is_agent(path) {
            return Ok(());
        }
        let meta = match fs::symlink_metadata(self.root.place(path)) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if self.unseen => {
                let closed = Some(failed(format_args!("lstat {}", path.display()), &error));
                return visit(Found { path, meta: parent, foreign: self.mounts.has(path), closed });
            }
            // A file system that its owner lets nobody see.
            Err(_) if self.mounts.has(path) => return Ok(()),
            Err(error) => return Err(failed(format_args!("lstat {}", path.display()), &error)),
        };
        // A file's device may differ within one overlay.
        let mounted = self.mounts.has(path) || meta.is_dir() && meta.dev() != parent.dev();
        let foreign = match self.cross {
            Cross::Never => mounted || Mounts::is_maintained(path) && !meta.is_dir(),
            Cross::Volumes => self.mounts.is_machine(path),
        };
        match meta.is_dir() && !foreign {
            true => self.directory(path, &meta, visit),
            false => visit(Found { path, meta: &meta, foreign, closed: None }),
        }
    }
}

/// Errors also where names can be listed and nothing else can be known of them.
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::symlink_metadata(directory.join("."))?;
    let mut names =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_order_is_that_of_names_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("b/inner")).unwrap();
        fs::write(at("b.txt"), "").unwrap();
        fs::write(at("a"), "").unwrap();
        fs::write(at("b/z"), "").unwrap();
        symlink("/b", at("c")).unwrap();
        let root = Root::at(folder.path());
        let tree = Tree { root: &root, mounts: &Mounts::default(), cross: Cross::Never, unseen: false };
        let mut seen = Vec::new();
        let meta = fs::metadata(folder.path()).unwrap();
        let mut visit = |found: Found<'_>| {
            seen.push(found.path.display().to_string());
            Ok(())
        };
        tree.walk(Path::new("/"), &meta, &mut visit).unwrap();
        assert_eq!(seen, ["/", "/a", "/b", "/b/inner", "/b/z", "/b.txt", "/c"]);
    }
}
