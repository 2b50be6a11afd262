//! Two mounts of one bucket, as two tasks have them, without a kernel between.

use std::sync::Arc;

use fuser::{Errno, FileType};
use serde_json::Map;
use tempfile::TempDir;

use super::nodes::ROOT;
use super::objects::Objects;
use super::tree::Tree;
use crate::db::{self, Database};
use crate::run::MountOptions;
use crate::storage::Generations;
use crate::storage::content::Files;
use crate::storage::index::{self, Bucket};

struct Cloud {
    objects: Objects,
    _folder: TempDir,
}

impl Cloud {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let db = Arc::new(Database::open(&folder.path().join("db"), db::SCHEMA).unwrap());
        let bucket = Bucket { name: "b".into(), project: "p".into(), metageneration: 1, doc: Map::new() };
        index::put_bucket(&db.lock(), &bucket).unwrap();
        let objects = Objects {
            files: Files::open(folder.path()).unwrap(),
            db,
            generations: Arc::new(Generations::default()),
            bucket: "b".into(),
            prefix: "volumes/v/".into(),
        };
        Self { objects, _folder: folder }
    }

    fn mount(&self, options: &[&str]) -> Tree {
        Tree::new(self.objects.clone(), MountOptions::parse(options.iter().copied()).unwrap())
    }

    /// The names of all objects.
    fn names(&self) -> Vec<String> {
        let all = index::objects(&self.objects.db.lock(), "b", "", false, 1000).unwrap();
        all.into_iter().map(|object| object.name.trim_start_matches("volumes/v/").to_owned()).collect()
    }

    fn content(&self, name: &str) -> String {
        let object = self.objects.get(name).unwrap().unwrap();
        std::fs::read_to_string(self.objects.content(&object)).unwrap()
    }

    /// An upload by somebody who mounts nothing.
    fn upload(&self, name: &str, content: &str) {
        let source = self.objects.get(name).unwrap().map_or(0, |object| object.generation);
        let (path, _) = self.objects.stage().unwrap();
        std::fs::write(&path, content).unwrap();
        self.objects.put(name, &path, source, Map::new()).unwrap();
    }
}

/// A whole file, written and closed.
fn write(tree: &mut Tree, parent: u64, name: &str, content: &str) {
    let (_, handle) = tree.create(parent, name).unwrap();
    tree.write(handle, 0, content.as_bytes()).unwrap();
    tree.flush(handle).unwrap();
    tree.release(handle);
}

fn find(tree: &mut Tree, parent: u64, name: &str) -> Option<u64> {
    tree.lookup(parent, name).unwrap().map(|attr| attr.ino.0)
}

fn read(tree: &mut Tree, name: &str) -> Result<String, i32> {
    let ino = find(tree, ROOT, name).ok_or(Errno::ENOENT.code())?;
    let handle = tree.open(ino).map_err(|error| error.code())?;
    let content = tree.read(handle, 0, 100).map_err(|error| error.code())?;
    tree.release(handle);
    Ok(String::from_utf8(content).unwrap())
}

fn list(tree: &mut Tree, ino: u64) -> Vec<String> {
    let handle = tree.open_folder(ino).unwrap();
    let entries = tree.entries(handle, 2).unwrap().iter().map(|(_, kind, name)| match kind {
        FileType::Directory => format!("{name}/"),
        _ => name.clone(),
    });
    entries.collect()
}

fn code<T>(outcome: Result<T, Errno>) -> i32 {
    outcome.err().expect("refused").code()
}

#[test]
fn a_file_is_an_object_once_it_is_closed() {
    let cloud = Cloud::new();
    let (mut one, mut two) = (cloud.mount(&[]), cloud.mount(&[]));
    let (attr, handle) = one.create(ROOT, "a").unwrap();
    one.write(handle, 0, b"hello").unwrap();
    assert_eq!((cloud.names(), list(&mut one, ROOT)), (vec![], vec!["a".to_owned()]));
    assert_eq!(one.attr(attr.ino.0).unwrap().size, 5);
    assert_eq!(one.read(handle, 1, 100).unwrap(), b"ello");
    assert_eq!(read(&mut two, "a"), Err(Errno::ENOENT.code()));
    one.flush(handle).unwrap();
    assert_eq!(cloud.content("a"), "hello");
    assert_eq!(read(&mut two, "a").unwrap(), "hello");
    // Another write through the same handle takes all of it back here.
    one.write(handle, 5, b"!").unwrap();
    assert_eq!(cloud.content("a"), "hello");
    one.release(handle);
    assert_eq!(cloud.content("a"), "hello!");
}

