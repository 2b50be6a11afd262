use proptest::prelude::*;
use sockerless_ports::link::request::Entry;

use super::*;
use crate::files::{
    member::{Member, What},
    path,
};

fn directory(name: &str) -> Member {
    Member { name: name.into(), what: What::Thing(Meta::directory()) }
}

/// A file; its size tells files apart.
fn file(name: &str, size: u64) -> Member {
    Member { name: name.into(), what: What::Thing(Meta { mode: 0o644, size, ..Meta::default() }) }
}

fn symlink(name: &str, target: &str) -> Member {
    let meta = Meta { kind: Kind::Symlink, mode: 0o777, target: target.into(), ..Meta::default() };
    Member { name: name.into(), what: What::Thing(meta) }
}

fn hard(name: &str, target: &str) -> Member {
    Member { name: name.into(), what: What::Hard(target.into()) }
}

fn tree(layers: &[&[Member]]) -> Tree {
    let mut tree = Tree::default();
    for (number, layer) in (0..).zip(layers) {
        tree.lay(number, layer);
    }
    tree
}

fn names(path: &str) -> Vec<Name> {
    path::parts(path.as_bytes()).map(Into::into).collect()
}

/// All paths with a word for what is there.
fn list(tree: &Tree) -> Vec<String> {
    fn add(node: &Node, path: &str, all: &mut Vec<String>) {
        for (name, child) in &node.children {
            let path = format!("{path}/{}", String::from_utf8_lossy(name));
            all.push(match child.meta.kind {
                Kind::Directory => format!("{path}/"),
                Kind::Symlink => format!("{path} -> {}", String::from_utf8_lossy(&child.meta.target)),
                _ => format!("{path} {}", child.meta.size),
            });
            add(child, &path, all);
        }
    }
    let mut all = Vec::new();
    add(&tree.root, "", &mut all);
    all
}

fn told(changes: &[Change]) -> Vec<String> {
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    let place = |change: &Change| path::shown(change.place.iter().map(AsRef::as_ref));
    changes.iter().map(|change| format!("{} {}", letter(change.kind), place(change))).collect()
}

#[test]
fn upper_layers_replace_merge_and_hide() {
    let tree = tree(&[
        &[
            directory("etc/"),
            file("./etc/a", 1),
            file("etc/b", 2),
            directory("opt/"),
            file("opt/x", 3),
            file("opt/y", 4),
            file("plain", 5),
        ],
        &[
            file("etc/a", 6),
            file("etc/.wh.b", 0),
            file("opt/z", 7),
            file("opt/.wh..wh..opq", 0),
            directory("plain"),
            file("plain/in", 8),
            file(".wh..wh.plnk", 0),
        ],
    ]);
    assert_eq!(list(&tree), ["/etc/", "/etc/a 6", "/opt/", "/opt/z 7", "/plain/", "/plain/in 8"]);
}

#[test]
fn what_hides_a_directory_hides_what_is_below_it_alone_whatever_the_order() {
    let tree = tree(&[
        &[file("d/e/old", 1), file("d/f/old", 1)],
        &[file("d/e/new", 2), file("d/.wh..wh..opq", 0), file("d/g", 3)],
    ]);
    assert_eq!(list(&tree), ["/d/", "/d/e/", "/d/e/new 2", "/d/g 3"]);
}

#[test]
fn members_go_through_links_to_directories_and_never_out_of_the_root() {
    let tree = tree(&[
        &[
            directory("usr/lib"),
            symlink("lib", "usr/lib"),
            symlink("up", "../../.."),
            symlink("circle", "circle"),
        ],
        &[
            file("lib/x", 1),
            file("up/y", 2),
            file("../../z", 3),
            file("circle/n", 4),
            hard("usr/h", "lib/x"),
            hard("n", "nothing"),
        ],
    ]);
    assert_eq!(
        list(&tree),
        [
            "/circle -> circle",
            "/lib -> usr/lib",
            "/up -> ../../..",
            "/usr/",
            "/usr/h 1",
            "/usr/lib/",
            "/usr/lib/x 1",
            "/y 2",
            "/z 3"
        ]
    );
    let content = |path: &str| tree.get(names(path).iter().map(AsRef::as_ref)).unwrap().content;
    assert_eq!(content("usr/h"), content("usr/lib/x"));
}

