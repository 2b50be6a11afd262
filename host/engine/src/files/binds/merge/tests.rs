use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::files::binds::base::{After, advanced};

const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

/// A thing; `content` stands for the bytes, as far as a list shows them.
fn thing(path: &[u8], mode: u32, content: u64) -> Listed {
    let (size, time) = if mode == FILE { (content, content) } else { (0, 0) };
    let target = if mode == LINK { content.to_string().into_bytes() } else { Vec::new() };
    let time = i64::try_from(time).unwrap();
    Listed { path: path.to_vec(), mode, size, modified: (time, 0), target, ..Listed::default() }
}

/// Puts something into a tree as a program would: what is in its way goes.
fn put(tree: &mut Tree, path: &[u8], mode: u32, content: u64) {
    for parent in parents(path) {
        if !tree.get(parent).is_some_and(Listed::is_directory) {
            take(tree, parent);
            tree.insert(parent.to_vec(), thing(parent, DIRECTORY, 0));
        }
    }
    if !(mode == DIRECTORY && tree.get(path).is_some_and(Listed::is_directory)) {
        take(tree, path);
    }
    tree.insert(path.to_vec(), thing(path, mode, content));
}

/// Takes something away, with all that is in it.
fn take(tree: &mut Tree, path: &[u8]) {
    let below = [path, b"/"].concat();
    tree.retain(|other, _| other != path && !other.starts_with(&below));
}

/// What the directories look like once a plan was carried out, with the base that is kept then.
fn carry_out(plan: &Plan, base: &Base, user: &Tree, container: &Tree, sends: bool) -> (Base, Tree, Tree) {
    let (mut user_after, mut container_after) = (user.clone(), container.clone());
    for path in &plan.delete {
        assert!(user_after.remove(path).is_some());
    }
    for (path, to) in &plan.bring {
        let it = &container[path];
        if it.is_directory() && user_after.get(to).is_some_and(Listed::is_directory) {
            continue;
        }
        let before = user_after.len();
        let taken = usize::from(user_after.contains_key(to));
        put(&mut user_after, to, it.mode, if it.is_symlink() { it.target[0].into() } else { it.size });
        user_after.insert(to.clone(), Listed { path: to.clone(), ..it.clone() });
        assert!(user_after.len() > before - taken, "nothing else went");
    }
    for path in &plan.remove {
        let below = [path, &b"/"[..]].concat();
        if !container_after.keys().any(|other| other.starts_with(&below)) {
            container_after.remove(path);
        }
    }
    for path in &plan.send {
        let it = &user[path];
        if it.is_directory() && container_after.get(path).is_some_and(Listed::is_directory) {
            continue;
        }
        put(&mut container_after, path, it.mode, it.size);
        container_after.insert(path.clone(), it.clone());
    }
    let after = After { user: user_after, container: container_after, undone: BTreeSet::new() };
    let base = advanced(base, plan, user, container, &after, sends);
    (base, after.user, after.container)
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(vec!["a", "a/x", "a/y", "a/x/z", "b", "b/x", "c"]).prop_map(|path| path.into())
}

#[derive(Debug, Clone)]
enum Edit {
    Put(Vec<u8>, u32),
    Take(Vec<u8>),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let kind = proptest::sample::select(vec![FILE, FILE, FILE, DIRECTORY, LINK]);
    let edit = prop_oneof![
        3 => (path(), kind).prop_map(|(path, kind)| Edit::Put(path, kind)),
        1 => path().prop_map(Edit::Take),
    ];
    proptest::collection::vec(edit, 0..6)
}

/// Each content is another one.
fn edit(tree: &mut Tree, edits: &[Edit], from: u64) {
    for (edit, content) in edits.iter().zip(from..) {
        match edit {
            Edit::Put(path, kind) => put(tree, path, *kind, content),
            Edit::Take(path) => take(tree, path),
        }
    }
}