#[test]
fn a_sync_publishes_what_was_there_before_and_nothing_new() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    let (_, new) = mount.create(ROOT, "new").unwrap();
    mount.write(new, 0, b"1").unwrap();
    mount.fsync(new).unwrap();
    assert!(cloud.names().is_empty(), "a new file is streamed and complete when it is closed");
    cloud.upload("old", "1");
    let ino = find(&mut mount, ROOT, "old").unwrap();
    let old = mount.open(ino).unwrap();
    mount.write(old, 1, b"2").unwrap();
    mount.fsync(old).unwrap();
    assert_eq!(cloud.content("old"), "12");
    mount.release(new);
    assert_eq!(cloud.content("new"), "1");
}

#[test]
fn what_others_write_appears() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    cloud.upload("a", "1");
    assert_eq!(read(&mut mount, "a").unwrap(), "1");
    cloud.upload("a", "22");
    assert_eq!(read(&mut mount, "a").unwrap(), "22");
    let ino = find(&mut mount, ROOT, "a").unwrap();
    assert_eq!(mount.attr(ino).unwrap().size, 2);
}

#[test]
fn a_file_that_was_replaced_while_it_was_open_is_stale() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    cloud.upload("a", "1");
    let ino = find(&mut mount, ROOT, "a").unwrap();
    let (reader, writer) = (mount.open(ino).unwrap(), mount.open(ino).unwrap());
    cloud.upload("a", "2");
    assert_eq!(code(mount.read(reader, 0, 1)), Errno::ESTALE.code());
    mount.write(writer, 1, b"x").unwrap();
    cloud.upload("a", "3");
    assert_eq!(code(mount.flush(writer)), Errno::ESTALE.code());
    assert_eq!(cloud.content("a"), "3", "the first one wins");
}

#[test]
fn a_reader_follows_what_its_own_mount_writes() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    cloud.upload("a", "1");
    let ino = find(&mut mount, ROOT, "a").unwrap();
    let (reader, writer) = (mount.open(ino).unwrap(), mount.open(ino).unwrap());
    assert_eq!(mount.read(reader, 0, 9).unwrap(), b"1");
    mount.write(writer, 1, b"2").unwrap();
    assert_eq!(mount.read(reader, 0, 9).unwrap(), b"12");
    mount.flush(writer).unwrap();
    assert_eq!(mount.read(reader, 0, 9).unwrap(), b"12");
}

#[test]
fn folders_are_objects_and_implicit_ones_are_seen_when_asked_for() {
    let cloud = Cloud::new();
    let mut plain = cloud.mount(&["implicit-dirs=false"]);
    let folder = plain.make_folder(ROOT, "d").unwrap().ino.0;
    assert_eq!(code(plain.make_folder(ROOT, "d")), Errno::EEXIST.code());
    write(&mut plain, folder, "f", "1");
    cloud.upload("implicit/x/y", "1");
    assert_eq!(cloud.names(), ["d/", "d/f", "implicit/x/y"]);
    assert_eq!(list(&mut plain, ROOT), ["d/"]);
    assert_eq!(find(&mut plain, ROOT, "implicit"), None);
    let mut implicit = cloud.mount(&["implicit-dirs"]);
    assert_eq!(list(&mut implicit, ROOT), ["d/", "implicit/"]);
    let below = find(&mut implicit, ROOT, "implicit").unwrap();
    assert_eq!(list(&mut implicit, below), ["x/"]);
    assert_eq!(code(plain.remove_folder(ROOT, "d")), Errno::ENOTEMPTY.code());
    plain.unlink(folder, "f").unwrap();
    plain.remove_folder(ROOT, "d").unwrap();
    assert_eq!(cloud.names(), ["implicit/x/y"]);
}

#[test]
fn a_listing_skips_what_lies_deeper() {
    let cloud = Cloud::new();
    for n in 0..600 {
        cloud.upload(&format!("a/{n:03}"), "");
    }
    for name in ["a.txt", "a0", "b/c/d", "b"] {
        cloud.upload(name, "");
    }
    let mut mount = cloud.mount(&["implicit-dirs"]);
    assert_eq!(list(&mut mount, ROOT), ["a/", "a.txt", "a0", "b/"]);
    let folder = find(&mut mount, ROOT, "a").unwrap();
    assert_eq!(list(&mut mount, folder).len(), 600);
}

