use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use super::*;
use crate::files::member::{Kind, Meta};

const PLAIN: Dress = Dress { permissions: 0o640, owner: None, modified: Some((1_000_000_000, 5)) };

fn delete(disk: &mut Disk, path: &str) -> bool {
    let seen = disk.look(path.as_bytes()).unwrap();
    disk.delete(path.as_bytes(), seen.as_ref()).unwrap()
}

fn open(folder: &tempfile::TempDir) -> Disk {
    let root = Opened::open(&folder.path().canonicalize().unwrap(), None, false).unwrap();
    Disk::new(Arc::new(root), "c0ffee")
}

/// In one step.
fn place(
    disk: &mut Disk,
    path: &[u8],
    meta: &Meta,
    dress: Dress,
    seen: Option<&Listed>,
    mut content: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    if meta.kind == Kind::Directory {
        return disk.directory(path, dress, seen).map(Some);
    }
    let draft = disk.draft(path, meta, dress, &mut content)?;
    draft.map(|draft| disk.settle(&draft, seen)).transpose()
}

fn put(disk: &mut Disk, path: &str, content: &str) -> io::Result<bool> {
    let seen = disk.look(path.as_bytes())?;
    let meta = Meta { size: content.len() as u64, ..Meta::default() };
    Ok(place(disk, path.as_bytes(), &meta, PLAIN, seen.as_ref(), content.as_bytes())?.is_some())
}

#[test]
fn a_file_takes_its_place_at_once_with_all_that_belongs_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = open(&folder);
    put(&mut disk, "new/sub/a", "first").unwrap();
    put(&mut disk, "new/sub/a", "second").unwrap();
    let path = folder.path().join("new/sub/a");
    assert_eq!(fs::read_to_string(&path).unwrap(), "second");
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o640, 1_000_000_000, 5));
    assert_eq!(disk.look(b"new/sub/a").unwrap().unwrap().size, 6);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "and nothing else is left");
    let link = disk.link(b"new/b", b"new/sub/a").unwrap();
    disk.settle(&link, None).unwrap();
    assert_eq!(fs::metadata(folder.path().join("new/b")).unwrap().ino(), meta.ino());
    delete(&mut disk, "new/sub/a");
    delete(&mut disk, "new/sub/a");
    delete(&mut disk, "new");
    assert!(folder.path().join("new/b").exists(), "a directory that holds something stays");
}

#[test]
fn nothing_leads_out_of_the_directory() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "old").unwrap();
    symlink(outside.path(), folder.path().join("link")).unwrap();
    let mut disk = open(&folder);
    assert!(put(&mut disk, "link/secret", "new").is_err());
    assert!(put(&mut disk, "link/more", "new").is_err());
    delete(&mut disk, "link/secret");
    assert_eq!(disk.look(b"link/secret").unwrap(), None);
    assert!(disk.read(b"link/secret").unwrap().is_none());
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "old");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // In its own place a link is replaced, and not what it leads to.
    put(&mut disk, "link", "new").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("link")).unwrap(), "new");
    assert!(outside.path().join("secret").exists());
}

#[test]
fn what_changed_since_it_was_seen_is_neither_replaced_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::write(at("file"), "as it was").unwrap();
    let mut disk = open(&folder);
    let seen = disk.look(b"file").unwrap();
    fs::write(at("file"), "an edit meanwhile").unwrap();
    assert!(!disk.delete(b"file", seen.as_ref()).unwrap());
    let meta = Meta { size: 3, ..Meta::default() };
    for expected in ["file.conflict-c0ffee", "file.conflict-c0ffee-2"] {
        let placed = place(&mut disk, b"file", &meta, PLAIN, seen.as_ref(), b"new").unwrap();
        assert_eq!(placed.as_deref(), Some(expected.as_bytes()));
        assert_eq!(fs::read_to_string(at(expected)).unwrap(), "new");
    }
    let placed = place(&mut disk, b"file", &Meta::directory(), PLAIN, seen.as_ref(), b"").unwrap();
    assert_eq!(placed.as_deref(), Some(&b"file.conflict-c0ffee-3"[..]));
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "an edit meanwhile");
    // What nothing was seen of is the user's, too.
    let placed = place(&mut disk, b"file", &meta, PLAIN, None, b"new").unwrap();
    assert_eq!(placed.as_deref(), Some(&b"file.conflict-c0ffee-4"[..]));
    assert!(delete(&mut disk, "file"));
}

