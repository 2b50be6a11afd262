use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
};

use super::*;
use crate::files::{
    binds::{disk::Opened, turns::Turns},
    write::Writer,
};

const FILE: u32 = 0o100_644;

/// What brings some files into an empty directory.
async fn bringing(paths: &[&str]) -> Bringing {
    let listed = |path: &&str| {
        let path = path.as_bytes().to_vec();
        (path.clone(), Listed { path, mode: FILE, ..Listed::default() })
    };
    let container: Tree = paths.iter().map(listed).collect();
    let bring = container.keys().map(|path| (path.clone(), path.clone())).collect();
    let plan = Plan { bring, ..Plan::default() };
    let turn = Arc::new(Turns::default().take(Path::new("/"), true).await);
    let work = Bringing::new(plan, Base::default(), Tree::new(), container, turn);
    // However full the disk is.
    Bringing { waiting_most: 1 << 20, ..work }
}

fn disk(folder: &tempfile::TempDir) -> Disk {
    let root = Opened::open(&folder.path().canonicalize().unwrap(), None, false).unwrap();
    Disk::new(Arc::new(root), "c0ffee")
}

fn file(content: &str) -> Meta {
    Meta { mode: 0o644, size: content.len() as u64, ..Meta::default() }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true);
    for (path, content) in files {
        writer.append(path.as_bytes(), &file(content), content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Looks at a folder when so many bytes were read.
struct Watched<'a> {
    archive: &'a [u8],
    at: usize,
    folder: &'a Path,
    seen: &'a mut Vec<String>,
    looked: &'a AtomicBool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.archive.len() <= self.at && !self.looked.swap(true, Ordering::SeqCst) {
            *self.seen = names(self.folder);
        }
        let count = buffer.len().min(512);
        self.archive.read(&mut buffer[..count])
    }
}

/// What is in the folder when the last of an archive's bytes are read, its end aside.
fn seen_before_end(work: &mut Bringing, folder: &tempfile::TempDir, archive: &[u8]) -> Vec<String> {
    let (mut seen, looked) = (Vec::new(), AtomicBool::new(false));
    let watched = Watched { archive, at: 1024, folder: folder.path(), seen: &mut seen, looked: &looked };
    work.take(&mut disk(folder), watched, false).unwrap();
    assert!(looked.load(Ordering::SeqCst));
    seen
}

#[tokio::test]
async fn nothing_takes_its_place_before_all_has_come_or_much_waits() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("a", "1"), ("b", "22"), ("c", "333")];
    let mut work = bringing(&["a", "b", "c"]).await;
    let seen = seen_before_end(&mut work, &folder, &archive(&files));
    assert!(seen.len() == 3 && seen.iter().all(|name| name.ends_with(".partial")), "{seen:?}");
    assert_eq!((names(folder.path()), work.placed.len()), (vec!["a".into(), "b".into(), "c".into()], 3));

    let folder = tempfile::tempdir().unwrap();
    let mut work = bringing(&["a", "b", "c"]).await;
    work.waiting_most = 4;
    let seen = seen_before_end(&mut work, &folder, &archive(&files));
    assert!(seen.len() == 3 && seen.contains(&"a".into()) && seen.contains(&"b".into()), "{seen:?}");
    assert_eq!(fs::read_to_string(folder.path().join("c")).unwrap(), "333");
}

#[tokio::test]
async fn what_has_come_whole_takes_its_place_when_the_rest_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&[("a", "1"), ("b", "22")]);
    let mut work = bringing(&["a", "b"]).await;
    // A header and a block of the first, a header of the second.
    let error = work.take(&mut disk(&folder), &archive[..3 * 512 + 1], false).unwrap_err();
    assert!(error.message.contains("could not be read"), "{error}");
    assert_eq!(names(folder.path()), ["a"]);
}

#[tokio::test]
async fn names_of_one_file_are_that_here_too_whether_it_has_its_place_or_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut work = bringing(&["a", "b", "c"]).await;
    let mut disk = disk(&folder);
    let mut writer = Writer::new(Vec::new(), true);
    writer.append(b"a", &file("1"), &b"1"[..]).unwrap();
    writer.append_hard(b"b", &file("1"), b"a").unwrap();
    let both = writer.finish().unwrap();
    work.take(&mut disk, both.as_slice(), false).unwrap();
    let mut writer = Writer::new(Vec::new(), true);
    writer.append_hard(b"c", &file("1"), b"a").unwrap();
    let third = writer.finish().unwrap();
    work.take(&mut disk, third.as_slice(), false).unwrap();
    let inodes: BTreeSet<u64> =
        ["a", "b", "c"].iter().map(|name| fs::metadata(folder.path().join(name)).unwrap().ino()).collect();
    assert_eq!((inodes.len(), names(folder.path()).len()), (1, 3));
}