#[test]
fn paths_are_resolved_as_dockerd_does() {
    let tree = tree(&[&[
        directory("tmp/d"),
        file("tmp/d/f", 1),
        symlink("tmp/ldir", "d"),
        symlink("tmp/abs", "/tmp/d"),
        symlink("loop", "loop"),
    ]]);
    let found = |path: &str| {
        let found = tree.find(&path::absolute(path));
        found.map(|found| path::shown(found.place.iter().map(AsRef::as_ref)))
    };
    for (path, place) in [
        ("/", "/"),
        ("/tmp/ldir", "/tmp/ldir"),
        ("/tmp/ldir/", "/tmp/d"),
        ("/tmp/ldir/.", "/tmp/d"),
        ("/tmp/abs/f", "/tmp/d/f"),
        ("tmp/../../tmp/d/f", "/tmp/d/f"),
    ] {
        assert_eq!(found(path), Ok(place.into()), "{path}");
    }
    assert_eq!(found("/nope"), Err(Missing::NotFound));
    assert_eq!(found("/nope/x"), Err(Missing::NotFound));
    assert_eq!(found("/tmp/d/f/"), Err(Missing::NotDirectory));
    assert_eq!(found("/tmp/d/f/x"), Err(Missing::NotDirectory));
    assert_eq!(found("/loop/x"), Err(Missing::Loop));
    assert_eq!(found("/loop"), Ok("/loop".into()));
    let linked = tree.follow(b"/tmp/abs").unwrap();
    assert_eq!(linked, names("/tmp/d"));
}

