//! What goes into a container, as an archive.

use std::{
    io::{self, Read},
    sync::Arc,
};

use sockerless_ports::link::listing::Listed;

use super::{disk::Disk, merge::Tree, scan::Scope};
use crate::files::{
    member::{Kind, Meta},
    write::Writer,
};

/// Writes an archive of the user's side.
pub(super) fn pack(
    out: impl io::Write,
    scope: &Scope,
    name: &[u8],
    user: &Tree,
    paths: &[Vec<u8>],
    root: bool,
) -> io::Result<()> {
    let mut disk = Disk::new(Arc::clone(&scope.root), &scope.tag);
    let mut writer = Writer::new(out, true);
    if root {
        let listed = Listed::new(b"", &scope.root.meta()?);
        writer.append(name, &meta(&listed), io::empty())?;
    }
    for path in paths {
        let Some(listed) = user.get(path) else { continue };
        let member = if path.is_empty() { name.to_vec() } else { [name, b"/", path].concat() };
        if !listed.is_file() {
            writer.append(&member, &meta(listed), io::empty())?;
            continue;
        }
        let shown = disk.show(path);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{shown}: {error}"));
        // It has gone since it was listed, or become something else.
        let Some((file, now)) = disk.read(path).map_err(named)? else { continue };
        // A header's promise is kept should the file shrink; the next merge sees that it was changed.
        writer.append(&member, &meta(&now), file.chain(io::repeat(0))).map_err(named)?;
    }
    writer.finish().map(drop)
}

fn meta(listed: &Listed) -> Meta {
    let kind = match (listed.is_directory(), listed.is_symlink(), listed.is_fifo()) {
        (true, ..) => Kind::Directory,
        (_, true, _) => Kind::Symlink,
        (.., true) => Kind::Fifo,
        _ => Kind::File,
    };
    Meta {
        kind,
        mode: listed.permissions(),
        uid: listed.uid.into(),
        gid: listed.gid.into(),
        size: listed.size,
        modified: listed.modified,
        target: listed.target.clone(),
        ..Meta::default()
    }
}
