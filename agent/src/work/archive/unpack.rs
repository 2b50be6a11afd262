//! From a tar archive to files, as dockerd unpacks it.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Component, Path, PathBuf},
};

use sockerless_agent_wire::request::{Fault, FaultKind};
use tar::EntryType;

use super::{
    header::Member,
    place,
    reader::Reader,
    whiteout::{self, Whiteouts},
};
use crate::work::{
    fault::{failed, fault},
    files::path::Root,
};

/// Directories that an archive takes for granted.
const IMPLIED: u32 = 0o755;

/// How to unpack.
pub struct Unpacker<'a> {
    pub root: &'a Root,
    /// Absolute and resolved: a directory.
    pub target: PathBuf,
    pub keep_kind: bool,
    /// The archive's owners are kept.
    pub owners: bool,
    /// The archive is a layer.
    pub layer: bool,
    /// Relative links may lead out of the target, as absolute ones may; nothing goes through either.
    pub any_links: bool,
}

/// What an unpacking has learnt.
#[derive(Default)]
struct Progress {
    /// Directories get their times last, since what is put into them changes them.
    directories: Vec<(PathBuf, Member)>,
    whiteouts: Whiteouts,
    /// Links that the archive has brought: nothing goes out of the target through them.
    links: HashSet<PathBuf>,
    /// A directory of the archive, and where it really is: mostly the next member is there, too.
    known: Option<(PathBuf, PathBuf)>,
}

