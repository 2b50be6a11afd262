//! Paths in a manifest: bytes, relative to its top, parts parted by `/`. The top is the empty path.

use std::borrow::Cow;

/// The directory that a path is in; none for the top.
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.get(..end)
}

/// The last part.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// A path in a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    }
}

/// Whether a path lies in a directory, at any depth; a directory does not lie in itself.
pub fn is_below(path: &[u8], directory: &[u8]) -> bool {
    match directory {
        [] => !path.is_empty(),
        directory => path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/')),
    }
}

/// For people.
pub fn display(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}

/// Whether it is one that a manifest can hold: no empty parts, none that lead elsewhere, no zero bytes.
pub(crate) fn is_sound(path: &[u8]) -> bool {
    let part = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
    path.is_empty() || path.split(|byte| *byte == b'/').all(part)
}