fn files(tree: &Tree) -> BTreeSet<u64> {
    tree.values().filter(|it| it.is_file()).map(|it| it.size).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_that_was_written_is_lost_and_what_was_deleted_goes(
        first in edits(), by_user in edits(), by_container in edits(), sends in any::<bool>(),
    ) {
        let mut tree = Tree::new();
        edit(&mut tree, &first, 1);
        let base = Base { user: tree.clone(), container: tree.clone() };
        let (mut user, mut container) = (tree.clone(), tree);
        edit(&mut user, &by_user, 100);
        edit(&mut container, &by_container, 200);

        let plan = merge(&base, &user, &container, "tag", sends);
        let (next, user_after, container_after) = carry_out(&plan, &base, &user, &container, sends);
        let (before, old) = (files(&user), files(&base.user));
        let (after, inside) = (files(&user_after), files(&container));
        for content in before.iter().filter(|content| !old.contains(content)) {
            prop_assert!(after.contains(content), "the user's {content} is lost: {plan:?}");
        }
        for content in inside.iter().filter(|content| !old.contains(content)) {
            prop_assert!(after.contains(content), "the container's {content} is lost: {plan:?}");
        }
        for content in old.iter().filter(|content| !inside.contains(content) || !before.contains(content)) {
            prop_assert!(!after.contains(content), "{content} was deleted: {plan:?}");
        }
        for (path, it) in &user {
            if it.is_file() && !old.contains(&it.size) {
                prop_assert_eq!(user_after.get(path), Some(it), "the user's files stay where they are");
            }
        }

        // Once is enough, and twice does no harm.
        let again = merge(&next, &user_after, &container_after, "tag", sends);
        if !sends {
            prop_assert!(again.is_empty(), "{again:?} after {plan:?}");
        } else if plan.conflicts.is_empty() {
            prop_assert!(again.is_empty(), "{again:?} after {plan:?}");
        } else {
            // What was kept beside something goes to the container the next time.
            prop_assert!(again.bring.is_empty() && again.delete.is_empty(), "{again:?} after {plan:?}");
        }
    }

    #[test]
    fn a_merge_that_did_not_come_to_its_end_is_gone_on_with(
        first in edits(), by_user in edits(), by_container in edits(),
    ) {
        let mut tree = Tree::new();
        edit(&mut tree, &first, 1);
        let base = Base { user: tree.clone(), container: tree.clone() };
        let (mut user, mut container) = (tree.clone(), tree);
        edit(&mut user, &by_user, 100);
        edit(&mut container, &by_container, 200);
        let plan = merge(&base, &user, &container, "tag", false);
        let (_, user_after, _) = carry_out(&plan, &base, &user, &container, false);
        // Everything was done, and nobody knows.
        let again = merge(&base, &user_after, &container, "tag", false);
        prop_assert!(again.bring.is_empty(), "{again:?} after {plan:?}");
        let (_, still, _) = carry_out(&again, &base, &user_after, &container, false);
        prop_assert_eq!(files(&still), files(&user_after));
    }

    #[test]
    fn a_mirror_is_the_same(user in edits(), container in edits()) {
        let (mut there, mut inside) = (Tree::new(), Tree::new());
        edit(&mut there, &user, 1);
        edit(&mut inside, &container, 100);
        let plan = mirror(None, &there, &inside);
        prop_assert!(plan.bring.is_empty() && plan.delete.is_empty());
        let (_, user_after, container_after) = carry_out(&plan, &Base::default(), &there, &inside, true);
        prop_assert_eq!(&user_after, &there);
        let shapes = |tree: &Tree| tree.values().map(|it| (it.path.clone(), it.mode, it.size)).collect::<Vec<_>>();
        prop_assert_eq!(shapes(&container_after), shapes(&there));
        let known = Base { user: there.clone(), container: container_after.clone() };
        prop_assert!(mirror(Some(&known), &there, &container_after).is_empty());
    }
}

fn tree(things: &[(&str, u32, u64)]) -> Tree {
    let mut tree = Tree::new();
    for (path, mode, content) in things {
        put(&mut tree, path.as_bytes(), *mode, *content);
    }
    tree
}