#[test]
fn a_clients_archive_is_unpacked_by_dockerds_rules() {
    let base = tree(&[&[directory("tmp/d"), file("tmp/d/f", 1), directory("etc"), file("etc/passwd", 9)]]);
    let unpack = |to: &str, keep_kind: bool, members: &[Member]| {
        let mut tree = base.clone();
        tree.unpack(1, Destination { place: &names(to), keep_kind }, members).map(|()| list(&tree).join(" "))
    };
    let all = |more: &str| format!("/etc/ /etc/passwd 9 /tmp/ /tmp/d/ /tmp/d/f 1{more}");
    assert_eq!(unpack("/tmp", false, &[file("p/q/r", 2)]), Ok(all(" /tmp/p/ /tmp/p/q/ /tmp/p/q/r 2")));
    assert_eq!(unpack("/tmp", false, &[file("/x", 2), directory(".")]), Ok(all(" /tmp/x 2")));
    assert_eq!(
        unpack("/tmp", false, &[file(".wh.d", 2)]),
        Ok(all("").replace("/tmp/d/ ", "/tmp/.wh.d 2 /tmp/d/ "))
    );
    assert_eq!(
        unpack("/", false, &[symlink("tmp/le", "/etc"), file("tmp/le/thr", 3)]),
        Ok("/etc/ /etc/passwd 9 /etc/thr 3 /tmp/ /tmp/d/ /tmp/d/f 1 /tmp/le -> /etc".into())
    );
    assert_eq!(unpack("/tmp", false, &[file("d", 2)]), Ok("/etc/ /etc/passwd 9 /tmp/ /tmp/d 2".into()));
    assert_eq!(unpack("/tmp", true, &[directory("d"), hard("h", "d/f")]), Ok(all(" /tmp/h 1")));
    for (to, members, words) in [
        ("/tmp", vec![file("../etc/x", 1)], r#""../etc/x" is outside of "/tmp""#),
        ("/tmp", vec![symlink("up", "../../../etc")], r#"invalid symlink "/tmp/up" -> "../../../etc""#),
        ("/tmp", vec![symlink("le", "/etc"), file("le/thr", 3)], r#""/tmp/le" is outside of "/tmp""#),
        ("/tmp", vec![symlink("out", "../etc")], r#"invalid symlink "/tmp/out" -> "../etc""#),
        ("/tmp", vec![symlink("out", "../tmpfs")], r#"invalid symlink "/tmp/out" -> "../tmpfs""#),
        ("/tmp", vec![hard("ho", "../etc/passwd")], r#"invalid hardlink "/etc/passwd" -> "../etc/passwd""#),
        ("/tmp", vec![hard("ho", "/etc/passwd")], "link /tmp/etc/passwd /tmp/ho: no such file or directory"),
        ("/tmp", vec![file("d", 1)], r#"cannot overwrite directory "/tmp/d" with non-directory "/tmp""#),
        (
            "/tmp/d",
            vec![directory("f")],
            r#"cannot overwrite non-directory "/tmp/d/f" with directory "/tmp/d""#,
        ),
    ] {
        assert_eq!(unpack(to, true, &members), Err(words.to_owned()));
    }
}

#[test]
fn a_link_that_was_there_leads_where_it_leads_in_the_container() {
    let mut tree = tree(&[&[directory("run"), symlink("var/run", "/run"), directory("tmp")]]);
    let var = names("/var");
    let to = Destination { place: &var, keep_kind: true };
    tree.unpack(1, to, &[file("run/deep/x", 1), hard("run/h", "run/deep/x"), symlink("new", "/tmp")])
        .unwrap();
    // The next archive's way is that of the one before, since that was unpacked first.
    tree.unpack(2, to, &[file("new/y", 2)]).unwrap();
    assert_eq!(
        list(&tree).join(" "),
        "/run/ /run/deep/ /run/deep/x 1 /run/h 1 /tmp/ /tmp/y 2 /var/ /var/new -> /tmp /var/run -> /run"
    );
}

#[test]
fn differences_are_told_as_docker_diff_tells_them() {
    let image = tree(&[&[
        directory("bin"),
        file("bin/vi", 1),
        directory("etc"),
        file("etc/group", 2),
        file("etc/passwd", 3),
        directory("home"),
        directory("tmp"),
        directory("var"),
        file("var/x", 4),
        directory("empty"),
    ]]);
    let mut now = image.clone();
    let changed = Meta { mode: 0o700, ..Meta::directory() };
    now.lay(
        1,
        &[
            file("bin/.wh.vi", 0),
            file("bin/vi2", 1),
            file("etc/.wh.group", 0),
            file("etc/passwd", 3),
            file(".wh.var", 0),
            file("tmp/a", 5),
            directory("new/sub"),
            file("new/sub/f", 6),
            Member { name: "home".into(), what: What::Thing(changed) },
        ],
    );
    assert_eq!(
        told(&differences(&image, &now.root)),
        [
            "C /bin",
            "D /bin/vi",
            "A /bin/vi2",
            "C /etc",
            "D /etc/group",
            "C /etc/passwd",
            "C /home",
            "A /new",
            "A /new/sub",
            "A /new/sub/f",
            "C /tmp",
            "A /tmp/a",
            "D /var"
        ]
    );
    assert_eq!(told(&differences(&image, &image.root)), [""; 0]);
}

/// What an agent lists of a tree that nobody has touched.
fn walk(tree: &Tree) -> Vec<Entry> {
    fn add(node: &Node, path: String, all: &mut Vec<Entry>) {
        let meta = &node.meta;
        all.push(Entry {
            path: if path.is_empty() { "/".into() } else { path.clone() },
            mode: meta.st_mode(),
            size: meta.size,
            modified: meta.modified.0,
            link: String::from_utf8_lossy(&meta.target).into_owned(),
            ..Entry::default()
        });
        for (name, child) in &node.children {
            add(child, format!("{path}/{}", String::from_utf8_lossy(name)), all);
        }
    }
    let mut all = Vec::new();
    add(&tree.root, String::new(), &mut all);
    all
}

fn seen(entries: Vec<Entry>) -> Seen {
    let mut seen = Seen::default();
    entries.into_iter().for_each(|entry| seen.add(entry));
    seen
}

#[test]
fn an_agents_list_is_compared_with_the_image() {
    let image = tree(&[&[
        directory("dev"),
        file("dev/console", 0),
        directory("etc"),
        file("etc/hosts", 1),
        file("etc/passwd", 2),
        directory("home"),
        symlink("l", "etc"),
        file("gone", 3),
    ]]);
    assert_eq!(told(&differences(&image, &seen(walk(&image)))), [""; 0]);
    let mut entries = walk(&image);
    entries.retain(|entry| entry.path != "/gone" && entry.path != "/dev/console");
    for entry in &mut entries {
        match entry.path.as_str() {
            "/dev" => (entry.closed, entry.mode) = (true, 0o040_700),
            "/etc/hosts" => entry.size = 7,
            "/etc/passwd" => entry.recent = true,
            // What the machine maintains was put there anew.
            "/etc" => (entry.modified, entry.recent) = (99, true),
            // Unpacking the image was before the agent.
            "/home" => entry.modified = 99,
            _ => {}
        }
    }
    let thing = |path: &str, mode, recent| Entry { path: path.into(), mode, recent, ..Entry::default() };
    entries.extend([
        thing("/machine", 0o100_644, false),
        thing("/moved", 0o040_755, true),
        thing("/moved/old", 0o100_644, false),
        thing("/mnt", 0o040_755, false),
        thing("/mnt/new", 0o100_644, true),
    ]);
    let mut seen = seen(entries);
    seen.close("/etc/hosts");
    assert_eq!(
        told(&differences(&image, &seen)),
        ["C /etc", "C /etc/passwd", "D /gone", "A /mnt", "A /mnt/new", "A /moved", "A /moved/old"]
    );
    let mut entries = walk(&image);
    for entry in &mut entries {
        if entry.path == "/etc" || entry.path == "/home" {
            (entry.modified, entry.recent) = (99, true);
        }
    }
    let mut seen = self::seen(entries);
    seen.close("/etc/hosts");
    seen.close("/nowhere/at/all");
    assert_eq!(told(&differences(&image, &seen)), ["C /home"]);
}

/// The layer that differences make.
fn layer(tree: &Tree, changes: &[Change]) -> Vec<Member> {
    let member = |change: &Change| {
        let names: Vec<&[u8]> = change.place.iter().map(AsRef::as_ref).collect();
        let path = path::join(names.iter().copied());
        match (change.kind, tree.get(names.iter().copied())) {
            (ChangeKind::Deleted, _) => {
                let (last, parents) = names.split_last().unwrap();
                let gone = [WHITEOUT, last].concat();
                file(
                    &String::from_utf8(path::join(parents.iter().copied().chain([gone.as_slice()]))).unwrap(),
                    0,
                )
            }
            (_, node) => Member { name: path, what: What::Thing(Meta::clone(&node.unwrap().meta)) },
        }
    };
    changes.iter().map(member).collect()
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let name = proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4)
        .prop_map(|parts| parts.join("/"));
    let member = (name, 0u64..4, 0..4).prop_map(|(name, size, kind)| match kind {
        0 => directory(&name),
        1 => symlink(&name, "b"),
        _ => file(&name, size),
    });
    proptest::collection::vec(member, 0..12)
}

/// Without where the bytes are.
fn shape(node: &Node) -> String {
    let children: Vec<String> =
        node.children.iter().map(|(name, child)| format!("{name:?}: {}", shape(child))).collect();
    format!("{:?} [{}]", node.meta, children.join(", "))
}

proptest! {
    #[test]
    fn the_differences_as_a_layer_make_the_one_out_of_the_other(before in members(), after in members(), second in members()) {
        // Without links, through which members would go elsewhere.
        let plain = |members: &[Member]| -> Vec<Member> {
            let is_link = |member: &&Member| matches!(&member.what, What::Thing(meta) if meta.kind == Kind::Symlink);
            members.iter().filter(|member| !is_link(member)).cloned().collect()
        };
        let old = tree(&[&plain(&before)]);
        let mut new = tree(&[&plain(&after)]);
        new.lay(1, &plain(&second));
        let changes = differences(&old, &new.root);
        let mut made = old.clone();
        made.lay(2, &layer(&new, &changes));
        prop_assert_eq!(shape(&made.root), shape(&new.root));
        prop_assert_eq!(told(&differences(&old, &made.root)), told(&changes));
    }

    #[test]
    fn no_layer_and_no_archive_breaks_a_tree(layers in proptest::collection::vec(members(), 0..4), put in members(), path in "[abc./]{0,8}") {
        let layers: Vec<&[Member]> = layers.iter().map(Vec::as_slice).collect();
        let mut tree = tree(&layers);
        let found = tree.find(&path::absolute(&path));
        prop_assert!(found.is_err() || found.is_ok());
        if let Ok(found) = tree.find_followed(&path::absolute(&path)) && found.node.is_directory() {
            let _ = tree.unpack(9, Destination { place: &found.place, keep_kind: false }, &put);
        }
        prop_assert_eq!(told(&differences(&tree, &tree.root)), [""; 0]);
        prop_assert_eq!(told(&differences(&tree, &seen(walk(&tree)))), [""; 0]);
    }
}
