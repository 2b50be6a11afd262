use std::{
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
};

use sockerless_agent_wire::{listing::Reader, request::FaultKind};

use super::*;
use crate::work::stream::tests::collect;

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name(name.as_bytes().to_vec())).collect()
}

fn folder() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for path in ["real/sub/deep", "real/cache", "real/mounted"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for path in ["real/a", "real/sub/b", "real/sub/deep/c", "real/cache/d", "real/mounted/e"] {
        fs::write(at(path), path).unwrap();
    }
    symlink("sub/b", at("real/link")).unwrap();
    symlink("/real", at("work")).unwrap();
    fs::set_permissions(at("real/a"), fs::Permissions::from_mode(0o4755)).unwrap();
    let root = Root::at(folder.path());
    (folder, root)
}

fn listed(root: &Root, path: &str, except: &[&str]) -> Vec<Listed> {
    let table = b"1 0 0:1 / /real/mounted rw - tmpfs tmpfs rw\n";
    let mounts = Mounts::parse(table, None);
    let (reply, bytes, result) = collect(|out| list(root, &mounts, path, &names(except), out));
    assert_eq!((reply, result), (Some(Reply::Ready), Ok(End::Done)));
    let mut reader = Reader::default();
    reader.push(&bytes);
    std::iter::from_fn(|| reader.take().unwrap()).collect()
}

#[test]
fn a_list_has_all_below_a_path_but_what_is_not_wanted_and_mounts_are_closed() {
    let (_folder, root) = folder();
    let all = listed(&root, "/work", &["cache"]);
    let paths: Vec<_> = all.iter().map(|listed| String::from_utf8_lossy(&listed.path).into_owned()).collect();
    assert_eq!(paths, ["", "a", "link", "mounted", "sub", "sub/b", "sub/deep", "sub/deep/c"]);
    // What is below it is out of sight, not gone.
    let closed: Vec<_> = all.iter().filter(|listed| listed.closed).map(|listed| &*listed.path).collect();
    assert_eq!(closed, [b"mounted"]);
    assert_eq!((all[1].permissions(), all[1].size, all[1].is_file()), (0o4755, 6, true));
    assert_eq!((all[2].is_symlink(), all[2].target.as_slice(), all[2].size), (true, &b"sub/b"[..], 0));
    assert!(all[4].is_directory() && all.iter().all(|listed| listed.inode > 0 && listed.changed.0 > 0));
    // A file by itself.
    let one = listed(&root, "/real/sub/b", &[]);
    assert_eq!((one.len(), one[0].path.as_slice(), one[0].size), (1, &b""[..], 10));
    let (reply, _, result) = collect(|out| list(&root, &Mounts::default(), "/none", &[], out));
    assert_eq!((reply, result.unwrap_err().kind), (None, FaultKind::NotFound));
}

#[test]
fn what_is_picked_comes_by_itself_and_what_is_gone_does_not() {
    let (_folder, root) = folder();
    let wanted = names(&["sub", "sub/deep/c", "gone", "a/below", "link"]);
    let (reply, bytes, result) = collect(|out| pack(&root, "/work", &wanted, out));
    assert_eq!((reply, result), (Some(Reply::Ready), Ok(End::Done)));
    let mut archive = tar::Archive::new(bytes.as_slice());
    let members: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), content)
        })
        .collect();
    let expected = [("sub/", ""), ("sub/deep/c", "real/sub/deep/c"), ("link", "")]
        .map(|(name, content)| (name.to_owned(), content.to_owned()));
    assert_eq!(members, expected);
}

#[test]
fn what_is_removed_is_gone_but_for_directories_that_hold_something() {
    let (folder, root) = folder();
    let gone = names(&["sub/deep/c", "sub/deep", "sub", "link", "none", "a/below"]);
    clear(&root, "/work", &gone).unwrap();
    let is_there = |path: &str| fs::symlink_metadata(folder.path().join("real").join(path)).is_ok();
    assert!(is_there("sub/b") && is_there("a"));
    assert!(!is_there("sub/deep") && !is_there("link"));
    assert_eq!(clear(&root, "/none", &gone).unwrap_err().kind, FaultKind::NotFound);
}

#[test]
fn what_may_not_be_looked_at_is_closed_and_ends_no_list() {
    let (folder, root) = folder();
    // A path that is too long to look at is as good as one that is not allowed, and tests may be run by root.
    let mut at = std::path::PathBuf::from("real");
    let name = "n".repeat(200);
    while folder.path().join(&at).as_os_str().len() + 1 + name.len() < 4090 {
        at.push(&name);
    }
    let name = "n".repeat(255);
    let last = folder.path().join(&at);
    fs::create_dir_all(&last).unwrap();
    let directory = fs::File::open(&last).unwrap();
    rustix::fs::mkdirat(&directory, &*name, rustix::fs::Mode::RWXU).unwrap();
    let all = listed(&root, "/real", &[]);
    let unseen = at.strip_prefix("real").unwrap().join(&name);
    let found = all.iter().find(|listed| listed.path == unseen.as_os_str().as_bytes()).unwrap();
    assert!(found.closed && found.is_directory());
    assert!(all.iter().any(|listed| listed.path == b"sub/deep/c"), "the rest is there");
    rustix::fs::unlinkat(&directory, &*name, rustix::fs::AtFlags::REMOVEDIR).unwrap();
}