#[test]
fn each_side_keeps_its_own_where_both_changed_a_file() {
    let first = tree(&[("src/main.rs", FILE, 1), ("notes", FILE, 2)]);
    let base = Base { user: first.clone(), container: first };
    let user = tree(&[("src/main.rs", FILE, 10), ("notes", FILE, 2)]);
    let container = tree(&[("src/main.rs", FILE, 20), ("notes", FILE, 21)]);
    let plan = merge(&base, &user, &container, "c0ffee", true);
    let beside = b"src/main.rs.conflict-c0ffee".to_vec();
    assert_eq!(plan.conflicts, [(b"src/main.rs".to_vec(), beside.clone())]);
    let expected = [(b"notes".to_vec(), b"notes".to_vec()), (b"src/main.rs".to_vec(), beside)];
    assert_eq!(plan.bring.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(plan.send, [b"src/main.rs".to_vec()]);
}

#[test]
fn the_time_that_nobody_can_set_shows_a_change() {
    let first = tree(&[("a", FILE, 1)]);
    let base = Base { user: first.clone(), container: first.clone() };
    let mut container = first.clone();
    container.get_mut(&b"a"[..]).unwrap().changed = (9, 9);
    container.get_mut(&b"a"[..]).unwrap().size = 2;
    assert_eq!(merge(&base, &first, &container, "t", false).bring.len(), 1);
    // The same bytes by all that can be seen: there is nothing to bring.
    container.get_mut(&b"a"[..]).unwrap().size = 1;
    assert!(merge(&base, &first, &container, "t", false).is_empty());
}

#[test]
fn long_names_that_are_shortened_do_not_become_the_same() {
    let [one, other] = ["1", "2"].map(|end| format!("{}{end}", "n".repeat(254)));
    let first = tree(&[(&one, FILE, 1), (&other, FILE, 1)]);
    let base = Base { user: first.clone(), container: first };
    let user = tree(&[(&one, FILE, 10), (&other, FILE, 11)]);
    let container = tree(&[(&one, FILE, 20), (&other, FILE, 21)]);
    let plan = merge(&base, &user, &container, "c0ffee", false);
    let places: BTreeSet<_> = plan.bring.values().collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places.iter().all(|path| path.len() == 255 && !user.contains_key(*path)));
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_for_deleted() {
    let first = tree(&[("a/b", FILE, 1)]);
    let base = Base { user: first.clone(), container: first.clone() };
    let mut container = tree(&[("a", DIRECTORY, 0)]);
    container.get_mut(&b"a"[..]).unwrap().closed = true;
    assert!(merge(&base, &first, &container, "t", true).is_empty());
    container.get_mut(&b"a"[..]).unwrap().closed = false;
    assert_eq!(merge(&base, &first, &container, "t", true).delete, [b"a/b".to_vec()]);
}

#[test]
fn what_something_is_mounted_over_is_as_it_was() {
    let first = tree(&[("a/b", FILE, 1), ("f", FILE, 2)]);
    let base = Base { user: first.clone(), container: first.clone() };
    let mut container = tree(&[("a", DIRECTORY, 0), ("f", 0o020_666, 0), ("new", DIRECTORY, 0)]);
    for listed in container.values_mut() {
        (listed.closed, listed.uid) = (true, 7);
    }
    let mut user = first.clone();
    user.get_mut(&b"a/b"[..]).unwrap().size = 5;
    for sends in [true, false] {
        assert_eq!(merge(&base, &user, &container, "t", sends), Plan::default());
    }
    assert_eq!(mirror(Some(&base), &first, &container), Plan::default());
    assert!(mirror(None, &first, &container).remove.is_empty());
    let next = advanced(&base, &Plan::default(), &user, &container, &After::default(), true);
    assert_eq!(next, base);
    assert_eq!(merge(&next, &user, &first, "t", true).send, [b"a/b".to_vec()], "once it is gone");
}

#[test]
fn a_file_that_is_mounted_by_itself_is_never_deleted() {
    let one = |content| Tree::from([(Vec::new(), thing(b"", FILE, content))]);
    let base = Base { user: one(1), container: one(1) };
    let plan = merge(&base, &one(1), &Tree::new(), "t", true);
    assert!(plan.delete.is_empty());
    assert_eq!(plan.send, [Vec::<u8>::new()]);
    assert!(merge(&base, &Tree::new(), &one(1), "t", true).is_empty());
    let plan = merge(&base, &one(2), &one(3), "t", false);
    assert_eq!(plan.conflicts, [(Vec::new(), b".conflict-t".to_vec())]);
}

#[test]
fn what_was_not_brought_is_asked_for_again_and_what_was_not_deleted_is_tried_again() {
    let first = tree(&[("changed", FILE, 1), ("gone", FILE, 2)]);
    let base = Base { user: first.clone(), container: first.clone() };
    let container = tree(&[("changed", FILE, 11), ("new", FILE, 3)]);
    let plan = merge(&base, &first, &container, "t", false);
    assert_eq!((plan.bring.len(), plan.delete.len()), (2, 1));
    // Nothing came.
    let undone = plan.bring.keys().chain(&plan.delete).cloned().collect();
    let done = Plan::default();
    let after = After { undone, ..After::default() };
    let next = advanced(&base, &done, &first, &container, &after, false);
    assert_eq!(merge(&next, &first, &container, "t", false), plan);
}
