//! Two sides, one state.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeSet;

use fixture::{edited, edits, empty, file, is_whole, linked, node};
use proptest::prelude::*;
use sockerless_tree::{Content, Digest, Manifest, difference, display, merge};

fn contents(tree: &Manifest) -> BTreeSet<Digest> {
    tree.chunks().map(|(digest, _)| digest).collect()
}

/// What one side has written since.
fn written(base: &Manifest, side: &Manifest) -> BTreeSet<Digest> {
    let new = |path: &[u8], content: &Content| base.get(path).is_none_or(|base| !base.content.same(content));
    let files = side.iter().filter(|(path, node)| new(path, &node.content));
    files.filter_map(|(_, node)| node.file()).flat_map(|file| file.chunks.clone()).collect()
}

fn trees() -> impl Strategy<Value = (Manifest, Manifest, Manifest)> {
    (edits(), edits(), edits()).prop_map(|(base, ours, theirs)| {
        let base = edited(&empty(), &base);
        (base.clone(), edited(&base, &ours), edited(&base, &theirs))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_either_side_wrote_is_lost((base, ours, theirs) in trees()) {
        let merged = merge(&base, &ours, &theirs, "x").manifest;
        prop_assert!(is_whole(&merged));
        let kept = contents(&merged);
        prop_assert!(written(&base, &ours).is_subset(&kept));
        prop_assert!(written(&base, &theirs).is_subset(&kept));
    }

    #[test]
    fn a_side_that_has_changed_nothing_counts_for_nothing((base, ours, _) in trees()) {
        prop_assert_eq!(&merge(&base, &ours, &base, "x").manifest, &ours);
        prop_assert_eq!(&merge(&base, &base, &ours, "x").manifest, &ours);
        let same = merge(&base, &ours, &ours, "x");
        prop_assert_eq!((&same.manifest, same.conflicts.len()), (&ours, 0));
    }

    #[test]
    fn merging_once_more_changes_nothing((base, ours, theirs) in trees()) {
        let once = merge(&base, &ours, &theirs, "x").manifest;
        let twice = merge(&base, &ours, &once, "x").manifest;
        prop_assert_eq!(difference(&once, &twice), vec![]);
        // And from what was sent on.
        let next = merge(&ours, &ours, &once, "x");
        prop_assert_eq!((&next.manifest, next.conflicts.len()), (&once, 0));
    }

    #[test]
    fn what_nobody_touched_stays((base, ours, theirs) in trees()) {
        let merged = merge(&base, &ours, &theirs, "x").manifest;
        for (path, node) in base.iter() {
            if ours.get(path) == Some(node) && theirs.get(path) == Some(node) {
                // The first name of a file may be another one by now.
                prop_assert!(merged.get(path).is_some_and(|merged| merged.same(node)), "{}", display(path));
            }
        }
    }

    #[test]
    fn the_compact_form_is_read_as_it_was_written((base, _, _) in trees()) {
        prop_assert_eq!(&Manifest::decode(&base.encode()).unwrap(), &base);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), (base, _, _) in trees(), at in any::<prop::sample::Index>()) {
        let _ = Manifest::decode(&[b"SLT1", bytes.as_slice()].concat());
        let mut broken = base.encode();
        let at = at.index(broken.len());
        broken[at] ^= 0x41;
        if let Ok(read) = Manifest::decode(&broken) {
            prop_assert!(is_whole(&read) || read.is_empty());
        }
        prop_assert!(Manifest::decode(&base.encode()[..at]).is_err());
    }
}

#[test]
fn both_versions_of_a_file_that_both_have_changed_are_kept() {
    let tree = |content| edited(&empty(), &[(b"d/f".to_vec(), Some(node(file(content))))]);
    let merged = merge(&tree(1), &tree(2), &tree(3), "ab12");
    assert_eq!(merged.manifest.get(b"d/f"), Some(&node(file(3))));
    assert_eq!(merged.manifest.get(b"d/f.conflict-ab12"), Some(&node(file(2))));
    assert_eq!((merged.conflicts.len(), merged.conflicts[0].kept.as_slice()), (1, &b"d/f.conflict-ab12"[..]));
    // The same once more from another state: another name.
    let again = merge(&tree(1), &tree(4), &merged.manifest, "ab12").manifest;
    assert_eq!(again.get(b"d/f.conflict-ab12-2"), Some(&node(file(4))));
}

#[test]
fn what_one_removed_and_the_other_changed_stays() {
    let base = edited(&empty(), &[(b"f".to_vec(), Some(node(file(1))))]);
    let changed = edited(&empty(), &[(b"f".to_vec(), Some(node(file(2))))]);
    assert_eq!(merge(&base, &empty(), &changed, "x").manifest, changed);
    assert_eq!(merge(&base, &changed, &empty(), "x").manifest, changed);
    assert_eq!(merge(&base, &empty(), &base, "x").manifest, empty());
}

#[test]
fn what_was_put_into_a_directory_that_became_a_file_is_kept_beside_it() {
    let base = edited(&empty(), &[(b"d".to_vec(), Some(node(Content::Directory)))]);
    let ours = edited(&base, &[(b"d/new".to_vec(), Some(node(file(2))))]);
    let theirs = edited(&base, &[(b"d".to_vec(), Some(node(file(3))))]);
    let merged = merge(&base, &ours, &theirs, "x").manifest;
    assert_eq!(merged.get(b"d"), Some(&node(file(3))));
    assert_eq!(merged.get(b"d.conflict-x/new"), Some(&node(file(2))));
}

/// The names of each file that has several.
fn links(tree: &Manifest) -> BTreeSet<Vec<String>> {
    let mut files = std::collections::BTreeMap::<Vec<u8>, Vec<String>>::new();
    for (path, node) in tree.iter() {
        if let Some(word) = node.file().and_then(|file| file.group.clone()) {
            files.entry(word).or_default().push(display(path).into_owned());
        }
    }
    files.into_values().collect()
}

fn files<const N: usize>(names: [[&str; 3]; N]) -> BTreeSet<Vec<String>> {
    let names =
        names.map(|names| names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect());
    names.into_iter().collect()
}

#[test]
fn what_either_side_links_to_one_file_is_one_file() {
    let base =
        edited(&empty(), &[(b"m".to_vec(), Some(node(file(1)))), (b"x".to_vec(), Some(node(file(2))))]);
    let with =
        |base: &Manifest, name: &str, target: &str| edited(base, &[linked(name.into(), target.as_bytes())]);
    // The first of its names is another one on each side.
    let merged = merge(&base, &with(&base, "a", "m"), &with(&base, "z", "m"), "x").manifest;
    assert_eq!(links(&merged), files([["a", "m", "z"]]));
    let base = with(&base, "z", "m");
    let merged = merge(&base, &with(&base, "a", "m"), &with(&base, "b", "z"), "x").manifest;
    let four = vec!["a".to_owned(), "b".to_owned(), "m".to_owned(), "z".to_owned()];
    assert_eq!(links(&merged), BTreeSet::from([four]));
    // A name that went takes none of the others along.
    let without = edited(&base, &[(b"m".to_vec(), None)]);
    let merged = merge(&base, &without, &with(&base, "a", "m"), "x").manifest;
    assert_eq!(links(&merged), files([["a", "z", ""]]));
}

#[test]
fn what_one_side_has_parted_stays_parted() {
    let base = edited(
        &empty(),
        &[(b"a".to_vec(), Some(node(file(1)))), linked(b"b".to_vec(), b"a"), linked(b"c".to_vec(), b"a")],
    );
    // The same bytes, as a file of its own.
    let parted = edited(&base, &[(b"b".to_vec(), Some(node(file(1))))]);
    let more = edited(&base, &[linked(b"d".to_vec(), b"a")]);
    let all = files([["a", "c", "d"]]);
    assert_eq!(links(&merge(&base, &parted, &more, "x").manifest), all);
    assert_eq!(links(&merge(&base, &more, &parted, "x").manifest), all);
}

#[test]
fn a_part_that_is_put_back_keeps_its_links_to_what_is_outside() {
    let tree = edited(
        &empty(),
        &[
            (b"in/a".to_vec(), Some(node(file(1)))),
            linked(b"out".to_vec(), b"in/a"),
            (b"in/b".to_vec(), Some(node(file(2)))),
            linked(b"also".to_vec(), b"in/b"),
        ],
    );
    let part = tree.subtree(b"in").unwrap();
    assert!(links(&part).is_empty());
    let mut back = tree.clone();
    back.graft(b"in", &part);
    assert_eq!(back, tree);
    // One more name of the one, and other bytes in the other.
    let part = edited(&part, &[linked(b"0".to_vec(), b"a"), (b"b".to_vec(), Some(node(file(3))))]);
    back.graft(b"in", &part);
    assert_eq!(links(&back), files([["in/0", "in/a", "out"]]));
    assert!(is_whole(&back));
}

#[test]
fn a_part_of_a_tree_is_taken_out_and_put_back() {
    let tree = edited(
        &empty(),
        &[
            (b"a/b".to_vec(), Some(node(file(1)))),
            (b"a.b".to_vec(), Some(node(file(2)))),
            (b"c".to_vec(), Some(node(file(3)))),
        ],
    );
    let part = tree.subtree(b"a").unwrap();
    assert_eq!(part.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&b""[..], b"b"]);
    let mut back = tree.clone();
    back.graft(b"a", &part);
    assert_eq!(back, tree);
    back.graft(b"a", &empty());
    assert_eq!((back.get(b"a/b"), back.get(b"a.b")), (None, tree.get(b"a.b")));
    back.graft(b"x/y", &part);
    assert_eq!(back.get(b"x/y/b"), part.get(b"b"));
    assert!(is_whole(&back) && tree.subtree(b"c").is_none());
}