#[test]
fn a_file_is_renamed_over_another() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    cloud.upload("old", "old");
    // As a program replaces a file: the new one is not closed yet.
    let (_, handle) = mount.create(ROOT, "new").unwrap();
    mount.write(handle, 0, b"new").unwrap();
    mount.rename((ROOT, "new"), (ROOT, "old"), true).unwrap();
    mount.flush(handle).unwrap();
    mount.release(handle);
    assert_eq!((cloud.names(), cloud.content("old")), (vec!["old".to_owned()], "new".to_owned()));
    assert_eq!(read(&mut mount, "old").unwrap(), "new");
    assert_eq!(find(&mut mount, ROOT, "new"), None);
    cloud.upload("third", "");
    assert_eq!(code(mount.rename((ROOT, "third"), (ROOT, "old"), false)), Errno::EEXIST.code());
}

#[test]
fn a_folder_is_renamed_object_by_object_up_to_a_limit() {
    let cloud = Cloud::new();
    for name in ["d/", "d/1", "d/e/2"] {
        cloud.upload(name, name);
    }
    let mut refusing = cloud.mount(&["implicit-dirs"]);
    assert_eq!(code(refusing.rename((ROOT, "d"), (ROOT, "n"), true)), Errno::EMFILE.code());
    let mut mount = cloud.mount(&["implicit-dirs", "rename-dir-limit=2"]);
    let folder = find(&mut mount, ROOT, "d").unwrap();
    let file = find(&mut mount, folder, "1").unwrap();
    mount.rename((ROOT, "d"), (ROOT, "n"), true).unwrap();
    assert_eq!(cloud.names(), ["n/", "n/1", "n/e/2"]);
    assert_eq!(mount.attr(file).unwrap().size, 3, "an inode keeps its file");
    cloud.upload("full/x", "");
    assert_eq!(code(mount.rename((ROOT, "n"), (ROOT, "full"), true)), Errno::ENOTEMPTY.code());
    cloud.upload("file", "");
    assert_eq!(code(mount.rename((ROOT, "n"), (ROOT, "file"), true)), Errno::ENOTDIR.code());
    assert_eq!(code(mount.rename((ROOT, "file"), (ROOT, "n"), true)), Errno::EISDIR.code());
}

#[test]
fn modes_and_owners_are_the_mounts() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&["file-mode=640", "dir-mode=750", "uid=7", "gid=8"]);
    write(&mut mount, ROOT, "a", "");
    let attr = mount.lookup(ROOT, "a").unwrap().unwrap();
    assert_eq!((attr.perm, attr.uid, attr.gid), (0o640, 7, 8));
    assert_eq!(mount.attr(ROOT).unwrap().perm, 0o750);
}

#[test]
fn a_time_that_was_set_is_kept_with_the_object() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    write(&mut mount, ROOT, "a", "");
    let ino = find(&mut mount, ROOT, "a").unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    mount.touch(ino, then).unwrap();
    let mut other = cloud.mount(&[]);
    assert_eq!(other.lookup(ROOT, "a").unwrap().unwrap().mtime, then);
}

#[test]
fn a_symbolic_link_is_an_object_that_says_where_it_leads() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    mount.make_link(ROOT, "l", "../x").unwrap();
    assert_eq!(code(mount.make_link(ROOT, "l", "y")), Errno::EEXIST.code());
    let mut other = cloud.mount(&[]);
    let attr = other.lookup(ROOT, "l").unwrap().unwrap();
    assert_eq!((attr.kind, attr.size, attr.perm), (FileType::Symlink, 4, 0o777));
    assert_eq!(other.target(attr.ino.0).unwrap(), "../x");
}

#[test]
fn a_file_without_a_name_is_never_written() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    let (attr, handle) = mount.create(ROOT, "tmp").unwrap();
    mount.write(handle, 0, b"scratch").unwrap();
    mount.unlink(ROOT, "tmp").unwrap();
    assert_eq!(mount.read(handle, 0, 100).unwrap(), b"scratch");
    mount.flush(handle).unwrap();
    mount.release(handle);
    mount.nodes.forget(attr.ino.0, 1);
    assert!(cloud.names().is_empty() && mount.nodes.get(attr.ino.0).is_none());
    assert_eq!(code(mount.unlink(ROOT, "tmp")), Errno::ENOENT.code());
}

#[test]
fn a_file_is_cut_and_filled_up() {
    let cloud = Cloud::new();
    let mut mount = cloud.mount(&[]);
    cloud.upload("a", "hello");
    let ino = find(&mut mount, ROOT, "a").unwrap();
    mount.truncate(ino, 2).unwrap();
    assert_eq!(cloud.content("a"), "he", "without a handle it is written at once");
    mount.truncate(ino, 4).unwrap();
    assert_eq!(cloud.content("a"), "he\0\0");
}
