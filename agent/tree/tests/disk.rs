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
use sockerless_tree::{Content, Manifest, Node, Options, Scanned, apply, difference, limits, scan};

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

/// More than one thread is given at once.
fn many() -> Manifest {
    let mut all = Vec::new();
    for folder in 0..4 {
        all.push((format!("d{folder}").into_bytes(), Some(fixture::node(Content::Directory))));
        for file in 0..=u8::MAX {
            let node = Node { mode: 0o400 + u32::from(file), ..fixture::node(fixture::file(file)) };
            all.push((format!("d{folder}/{file}").into_bytes(), Some(node)));
        }
    }
    edited(&empty(), &all)
}

#[test]
fn many_files_are_made_as_few_are_and_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let changes = difference(&scanned(folder.path()).manifest, &many());
    let applied = apply(folder.path(), &changes, &mut Store::default()).unwrap();
    assert_eq!(scanned(folder.path()).manifest, many());
    assert_eq!(applied.stamps.len(), 4 * 256);
    assert!(
        many().iter().filter(|(path, _)| !path.is_empty()).all(|(path, _)| applied.shown.contains_key(path))
    );
    let known = Scanned { manifest: many(), stamps: applied.stamps, ..Scanned::default() };
    // What was changed a moment ago is read all the same.
    std::thread::sleep(limits::UNSURE * 2);
    let again = scan(folder.path(), Options { known: Some(&known), ..Options::default() }).unwrap();
    assert_eq!((again.manifest, again.read), (many(), 0));
}

#[test]
fn one_of_many_files_that_cannot_be_made_is_told_and_nothing_half_done_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let changes = difference(&scanned(folder.path()).manifest, &many());
    // A directory in a file's place, which the changes do not know of.
    fs::create_dir_all(folder.path().join("d2/100/in the way")).unwrap();
    let error = apply(folder.path(), &changes, &mut Store::default()).unwrap_err();
    assert!(error.to_string().starts_with("d2/100: "), "{error}");
    for name in scanned(folder.path()).manifest.iter().map(|(path, _)| String::from_utf8_lossy(path)) {
        assert!(!name.contains(".sockerless-"), "{name}");
    }
}

#[test]
fn what_cannot_be_dressed_where_it_is_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let before = edited(&empty(), &[(b"a".to_vec(), Some(fixture::node(fixture::file(1))))]);
    make(folder.path(), &before);
    let mut after = before.clone();
    for (_, node) in after.iter_mut().filter(|(path, _)| !path.is_empty()) {
        node.mode = 0o600;
    }
    let changes = difference(&before, &after);
    // As good as somebody else's: its mode cannot be set.
    fs::remove_file(folder.path().join("a")).unwrap();
    apply(folder.path(), &changes, &mut Store::default()).unwrap();
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), fixture::bytes(1));
    assert_eq!(fs::metadata(folder.path().join("a")).unwrap().mode() & 0o7777, 0o600);
}

/// Tells the test below, run once more, that it is another user and where the directory is.
const ELSEWHERE: &str = "SOCKERLESS_TREE_TEST_FOLDER";

#[test]
fn what_belongs_to_somebody_else_is_taken_over_or_left() {
    use std::os::unix::process::CommandExt;
    let tree = |mode, content| Node { mode, ..fixture::node(content) };
    let both = |file, directory| {
        let edits = [
            (b"d".to_vec(), Some(tree(directory, Content::Directory))),
            (b"f".to_vec(), Some(tree(file, fixture::file(1)))),
        ];
        edited(&empty(), &edits)
    };
    if let Some(folder) = std::env::var_os(ELSEWHERE) {
        let changes = difference(&both(0o644, 0o755), &both(0o600, 0o700));
        apply(Path::new(&folder), &changes, &mut Store::default()).unwrap();
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &both(0o644, 0o755));
    // Everybody may write into it, as into /tmp, and nothing in it is everybody's.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let exe = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let mut again = std::process::Command::new(&exe);
    again.args(["--exact", "what_belongs_to_somebody_else_is_taken_over_or_left"]);
    let done = again.env(ELSEWHERE, folder.path()).uid(65_534).gid(65_534).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let meta = |name: &str| fs::metadata(folder.path().join(name)).unwrap();
    assert_eq!((meta("f").mode() & 0o7777, meta("f").uid()), (0o600, 65_534));
    assert_eq!((meta("d").mode() & 0o7777, meta("d").uid()), (0o755, 0));
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
    // One more, to what stays as it is.
    fs::hard_link(from.path().join("two"), from.path().join("zwei")).unwrap();
    let tree = scanned(from.path()).manifest;
    make(to.path(), &tree);
    assert_eq!((inode("zwei"), scanned(to.path()).manifest), (inode("two"), tree));
    fs::remove_file(from.path().join("zwei")).unwrap();
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
