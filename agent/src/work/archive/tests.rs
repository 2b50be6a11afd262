//! Packing and unpacking on real files.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    },
};

use proptest::prelude::*;

use super::*;
use crate::work::stream::tests::{collect, input};

/// A container's file system.
struct World {
    folder: tempfile::TempDir,
    root: Root,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        Self { folder, root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let (reply, archive, result) = collect(|out| pack(&self.root, &Mounts::default(), path, out));
        result.map(|end| {
            assert_eq!(end, End::Done);
            assert!(matches!(reply, Some(Reply::Stat(_))));
            archive
        })
    }

    fn put(&self, put: Put, archive: &[u8]) -> Result<(), Fault> {
        let (reply, mut replied) = oneshot::channel();
        let result = unpack(&self.root, &put, reply, input(archive, 1000));
        assert!(result.is_err() || replied.try_recv() == Ok(Reply::Ready));
        result
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }
}

fn into(path: &str) -> Put {
    Put { path: path.to_owned(), keep_kind: true, ..Put::default() }
}

/// Names in an archive, as another program reads them.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let names = archive.entries().unwrap().map(|entry| entry.unwrap());
    names.map(|entry| String::from_utf8_lossy(&entry.path_bytes()).into_owned()).collect()
}

/// An archive of members and their content.
fn archive(members: &[(Member, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (member, content) in members {
        Member { size: content.len() as u64, modified: (1_000_000_000, 5), ..member.clone() }
            .encode(true, &mut all);
        all.extend_from_slice(content.as_bytes());
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

fn file(name: &str) -> Member {
    Member::new(name, EntryType::Regular)
}

fn link(name: &str, to: &str, kind: EntryType) -> Member {
    Member { link: to.into(), ..Member::new(name, kind) }
}

fn directory(name: &str) -> Member {
    Member { mode: 0o755, ..Member::new(name, EntryType::Directory) }
}

#[test]
fn the_archive_is_named_as_the_path_was_asked_for() {
    let world = World::new();
    fs::create_dir_all(world.at("dir/inner")).unwrap();
    fs::write(world.at("dir/inner/file"), "x").unwrap();
    symlink("/dir", world.at("link")).unwrap();
    for (path, expected) in [
        ("/dir", &["dir/", "dir/inner/", "dir/inner/file"][..]),
        ("dir/", &["dir/", "dir/inner/", "dir/inner/file"]),
        ("/dir/.", &["./", "./inner/", "./inner/file"]),
        ("/link", &["link"]),
        ("/link/", &["link/", "link/inner/", "link/inner/file"]),
        ("/link/.", &["./", "./inner/", "./inner/file"]),
        ("/link/inner/file", &["file"]),
        ("/dir/../dir/inner", &["inner/", "inner/file"]),
        ("/", &["/", "/dir/", "/dir/inner/", "/dir/inner/file", "/link"]),
        ("/.", &["./", "./dir/", "./dir/inner/", "./dir/inner/file", "./link"]),
    ] {
        assert_eq!(names(&world.get(path).unwrap()), expected, "{path}");
    }
    let missing = world.get("/none").unwrap_err();
    assert_eq!(
        (missing.kind, missing.message.as_str()),
        (FaultKind::NotFound, "lstat /none: no such file or directory")
    );
}

#[test]
fn what_is_copied_out_and_in_again_is_the_same() {
    let world = World::new();
    fs::create_dir_all(world.at("a/deep/er")).unwrap();
    fs::write(world.at("a/file"), vec![7; 300_000]).unwrap();
    fs::write(world.at(&format!("a/{}", "long".repeat(60))), "long").unwrap();
    fs::write(world.at("a/n\u{e4}me\nwith lines"), "odd").unwrap();
    fs::hard_link(world.at("a/file"), world.at("a/deep/same")).unwrap();
    symlink("../nowhere", world.at("a/deep/er/link")).unwrap();
    nix::unistd::mkfifo(&world.at("a/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::set_permissions(world.at("a/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(world.at("a/deep"), fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::net::UnixListener::bind(world.at("a/socket")).unwrap();
    let packed = world.get("/a").unwrap();
    fs::create_dir(world.at("b")).unwrap();
    world.put(Put { owners: true, ..into("/b") }, &packed).unwrap();
    let look = |path: &str| {
        let meta = fs::symlink_metadata(world.at(path)).unwrap();
        (
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.nlink(),
            if meta.is_dir() { 0 } else { meta.size() },
        )
    };
    for path in
        ["", "/deep", "/deep/er", "/deep/er/link", "/file", "/fifo", "/deep/same", "/n\u{e4}me\nwith lines"]
    {
        assert_eq!(look(&format!("a{path}")), look(&format!("b/a{path}")), "{path}");
    }
    assert_eq!(fs::read(world.at("a/file")).unwrap(), fs::read(world.at("b/a/file")).unwrap());
    assert_eq!(fs::read_link(world.at("b/a/deep/er/link")).unwrap(), Path::new("../nowhere"));
    assert!(fs::metadata(world.at("b/a/fifo")).unwrap().file_type().is_fifo());
    assert_eq!(world.text(&format!("b/a/{}", "long".repeat(60))), "long");
    assert!(!world.at("b/a/socket").exists(), "a socket is nothing that can be copied");
    let inode = |path: &str| fs::metadata(world.at(path)).unwrap().ino();
    assert_eq!(inode("b/a/file"), inode("b/a/deep/same"));
}

#[test]
fn a_capability_travels_with_its_program() {
    let world = World::new();
    fs::write(world.at("program"), "x").unwrap();
    // The third revision, with a line's end in its rights.
    let capability = [1, 0, 0, 3, 10, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let second = [&[1, 0, 0, 2][..], &capability[4..20]].concat();
    let name = header::CAPABILITY;
    if rustix::fs::lsetxattr(world.at("program"), name, &second, rustix::fs::XattrFlags::empty()).is_err() {
        return;
    }
    let packed = world.get("program").unwrap();
    fs::create_dir(world.at("to")).unwrap();
    world.put(into("to"), &packed).unwrap();
    let mut value = [0; 64];
    let count = rustix::fs::lgetxattr(world.at("to/program"), name, &mut value).unwrap();
    assert_eq!(&value[..count], &second);
}

#[test]
fn nothing_is_written_outside_of_the_target() {
    let world = World::new();
    for name in ["t", "other"] {
        fs::create_dir(world.at(name)).unwrap();
    }
    fs::write(world.at("other/victim"), "untouched").unwrap();
    let refused = |members: &[(Member, &str)]| {
        let fault = world.put(into("/t"), &archive(members)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid, "{}", fault.message);
        fault.message
    };
    let one = |member: Member| refused(&[(member, "")]);
    assert_eq!(one(file("../other/victim")), "\"../other/victim\" is outside of \"/t\"");
    assert_eq!(one(file("a/../../x")), "\"../x\" is outside of \"/t\"");
    assert_eq!(one(file("..")), "\"..\" is outside of \"/t\"");
    assert_eq!(
        one(link("h", "../other/victim", EntryType::Link)),
        "invalid hardlink \"/other/victim\" -> \"../other/victim\""
    );
    assert_eq!(one(link("up", "../other", EntryType::Symlink)), "invalid symlink \"/t/up\" -> \"../other\"");
    // An absolute link says what it likes; what would go through it may not.
    let out = || (link("new", "/other", EntryType::Symlink), "");
    assert_eq!(refused(&[out(), (file("new/victim"), "bad")]), "\"/t/new\" is outside of \"/t\"");
    refused(&[out(), (link("h", "new/victim", EntryType::Link), "")]);
    assert_eq!(fs::read_link(world.at("t/new")).unwrap(), Path::new("/other"));
    let members = [
        (file("/other/file"), "inside"),
        (file("/../up.txt"), "inside"),
        (link("h", "/other/file", EntryType::Link), ""),
    ];
    world.put(into("/t"), &archive(&members)).unwrap();
    assert_eq!(
        (world.text("t/other/file"), world.text("t/up.txt"), world.text("t/h")),
        ("inside".into(), "inside".into(), "inside".into())
    );
    assert_eq!(world.text("other/victim"), "untouched");
    assert_eq!(fs::read_dir(world.at("other")).unwrap().count(), 1);
}

#[test]
fn links_are_made_as_they_are_where_that_is_asked_for_and_lead_nothing_out() {
    let world = World::new();
    fs::create_dir(world.at("t")).unwrap();
    fs::create_dir(world.at("other")).unwrap();
    let any = || Put { any_links: true, ..into("/t") };
    let up = || (link("up", "../other", EntryType::Symlink), "");
    world.put(any(), &archive(&[up()])).unwrap();
    assert_eq!(fs::read_link(world.at("t/up")).unwrap(), Path::new("../other"));
    let fault = world.put(any(), &archive(&[up(), (file("up/victim"), "bad")])).unwrap_err();
    assert_eq!(fault.message, "\"/t/up\" is outside of \"/t\"");
    assert_eq!(fs::read_dir(world.at("other")).unwrap().count(), 0);
}

#[test]
fn links_within_the_target_lead_where_they_lead() {
    let world = World::new();
    fs::create_dir_all(world.at("run/lock")).unwrap();
    fs::create_dir(world.at("var")).unwrap();
    symlink("/run", world.at("var/run")).unwrap();
    world
        .put(
            into("/"),
            &archive(&[(file("var/run/lock/x"), "1"), (file("var/run/new/y"), "2"), (file("../../z"), "3")]),
        )
        .unwrap();
    assert_eq!(
        (world.text("run/lock/x"), world.text("run/new/y"), world.text("z")),
        ("1".into(), "2".into(), "3".into())
    );
    // What the image has linked elsewhere is elsewhere.
    world.put(into("/var"), &archive(&[(file("run/lock/w"), "5")])).unwrap();
    assert_eq!(world.text("run/lock/w"), "5");
    symlink("/run/lock", world.at("target")).unwrap();
    world.put(into("/target"), &archive(&[(file("through"), "4")])).unwrap();
    assert_eq!(world.text("run/lock/through"), "4");
    assert_eq!(fs::metadata(world.at("run/new")).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_link_in_a_members_place_is_replaced_not_followed() {
    let world = World::new();
    fs::write(world.at("precious"), "precious").unwrap();
    symlink("/precious", world.at("file")).unwrap();
    world.put(into("/"), &archive(&[(file("file"), "new")])).unwrap();
    assert_eq!((world.text("precious"), world.text("file")), ("precious".into(), "new".into()));
    assert!(fs::symlink_metadata(world.at("file")).unwrap().is_file());
}

#[test]
fn the_place_must_be_a_directory() {
    let world = World::new();
    fs::write(world.at("file"), "").unwrap();
    let fault = |path: &str| {
        world.put(into(path), &archive(&[])).map_err(|fault| (fault.kind, fault.message)).unwrap_err()
    };
    assert_eq!(fault("/none"), (FaultKind::NotFound, "lstat /none: no such file or directory".to_owned()));
    assert_eq!(fault("/file"), (FaultKind::Invalid, "extraction point is not a directory".to_owned()));
    assert_eq!(fault("/file/x").0, FaultKind::Internal);
}

#[test]
fn directories_and_files_replace_each_other_only_where_that_is_allowed() {
    let world = World::new();
    fs::create_dir_all(world.at("d/sub")).unwrap();
    fs::write(world.at("f"), "").unwrap();
    let put = |keep_kind, member| {
        world
            .put(Put { keep_kind, ..into("/") }, &archive(&[(member, "")]))
            .map_err(|fault| (fault.kind, fault.message))
    };
    let conflict = |message: &str| Err((FaultKind::Conflict, message.to_owned()));
    assert_eq!(put(true, file("d")), conflict("cannot overwrite directory \"/d\" with non-directory \"/\""));
    assert_eq!(
        put(true, directory("f")),
        conflict("cannot overwrite non-directory \"/f\" with directory \"/\"")
    );
    assert_eq!(put(true, file("f")), Ok(()));
    assert_eq!(put(true, directory("d")), Ok(()));
    assert!(world.at("d/sub").exists());
    assert_eq!(put(false, file("d")), Ok(()));
    assert_eq!(put(false, directory("f")), Ok(()));
    assert!(world.at("d").is_file() && world.at("f").is_dir());
    assert_eq!(put(false, file("/")).unwrap_err().0, FaultKind::Conflict, "the root is not replaced");
}

#[test]
fn times_are_kept_to_the_nanosecond_those_of_directories_too_and_the_targets_stays() {
    let world = World::new();
    fs::create_dir(world.at("t")).unwrap();
    let before = fs::metadata(world.at("t")).unwrap();
    let members = [
        (Member { mode: 0o700, ..directory("./") }, ""),
        (directory("d/"), ""),
        (file("d/f"), "x"),
        (link("d/l", "f", EntryType::Symlink), ""),
    ];
    world.put(into("/t"), &archive(&members)).unwrap();
    for path in ["t/d", "t/d/f", "t/d/l"] {
        let meta = fs::symlink_metadata(world.at(path)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 5), "{path}");
    }
    assert_eq!(fs::metadata(world.at("t")).unwrap().mode(), before.mode());
}

#[test]
fn owners_are_the_archives_or_the_agents_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let owner = |owners| {
        let member = Member { uid: 1234, gid: 5678, ..file("f") };
        world.put(Put { owners, ..into("/") }, &archive(&[(member, "")])).map(|()| {
            let meta = fs::metadata(world.at("f")).unwrap();
            (meta.uid(), meta.gid())
        })
    };
    assert_eq!(owner(true), Ok((1234, 5678)));
    assert_eq!(owner(false), Ok((0, 0)));
}

#[test]
fn a_layer_removes_what_it_says_and_nothing_else() {
    let world = World::new();
    for path in ["gone", "opaque/old/deep", "stays"] {
        fs::create_dir_all(world.at(path)).unwrap();
    }
    fs::write(world.at("opaque/old.txt"), "").unwrap();
    fs::write(world.at("stays/file"), "").unwrap();
    let members = [
        (directory("opaque/"), ""),
        (file("opaque/new/er"), "new"),
        (file("opaque/.wh..wh..opq"), ""),
        (file(".wh.gone"), ""),
        (file(".wh.never"), ""),
        (file(".wh..wh.plnk/1"), "metadata"),
        (file("stays/.wh.file"), ""),
    ];
    let layer = |members: &[_]| world.put(Put { layer: true, owners: true, ..into("/") }, &archive(members));
    layer(&members).unwrap();
    let mut left: Vec<String> = fs::read_dir(world.at(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["opaque", "stays"]);
    assert_eq!(world.text("opaque/new/er"), "new");
    assert_eq!(fs::read_dir(world.at("opaque")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(world.at("stays")).unwrap().count(), 0);
    for name in ["stays/.wh.", "stays/.wh..", "stays/.wh..."] {
        assert!(layer(&[(file(name), "")]).unwrap_err().message.contains("whiteout"), "{name}");
    }
    assert!(world.at("stays").exists());
    // What is no layer is taken as it is.
    world.put(into("/stays"), &archive(&[(file(".wh.x"), "plain")])).unwrap();
    assert_eq!(world.text("stays/.wh.x"), "plain");
}

#[test]
fn a_broken_archive_is_said_to_be_one() {
    let world = World::new();
    let whole = archive(&[(file("a"), &"x".repeat(2000)), (file("b"), "y")]);
    for (cut, broken) in [
        (100, true),
        (600, true),
        (1024, true),
        (1536, true),
        (3583, true),
        (3584, false),
        (4608, true),
        (5120, true),
        (5632, false),
    ] {
        let result = world.put(into("/"), &whole[..cut]);
        assert_eq!(result.is_err(), broken, "{cut} {result:?}");
        if let Err(fault) = result {
            assert!(
                fault.kind == FaultKind::Invalid && fault.message.contains("unexpected EOF"),
                "{}",
                fault.message
            );
        }
    }
    assert_eq!(world.text("b"), "y");
    let fault = world.put(into("/"), &[b'x'; 5000]).unwrap_err();
    assert_eq!(fault.message, "archive/tar: invalid tar header");
    let fault = world.put(into("/"), &archive(&[(Member::new("s", EntryType::GNUSparse), "")])).unwrap_err();
    assert_eq!(fault.message, "unhandled tar header type 83");
    let fault = world.put(into("/"), &archive(&[(link("h", "missing", EntryType::Link), "")])).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Invalid);
    world.put(into("/"), &[]).unwrap();
}

#[test]
fn a_file_that_shrinks_or_cannot_be_read_leaves_the_rest_whole() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // A file of the kernel's that says it has bytes and gives none.
    let mounts = Mounts::default();
    let (_, packed, result) =
        collect(|out| pack(&Root::container(), &mounts, "/sys/kernel/mm/transparent_hugepage", out));
    if result.is_ok() || packed.is_empty() {
        return;
    }
    assert!(result.unwrap_err().message.contains("shrank"));
    assert!(names(&packed).len() > 3);
}

fn tree() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    proptest::collection::vec(("[a-c]{1,2}(/[a-c]{1,2}){0,3}", proptest::option::of("[a-z]{0,40}")), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_survives_being_copied(tree in tree()) {
        let world = World::new();
        fs::create_dir_all(world.at("from")).unwrap();
        for (path, content) in &tree {
            let path = world.at("from").join(path);
            // What is in the way stays: any tree will do.
            let _ = match content {
                Some(content) => fs::write(path, content),
                None => fs::create_dir_all(path),
            };
        }
        let packed = world.get("/from/.").unwrap();
        fs::create_dir(world.at("to")).unwrap();
        world.put(into("/to"), &packed).unwrap();
        prop_assert_eq!(world.get("/to/.").map(|packed| names(&packed)), Ok(names(&packed)));
        for name in names(&packed).iter().filter(|name| !name.ends_with('/')) {
            prop_assert_eq!(fs::read(world.at("from").join(name)).unwrap(), fs::read(world.at("to").join(name)).unwrap());
        }
    }

    #[test]
    fn no_name_leads_out_of_the_target(name in "(/|\\.\\./|\\./|a/|up/|b){1,8}", kind in 0u8..3) {
        let world = World::new();
        fs::create_dir_all(world.at("x/t")).unwrap();
        let up = link("up", "/x", EntryType::Symlink);
        let member = match kind {
            0 => file(&name),
            1 => directory(&name),
            _ => link("h", &name, EntryType::Link),
        };
        let _ = world.put(Put { keep_kind: false, ..into("/x/t") }, &archive(&[(up, ""), (member, "")]));
        let outside: Vec<_> = fs::read_dir(world.at("x")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert_eq!(outside.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), [b"t"]);
        prop_assert_eq!(fs::read_dir(world.at("")).unwrap().count(), 1);
    }
}