impl Unpacker<'_> {
    /// Unpacks everything. Errors: the archive's, and those of the first member that cannot be placed; what came before it
    /// stays.
    pub fn unpack(&self, reader: &mut Reader) -> Result<(), Fault> {
        let mut progress = Progress::default();
        while let Some(member) = reader.next()? {
            self.member(member, reader, &mut progress)?;
        }
        for (path, member) in progress.directories.iter().rev() {
            place::finish_directory(&self.root.place(path), member)?;
        }
        Ok(())
    }

    fn member(&self, member: Member, reader: &mut Reader, progress: &mut Progress) -> Result<(), Fault> {
        let named = self.named(&member.name)?;
        let Some((directory, name)) = named.parent().zip(named.file_name()).filter(|_| named != self.target)
        else {
            return self.target_itself(&member, progress);
        };
        if self.layer && whiteout::is_metadata(&named, &self.target) {
            return Ok(());
        }
        let real = self.directory(directory, progress)?;
        let path = real.join(name);
        if self.layer && progress.whiteouts.apply(self.root, &real, name)? {
            progress.known = None;
            return Ok(());
        }
        if self.make_way(&path, &member)? || member.kind.is_symlink() {
            progress.known = None;
        }
        let linked = match member.kind {
            EntryType::Link => Some(self.linked(&member, progress)?),
            EntryType::Symlink => {
                if !self.any_links {
                    self.check_symlink(&named, &member)?;
                }
                progress.links.insert(path.clone());
                None
            }
            _ => None,
        };
        let place = self.root.place(&path);
        if !place::create(&place, &member, linked.as_deref(), reader)? {
            return Ok(());
        }
        place::dress(&place, &member, self.owners)?;
        if self.layer {
            progress.whiteouts.keep(&real);
            progress.whiteouts.keep(&path);
        }
        if member.kind.is_dir() {
            // There may be many: what is not needed again is forgotten.
            let (name, attributes) = (Vec::new(), Vec::new());
            progress.directories.push((path, Member { name, attributes, ..member }));
        }
        Ok(())
    }

    /// Where a member's name says it is, before links are looked at.
    fn named(&self, name: &[u8]) -> Result<PathBuf, Fault> {
        let named = within(&self.target, name);
        if !named.starts_with(&self.target) {
            return Err(self.breakout(name));
        }
        Ok(named)
    }

    fn breakout(&self, name: &[u8]) -> Fault {
        let name = clean(name);
        fault(FaultKind::Invalid, format!("{name:?} is outside of {:?}", self.target))
    }

    /// As in dockerd: a relative link may not lead out of the target, an absolute one says what it likes.
    fn check_symlink(&self, named: &Path, member: &Member) -> Result<(), Fault> {
        let leads = within(named.parent().unwrap_or(named), &[b"./", &member.link[..]].concat());
        if leads.starts_with(&self.target) {
            return Ok(());
        }
        let link = String::from_utf8_lossy(&member.link);
        Err(fault(FaultKind::Invalid, format!("invalid symlink {named:?} -> {link:?}")))
    }

    /// Where a directory really is. Links that were there lead where they lead in the container, those of the archive not out
    /// of the target.
    fn really(&self, directory: &Path, what: &str, links: &HashSet<PathBuf>) -> Result<PathBuf, Fault> {
        let traced = self.root.trace(directory);
        let (real, passed) =
            traced.map_err(|error| failed(format_args!("{what} {}", directory.display()), &error))?;
        if !real.starts_with(&self.target) && passed.iter().any(|link| links.contains(link)) {
            return Err(self.breakout(directory.as_os_str().as_bytes()));
        }
        Ok(real)
    }

    /// The archive's entry for the target itself: it stays as it is, but for a layer's.
    fn target_itself(&self, member: &Member, progress: &mut Progress) -> Result<(), Fault> {
        if !member.kind.is_dir() {
            let message = format!("cannot overwrite directory {0:?} with non-directory {0:?}", self.target);
            return Err(fault(FaultKind::Conflict, message));
        }
        if self.layer {
            place::dress(&self.root.place(&self.target), member, self.owners)?;
            progress.directories.push((self.target.clone(), member.clone()));
        }
        Ok(())
    }

    /// Where a directory of the archive really is; made when missing.
    fn directory(&self, named: &Path, progress: &mut Progress) -> Result<PathBuf, Fault> {
        if named == self.target {
            return Ok(self.target.clone());
        }
        if let Some((known, real)) = &progress.known
            && known == named
        {
            return Ok(real.clone());
        }
        let real = self.really(named, "mkdir", &progress.links)?;
        let made = fs::DirBuilder::new().recursive(true).mode(IMPLIED).create(self.root.place(&real));
        made.map_err(|error| failed(format_args!("mkdir {}", real.display()), &error))?;
        progress.known = Some((named.to_owned(), real.clone()));
        Ok(real)
    }

    /// Removes what is in a member's place, unless both are directories; whether anything was.
    fn make_way(&self, path: &Path, member: &Member) -> Result<bool, Fault> {
        let place = self.root.place(path);
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(format_args!("lstat {}", path.display()), &error)),
        };
        let refused = match (found.is_dir(), member.kind.is_dir()) {
            (true, true) => return Ok(false),
            (true, false) if self.keep_kind => Some("cannot overwrite directory {} with non-directory {}"),
            (false, true) if self.keep_kind => Some("cannot overwrite non-directory {} with directory {}"),
            _ => None,
        };
        if let Some(words) = refused {
            let quoted = |path: &Path| format!("{:?}", path.display().to_string());
            let words = words.replacen("{}", &quoted(path), 1).replacen("{}", &quoted(&self.target), 1);
            return Err(fault(FaultKind::Conflict, words));
        }
        let removed = if found.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
        removed.map_err(|error| failed(format_args!("unlinkat {}", path.display()), &error))?;
        Ok(true)
    }

    /// What a hard link is to.
    fn linked(&self, member: &Member, progress: &Progress) -> Result<PathBuf, Fault> {
        let named = within(&self.target, &member.link);
        let invalid = || {
            let (from, to) = (named.display().to_string(), String::from_utf8_lossy(&member.link));
            fault(FaultKind::Invalid, format!("invalid hardlink {from:?} -> {to:?}"))
        };
        let (directory, name) = named.parent().zip(named.file_name()).ok_or_else(invalid)?;
        if !named.starts_with(&self.target) {
            return Err(invalid());
        }
        Ok(self.root.place(&self.really(directory, "link", &progress.links)?.join(name)))
    }
}

/// A name without what means nothing, to be shown.
fn clean(name: &[u8]) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

/// A name taken from a directory, with `..` and all; an absolute one is taken from there, too.
fn within(target: &Path, name: &[u8]) -> PathBuf {
    let name = Path::new(OsStr::from_bytes(name));
    let is_absolute = name.is_absolute();
    let mut path = target.to_owned();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            // An absolute name's are spent within it.
            Component::ParentDir if is_absolute && path == target => {}
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_the_target() {
        for (target, name, path) in [
            ("/", "a/./b//c/", "/a/b/c"),
            ("/", "../../a", "/a"),
            ("/t", "/../a", "/t/a"),
            ("/t", "/etc/x", "/t/etc/x"),
            ("/t", "a/../b", "/t/b"),
            ("/t", ".", "/t"),
            ("/t", "../t/x", "/t/x"),
            ("/t", "../u", "/u"),
        ] {
            assert_eq!(within(Path::new(target), name.as_bytes()), Path::new(path), "{target} {name}");
        }
    }
}
