//! Scanned from a disk, and made there.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use fixture::{Store, edited, edits, empty};
use proptest::prelude::*;
use sockerless_tree::{Content, Manifest, Options, Scanned, apply, difference, limits, scan};

fn scanned(directory: &Path) -> Scanned {
    scan(directory, Options::default()).unwrap()
}

/// Makes it as it shall be from what is there.
fn make(directory: &Path, tree: &Manifest) {
    let changes = difference(&scanned(directory).manifest, tree);
    apply(directory, &changes, &mut Store::default()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_made_is_what_is_scanned(one in edits(), other in edits()) {
        let folder = tempfile::tempdir().unwrap();
        let one = edited(&empty(), &one);
        make(folder.path(), &one);
        prop_assert_eq!(&scanned(folder.path()).manifest, &one);
        let other = edited(&one, &other);
        make(folder.path(), &other);
        prop_assert_eq!(&scanned(folder.path()).manifest, &other);
    }
}

#[test]
fn hard_links_are_one_file_with_several_names() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(from.path().join("d")).unwrap();
    fs::write(from.path().join("d/one"), fixture::bytes(1)).unwrap();
    fs::hard_link(from.path().join("d/one"), from.path().join("two")).unwrap();
    let tree = scanned(from.path()).manifest;
    assert_eq!(tree.weight(), (1, 9));
    make(to.path(), &tree);
    let inode = |name: &str| fs::metadata(to.path().join(name)).unwrap().ino();
    assert_eq!(inode("d/one"), inode("two"));
    assert_eq!(scanned(to.path()).manifest, tree);
    // Alone again.
    fs::remove_file(from.path().join("d/one")).unwrap();
    let alone = scanned(from.path()).manifest;
    assert!(alone.get(b"two").unwrap().file().unwrap().group.is_none());
    make(to.path(), &alone);
    assert_eq!(fs::metadata(to.path().join("two")).unwrap().nlink(), 1);
}

#[test]
fn a_file_that_has_not_changed_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("old"), vec![7; limits::CHUNK + 1]).unwrap();
    let mut tree = scanned(folder.path()).manifest;
    assert_eq!(tree.get(b"old").unwrap().file().unwrap().chunks.len(), 2);
    // A known state from the past: a stamp is only taken from a file that has rested for a while.
    tree.insert(b"new".to_vec(), fixture::node(fixture::file(1)));
    fs::remove_file(at("old")).unwrap();
    tree.remove(b"old");
    let applied =
        apply(folder.path(), &difference(&scanned(folder.path()).manifest, &tree), &mut Store::default())
            .unwrap();
    let known = Scanned { manifest: tree.clone(), stamps: applied.stamps, ..Scanned::default() };
    assert_eq!(known.stamps.len(), 1);
    std::thread::sleep(limits::UNSURE * 2);
    let options = || Options { known: Some(&known), ..Options::default() };
    let again = scan(folder.path(), options()).unwrap();
    assert_eq!((again.read, again.manifest.get(b"new")), (0, tree.get(b"new")));
    fs::write(at("new"), fixture::bytes(2)).unwrap();
    let again = scan(folder.path(), options()).unwrap();
    assert_eq!(again.read, 9);
    assert!(again.manifest.get(b"new").unwrap().content.same(&fixture::file(2)));
}

#[test]
fn what_cannot_be_kept_is_told_and_what_cannot_be_read_is_not_taken_for_removed() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    symlink("nowhere", folder.path().join("link")).unwrap();
    fs::create_dir(folder.path().join("skipped")).unwrap();
    fs::write(folder.path().join("skipped/file"), "x").unwrap();
    let without = |path: &[u8], directory: bool| directory && path == b"skipped";
    let found = scan(folder.path(), Options { without: Some(&without), ..Options::default() }).unwrap();
    assert_eq!(
        found.left_out.iter().map(|left| (left.path.as_slice(), left.unread)).collect::<Vec<_>>(),
        [(&b"socket"[..], false)]
    );
    assert_eq!(found.manifest.get(b"link").unwrap().content, Content::Link(b"nowhere".to_vec()));
    assert_eq!(found.manifest.len(), 2);
    let mut partial = found.clone();
    partial.left_out[0].unread = true;
    partial.left_out[0].path = b"skipped".to_vec();
    partial.keep_unread(&scanned(folder.path()).manifest);
    assert!(partial.manifest.get(b"skipped/file").is_some());
    assert!(scan(&folder.path().join("nowhere"), Options::default()).is_err());
}

#[test]
fn modes_are_kept_even_where_nobody_may_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut closed = fixture::node(Content::Directory);
    closed.mode = 0o1500;
    let tree = edited(
        &empty(),
        &[(b"d/f".to_vec(), Some(fixture::node(fixture::file(1)))), (b"d".to_vec(), Some(closed))],
    );
    make(folder.path(), &tree);
    assert_eq!(scanned(folder.path()).manifest, tree);
    fs::set_permissions(folder.path().join("d"), fs::Permissions::from_mode(0o700)).unwrap();
}