#[test]
fn what_lies_beside_a_file_with_the_longest_name_has_a_shorter_one() {
    let folder = tempfile::tempdir().unwrap();
    let long = "n".repeat(255);
    fs::write(folder.path().join(&long), "the user's").unwrap();
    let beside = format!("{}.conflict-c0ffee", "n".repeat(255 - ".conflict-c0ffee".len()));
    let meta = Meta { size: 3, ..Meta::default() };
    let placed = place(&mut open(&folder), long.as_bytes(), &meta, PLAIN, None, b"new").unwrap();
    assert_eq!(placed.as_deref(), Some(beside.as_bytes()));
    assert_eq!(fs::read_to_string(folder.path().join(&beside)).unwrap(), "new");
    // The same of a file that is mounted alone.
    fs::remove_file(folder.path().join(&beside)).unwrap();
    let root = Opened::open(&folder.path().canonicalize().unwrap().join(&long), None, false).unwrap();
    let mut disk = Disk::new(Arc::new(root), "c0ffee");
    place(&mut disk, b"", &meta, PLAIN, None, b"new").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join(&beside)).unwrap(), "new");
    assert_eq!(fs::read_to_string(folder.path().join(&long)).unwrap(), "the user's");
}

#[test]
fn directories_get_their_permissions_last_and_devices_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = open(&folder);
    let directory = Meta::directory();
    let dress = Dress { permissions: 0o555, ..PLAIN };
    place(&mut disk, b"sub", &directory, dress, None, b"").unwrap();
    put(&mut disk, "sub/a", "x").unwrap();
    assert!(disk.finish().is_empty());
    let meta = fs::metadata(folder.path().join("sub")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o555, 1_000_000_000));
    fs::set_permissions(folder.path().join("sub"), fs::Permissions::from_mode(0o755)).unwrap();
    let device = Meta { kind: Kind::Character, device: (1, 3), ..Meta::default() };
    assert_eq!(place(&mut disk, b"null", &device, PLAIN, None, b"").unwrap(), None);
    let link = Meta { kind: Kind::Symlink, target: b"/etc/passwd".to_vec(), ..Meta::default() };
    place(&mut disk, b"l", &link, PLAIN, None, b"").unwrap();
    assert_eq!(disk.look(b"l").unwrap().unwrap().target, b"/etc/passwd");
    let fifo = Meta { kind: Kind::Fifo, ..Meta::default() };
    place(&mut disk, b"f", &fifo, PLAIN, None, b"").unwrap();
    assert!(disk.read(b"f").unwrap().is_none(), "nobody waits for who writes into it");
    // A directory in the place of a file, and a file in the place of an empty one.
    let seen = disk.look(b"l").unwrap();
    place(&mut disk, b"l", &directory, PLAIN, seen.as_ref(), b"").unwrap();
    put(&mut disk, "l", "file").unwrap();
    assert!(put(&mut disk, "sub", "file").is_err(), "what is in it would be lost");
}

#[test]
fn a_file_alone_has_the_empty_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conf");
    fs::write(&path, "old").unwrap();
    let root = Opened::open(&path.canonicalize().unwrap(), None, false).unwrap();
    let mut disk = Disk::new(Arc::new(root), "c0ffee");
    assert_eq!(disk.look(b"").unwrap().unwrap().size, 3);
    put(&mut disk, "", "newer").unwrap();
    put(&mut disk, ".conflict-c0ffee", "other").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    assert_eq!(fs::read_to_string(folder.path().join("conf.conflict-c0ffee")).unwrap(), "other");
}

#[test]
fn what_is_too_deep_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = open(&folder);
    let deep = "d/".repeat(tuning::BIND_DEPTH);
    assert!(
        put(&mut disk, &format!("{deep}d/file"), "x").unwrap_err().to_string().contains("directories deep")
    );
    put(&mut disk, &format!("{deep}file"), "x").unwrap();
    let directory = format!("{deep}d");
    let made = place(&mut disk, directory.as_bytes(), &Meta::directory(), PLAIN, None, b"");
    assert!(made.is_err(), "the next scan would find it too deep");
}
