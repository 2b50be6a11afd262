//! Where things are mounted: runc makes what is missing there in the container's own files, and so dockerd's diff has it,
//! whatever is in it.

use super::{
    path::Name,
    tree::{Change, ChangeKind, Tree},
};

/// Adds what the image does not have of the places where something is mounted, with the directories above them.
pub(super) fn add<'a>(changes: &mut Vec<Change>, image: &Tree, points: impl IntoIterator<Item = &'a str>) {
    let is_there = |place: &[Name]| image.get(place.iter().map(AsRef::as_ref)).is_some();
    for point in points {
        // A link in the image leads on; nothing can be mounted where one does not.
        let Ok(place) = image.follow(point.as_bytes()) else { continue };
        if is_there(&place) {
            continue;
        }
        for depth in 1..=place.len() {
            let part = &place[..depth];
            if let Err(at) = changes.binary_search_by(|change| change.place.as_slice().cmp(part)) {
                let kind = if is_there(part) { ChangeKind::Modified } else { ChangeKind::Added };
                changes.insert(at, Change { place: part.to_vec(), kind });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{
        changes::names,
        member::{Kind, Meta},
        tree::Node,
    };

    fn image() -> Tree {
        let mut tree = Tree::default();
        let mut put = |path: &str, kind: Kind, target: &str| {
            let meta = Meta { kind, target: target.into(), ..Meta::default() };
            tree.put(&names(path), Node::new(meta));
        };
        put("/srv", Kind::Directory, "");
        put("/srv/data", Kind::Directory, "");
        put("/run", Kind::Directory, "");
        put("/var", Kind::Directory, "");
        put("/var/run", Kind::Symlink, "/run");
        tree
    }

    fn told(points: &[&str], mut changes: Vec<Change>) -> Vec<String> {
        add(&mut changes, &image(), points.iter().copied());
        let line = |change: &Change| {
            let place: Vec<_> = change.place.iter().map(|name| String::from_utf8_lossy(name)).collect();
            format!("{:?} /{}", change.kind, place.join("/"))
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn what_is_missing_where_something_is_mounted_was_added_and_what_is_there_says_nothing() {
        assert_eq!(told(&["/srv/data", "/", "/var/run"], Vec::new()), [""; 0]);
        assert_eq!(
            told(&["/srv/a/b", "/own", "/var/run/docker.sock"], Vec::new()),
            [
                "Added /own",
                "Modified /run",
                "Added /run/docker.sock",
                "Modified /srv",
                "Added /srv/a",
                "Added /srv/a/b"
            ]
        );
        let known = Change { place: names("/own"), kind: ChangeKind::Added };
        assert_eq!(told(&["/own", "/z"], vec![known]), ["Added /own", "Added /z"]);
    }
}
