//! Paths in a container, as Docker's archive calls take them: bytes, and nothing of this machine.

/// A part of a path.
pub(super) type Name = Box<[u8]>;

/// A client's path: absolute, without what means nothing, but with the `/` or `/.` in which it ended.
pub(super) fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    let current = path.trim_end_matches('/').rsplit('/').next() == Some(".");
    if current {
        if !clean.ends_with('/') {
            clean.push('/');
        }
        clean.push('.');
    }
    if path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The last part of an absolute path, `/` for the root.
pub(super) fn base(absolute: &str) -> &str {
    match absolute.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/",
        Some(name) => name,
    }
}

/// The parts of a path that mean something; `..` stays.
pub(super) fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// A member's name without what means nothing. `Err` for one that leads out of where it is unpacked; as in Go, one that
/// begins with `/` does not.
pub(super) fn inside(name: &[u8]) -> Result<Vec<&[u8]>, ()> {
    let rooted = name.starts_with(b"/");
    let mut clean = Vec::new();
    for part in parts(name) {
        match (part, clean.pop()) {
            (b"..", None) if rooted => {}
            (b"..", None) => return Err(()),
            (b"..", Some(_)) => {}
            (part, last) => {
                clean.extend(last);
                clean.push(part);
            }
        }
    }
    Ok(clean)
}

/// Parts with `/` between them, without one at the beginning.
pub(super) fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for part in parts {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    path
}

/// An absolute path to show.
pub(super) fn shown<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    format!("/{}", String::from_utf8_lossy(&join(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_kept() {
        for (path, expected, name) in [
            ("/etc/passwd", "/etc/passwd", "passwd"),
            ("etc//x/../passwd", "/etc/passwd", "passwd"),
            ("/etc/", "/etc/", "etc"),
            ("/etc/.", "/etc/.", "."),
            ("/etc/./", "/etc/./", "."),
            ("/", "/", "/"),
            (".", "/.", "."),
            ("/.", "/.", "."),
            ("../../x", "/x", "x"),
            ("/a/..", "/", "/"),
        ] {
            assert_eq!((absolute(path).as_str(), base(&absolute(path))), (expected, name), "{path}");
        }
    }

    #[test]
    fn names_that_lead_out_are_told_apart() {
        let clean = |name: &str| inside(name.as_bytes()).map(shown);
        assert_eq!(clean("a/./b//c/../d"), Ok("/a/b/d".into()));
        assert_eq!(clean("/../a"), Ok("/a".into()));
        assert_eq!(clean("a/.."), Ok("/".into()));
        assert_eq!(clean("../a"), Err(()));
        assert_eq!(clean("a/../../b"), Err(()));
    }
}
