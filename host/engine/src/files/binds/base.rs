//! What both sides of a bind mount were when they were the same: kept durably beside what else is kept of a container's
//! files, since a daemon that was restarted in between has to know.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sockerless_ports::link::listing::{Listed, Reader};

use super::merge::{Base, Plan, Tree};
use crate::{Error, ErrorKind, Result, tuning};

/// What is kept of one mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The generation whose job has the container's side.
    pub host: u32,
    /// The user's side, without links on the way, and whether it is a file: it stays that for as long as that job has the
    /// other. The container could put a link in its place that leads anywhere.
    pub source: PathBuf,
    pub is_file: bool,
    pub base: Base,
}

/// The first line of the file; the records of both sides follow.
#[derive(Serialize, Deserialize)]
struct Head {
    host: u32,
    source: Vec<u8>,
    is_file: bool,
    user: usize,
    container: usize,
}

/// Where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    /// `folder`: the container's; `index`: the mount's place in the list of its mounts.
    pub fn new(folder: &Path, index: usize) -> Self {
        Self(folder.join(format!("bind-{index}.base")))
    }

    /// None when nothing is kept, or what is kept cannot be used: then everything is sent anew.
    pub fn read(&self) -> Result<Option<Kept>> {
        let file = match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| self.failed(&error))?,
        };
        match read(BufReader::with_capacity(tuning::FILE_PIECE, file)) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(path = %self.0.display(), %error, "what is kept of a bind mount cannot be used");
                Ok(None)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Survives a power cut when it returns.
    pub fn write(&self, kept: &Kept) -> Result<()> {
        let write = || {
            let folder = self.0.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder)?;
            // A sweep removes it if it is left behind.
            let draft = folder.join(format!("{}.draft", hex::encode(rand::random::<[u8; 8]>())));
            let mut file = BufWriter::with_capacity(tuning::FILE_PIECE, File::create_new(&draft)?);
            write(&mut file, kept)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&draft, &self.0)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error: io::Error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::new(ErrorKind::Internal, format!("{}: {error}", self.0.display()))
    }
}

fn write(to: &mut impl Write, kept: &Kept) -> io::Result<()> {
    let Base { user, container } = &kept.base;
    let source = kept.source.as_os_str().as_bytes().to_vec();
    let (host, is_file) = (kept.host, kept.is_file);
    let head = Head { host, source, is_file, user: user.len(), container: container.len() };
    to.write_all(&serde_json::to_vec(&head)?)?;
    to.write_all(b"\n")?;
    let mut record = Vec::new();
    for listed in user.values().chain(container.values()) {
        record.clear();
        listed.encode(&mut record);
        to.write_all(&record)?;
    }
    Ok(())
}

fn read(mut from: impl BufRead) -> io::Result<Kept> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line).map_err(broken)?;
    let mut reader = Reader::default();
    let mut base = Base::default();
    let mut piece = vec![0; tuning::FILE_PIECE];
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            break;
        }
        reader.push(&piece[..count]);
        while let Some(listed) = reader.take().map_err(broken)? {
            let tree = if base.user.len() < head.user { &mut base.user } else { &mut base.container };
            tree.insert(listed.path.clone(), listed);
        }
    }
    reader.finish().map_err(broken)?;
    if (base.user.len(), base.container.len()) != (head.user, head.container) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it breaks off"));
    }
    let source = OsString::from_vec(head.source).into();
    Ok(Kept { host: head.host, source, is_file: head.is_file, base })
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct After {
    /// What the user has now, of what was brought at least.
    pub user: Tree,
    /// What the container has now, of what was sent at least.
    pub container: Tree,
    /// What was to be done on the user's side and was not, by where it is in the container: it is tried again.
    pub undone: BTreeSet<Vec<u8>>,
}

/// The base after a plan was carried out. `user` and `container` are what it was made of.
pub(super) fn advanced(
    base: &Base,
    plan: &Plan,
    user: &Tree,
    container: &Tree,
    after: &After,
    sends: bool,
) -> Base {
    let mut next = Base { user: base.user.clone(), container: container.clone() };
    // Nothing new is known of what could not be listed.
    next.container.retain(|_, listed| !listed.closed);
    for (path, listed) in &base.container {
        if super::merge::is_shut(container, path) {
            next.container.insert(path.clone(), listed.clone());
        }
    }
    for path in &plan.agreed {
        set(&mut next.user, path, user.get(path));
    }
    for (path, to) in &plan.bring {
        if path == to {
            set(&mut next.user, path, after.user.get(path));
        }
    }
    for path in &plan.delete {
        next.user.remove(path);
    }
    if sends {
        for path in &plan.send {
            set(&mut next.user, path, user.get(path));
            set(&mut next.container, path, after.container.get(path));
        }
        for path in &plan.remove {
            next.user.remove(path);
            set(&mut next.container, path, after.container.get(path));
        }
    }
    for path in &after.undone {
        set(&mut next.container, path, base.container.get(path));
    }
    next
}

fn set(tree: &mut Tree, path: &[u8], listed: Option<&Listed>) {
    match listed {
        Some(listed) => tree.insert(path.to_vec(), listed.clone()),
        None => tree.remove(path),
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree() -> impl Strategy<Value = Tree> {
        let listed = (proptest::collection::vec(any::<u8>(), 0..30), any::<[u32; 3]>(), any::<[u64; 2]>());
        let listed = listed.prop_map(|(path, [mode, uid, gid], [size, inode])| Listed {
            path,
            mode,
            uid,
            gid,
            size,
            inode,
            target: b"there".to_vec(),
            ..Listed::default()
        });
        proptest::collection::vec(listed, 0..20)
            .prop_map(|all| all.into_iter().map(|listed| (listed.path.clone(), listed)).collect())
    }

    proptest! {
        #[test]
        fn what_is_kept_is_found_again(user in tree(), container in tree(), host in any::<u32>()) {
            let folder = tempfile::tempdir().unwrap();
            let place = Place::new(&folder.path().join("c"), 3);
            prop_assert_eq!(place.read().unwrap(), None);
            let kept = Kept { host, source: "/a/b".into(), is_file: true, base: Base { user, container } };
            place.write(&kept).unwrap();
            place.write(&kept).unwrap();
            prop_assert_eq!(place.read().unwrap(), Some(kept));
            prop_assert_eq!(fs::read_dir(folder.path().join("c")).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_damaged_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), 0);
        let user = Tree::from([(b"a".to_vec(), Listed { path: b"a".to_vec(), ..Listed::default() })]);
        let base = Base { user, container: Tree::new() };
        place.write(&Kept { host: 1, source: "/a".into(), is_file: false, base }).unwrap();
        let whole = fs::read(&place.0).unwrap();
        for length in [0, 5, whole.len() - 1] {
            fs::write(&place.0, &whole[..length]).unwrap();
            assert_eq!(place.read().unwrap(), None);
        }
        fs::write(&place.0, [&whole[..], &whole[..]].concat()).unwrap();
        assert_eq!(place.read().unwrap(), None);
    }
}
