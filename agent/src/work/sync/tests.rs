use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sockerless_agent_wire::sync::{Sync, Synced};

use super::{base::Known, turn::turn};

/// The storage and the daemon's word.
struct Volume {
    folder: tempfile::TempDir,
    head: Option<String>,
}

/// A container's directory.
struct Side {
    path: PathBuf,
    known: Known,
    sync: Sync,
    /// How often it was said that something has moved.
    moved: std::cell::Cell<usize>,
}

impl Volume {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        Self { folder, head: None }
    }

    fn side(&self, name: &str) -> Side {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).unwrap();
        let store = self.folder.path().join("store").display().to_string();
        let sync = Sync {
            store,
            path: path.display().to_string(),
            label: name.into(),
            fill: true,
            keep: 3600,
            ..Sync::default()
        };
        Side { path, known: Known::default(), sync, moved: Default::default() }
    }

    fn objects(&self, kind: &str) -> usize {
        fs::read_dir(self.folder.path().join("store").join(kind)).map_or(0, Iterator::count)
    }
}

impl Side {
    fn go(&mut self, volume: &mut Volume, inwards: bool, back: bool) -> Synced {
        let done = self.lost(volume, inwards, back);
        volume.head = done.version.clone().or(volume.head.take());
        done
    }

    /// The daemon does not hear of it.
    fn lost(&mut self, volume: &Volume, inwards: bool, back: bool) -> Synced {
        let sync = Sync { inwards, back, head: volume.head.clone(), ..self.sync.clone() };
        turn(&sync, SystemTime::now(), &mut self.known, &|| self.moved.set(self.moved.get() + 1)).unwrap()
    }

    fn write(&self, name: &str, content: &str) {
        let place = self.path.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        names(&self.path)
    }
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const IN: (bool, bool) = (true, false);
const BACK: (bool, bool) = (false, true);
const BOTH: (bool, bool) = (true, true);

fn go(side: &mut Side, volume: &mut Volume, (inwards, back): (bool, bool)) -> Synced {
    side.go(volume, inwards, back)
}

#[test]
fn what_one_container_leaves_the_next_one_finds() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.write("image", "from the image");
    assert_eq!(go(&mut one, &mut volume, IN).version, None);
    one.write("d/file", "text");
    fs::set_permissions(one.path.join("d/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(one.path.join("d/file"), one.path.join("other")).unwrap();
    symlink("d/file", one.path.join("link")).unwrap();
    one.write("large", &"0123456789abcdef".repeat(50_000));
    let done = go(&mut one, &mut volume, BACK);
    assert_eq!((done.files, done.bytes), (3, 800_000 + 14 + 4));
    // 800,000 bytes of which each chunk but the last is the same.
    assert!(done.went < 700_000, "{done:?}");
    assert_eq!((volume.objects("packs"), volume.objects("versions")), (1, 1));

    let mut two = volume.side("two");
    two.write("hidden", "by the volume");
    let done = go(&mut two, &mut volume, IN);
    assert_eq!((done.came, done.version), (800_000 + 14 + 4, None));
    assert_eq!(two.names(), ["d", "image", "large", "link", "other"]);
    let meta = |name: &str| fs::symlink_metadata(two.path.join(name)).unwrap();
    assert_eq!((meta("d/file").mode() & 0o7777, meta("d/file").ino()), (0o4711, meta("other").ino()));
    assert_eq!(two.read("large").len(), 800_000);
    // Nothing has changed: nothing is written.
    assert_eq!(go(&mut two, &mut volume, BACK).version, None);
    assert_eq!(volume.objects("packs"), 1);
    // The next start in place gets what has changed since, alone.
    one.write("d/file", "more");
    go(&mut one, &mut volume, BACK);
    let done = go(&mut two, &mut volume, BOTH);
    assert_eq!((done.changed, done.came, two.read("other").as_str()), (2, 4, "more"));
}

#[test]
fn a_new_name_of_an_unchanged_file_is_a_hard_link_on_every_side_and_stays_one() {
    let mut volume = Volume::new();
    let (mut one, mut two) = (volume.side("one"), volume.side("two"));
    go(&mut one, &mut volume, IN);
    one.write("b", "text");
    fs::hard_link(one.path.join("b"), one.path.join("c")).unwrap();
    go(&mut one, &mut volume, BACK);
    go(&mut two, &mut volume, IN);
    let inode = |side: &Side, name: &str| fs::metadata(side.path.join(name)).unwrap().ino();
    // After the others, and before them.
    for name in ["d", "a"] {
        fs::hard_link(one.path.join("b"), one.path.join(name)).unwrap();
        go(&mut one, &mut volume, BACK);
        go(&mut two, &mut volume, BOTH);
        assert_eq!(inode(&two, name), inode(&two, "b"), "{name}");
        assert_eq!(inode(&two, "c"), inode(&two, "b"), "{name}");
        // It shows what was brought in: there is nothing to bring back.
        assert_eq!(go(&mut two, &mut volume, BACK).version, None);
    }
    // Each side adds one at the same time.
    fs::hard_link(one.path.join("b"), one.path.join("0")).unwrap();
    fs::hard_link(two.path.join("b"), two.path.join("e")).unwrap();
    go(&mut one, &mut volume, BACK);
    go(&mut two, &mut volume, BOTH);
    go(&mut one, &mut volume, BOTH);
    let mut new = volume.side("new");
    go(&mut new, &mut volume, IN);
    for side in [&one, &two, &new] {
        assert_eq!(side.names(), ["0", "a", "b", "c", "d", "e"]);
        assert!(side.names().iter().all(|name| inode(side, name) == inode(side, "b")));
    }
}

#[test]
fn hard_links_to_what_another_mount_covers_stay() {
    let mut volume = Volume::new();
    let mut whole = volume.side("whole");
    go(&mut whole, &mut volume, IN);
    whole.write("0/x", "text");
    for name in ["b", "c"] {
        fs::hard_link(whole.path.join("0/x"), whole.path.join(name)).unwrap();
    }
    go(&mut whole, &mut volume, BACK);
    let mut covered = volume.side("covered");
    covered.sync.without = vec![covered.path.join("0").display().to_string()];
    go(&mut covered, &mut volume, IN);
    assert_eq!(go(&mut covered, &mut volume, BACK).version, None);
    fs::hard_link(covered.path.join("b"), covered.path.join("d")).unwrap();
    go(&mut covered, &mut volume, BACK);
    go(&mut whole, &mut volume, BOTH);
    let inode = |name: &str| fs::metadata(whole.path.join(name)).unwrap().ino();
    assert!(["b", "c", "d"].iter().all(|name| inode(name) == inode("0/x")));
}

#[test]
fn a_volume_without_a_copy_of_the_image_begins_empty() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.sync.fill = false;
    one.write("image", "from the image");
    go(&mut one, &mut volume, IN);
    assert!(one.names().is_empty());
}

#[test]
fn both_versions_of_a_file_that_two_containers_wrote_are_kept() {
    let mut volume = Volume::new();
    let (mut one, mut two) = (volume.side("one"), volume.side("two"));
    go(&mut one, &mut volume, IN);
    go(&mut two, &mut volume, IN);
    one.write("file", "of one");
    one.write("own", "of one");
    two.write("file", "of two");
    two.write("other", "of two");
    go(&mut one, &mut volume, BACK);
    let done = go(&mut two, &mut volume, BOTH);
    assert_eq!(done.conflicts, ["file.conflict-two"]);
    go(&mut one, &mut volume, BOTH);
    for side in [&one, &two] {
        assert_eq!(side.names(), ["file", "file.conflict-two", "other", "own"]);
        assert_eq!((side.read("file"), side.read("file.conflict-two")), ("of one".into(), "of two".into()));
    }
    // What one takes away is gone for the other, though it was brought back without being brought in.
    fs::remove_file(one.path.join("other")).unwrap();
    go(&mut one, &mut volume, BACK);
    two.write("own", "changed by two");
    go(&mut two, &mut volume, BACK);
    go(&mut one, &mut volume, BOTH);
    assert_eq!(one.names(), ["file", "file.conflict-two", "own"]);
    assert_eq!(one.read("own"), "changed by two");
}

#[test]
fn a_version_that_the_daemon_never_heard_of_does_not_count() {
    let mut volume = Volume::new();
    let (mut one, mut two) = (volume.side("one"), volume.side("two"));
    go(&mut one, &mut volume, IN);
    go(&mut two, &mut volume, IN);
    one.write("a", "1");
    assert!(one.lost(&volume, false, true).version.is_some());
    // Asked again, perhaps by the next daemon: nothing is missing.
    two.write("b", "2");
    go(&mut two, &mut volume, BACK);
    let done = go(&mut one, &mut volume, BACK);
    assert_eq!((done.files, done.conflict_count), (2, 0));
    // Heard of, and another one came after it: it is known to be in that.
    fs::remove_file(one.path.join("a")).unwrap();
    go(&mut two, &mut volume, BOTH);
    two.write("c", "3");
    go(&mut one, &mut volume, BACK);
    go(&mut two, &mut volume, BACK);
    let done = go(&mut one, &mut volume, BOTH);
    assert_eq!((one.names(), done.conflict_count), (vec!["b".into(), "c".into()], 0));
}

#[test]
fn a_part_of_a_volume_can_be_had_alone() {
    let mut volume = Volume::new();
    let mut whole = volume.side("whole");
    go(&mut whole, &mut volume, IN);
    whole.write("in/side/file", "x");
    whole.write("beside", "y");
    go(&mut whole, &mut volume, BACK);
    let mut part = volume.side("part");
    part.sync.part = "in/side".into();
    go(&mut part, &mut volume, IN);
    assert_eq!(part.names(), ["file"]);
    part.write("new", "z");
    go(&mut part, &mut volume, BACK);
    go(&mut whole, &mut volume, BOTH);
    assert_eq!(
        (names(&whole.path.join("in/side")), whole.read("beside")),
        (vec!["file".into(), "new".into()], "y".into())
    );
    let mut nowhere = volume.side("nowhere");
    nowhere.sync = Sync { part: "no".into(), inwards: true, head: volume.head.clone(), ..nowhere.sync };
    assert!(
        turn(&nowhere.sync, SystemTime::now(), &mut nowhere.known, &|| {})
            .unwrap_err()
            .to_string()
            .contains("no directory no")
    );
}

#[test]
fn what_no_version_needs_is_removed_after_a_while_and_the_last_one_stays_whole() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.sync.keep = 0;
    go(&mut one, &mut volume, IN);
    for turn in 0..5 {
        one.write("file", &format!("{turn}"));
        go(&mut one, &mut volume, BACK);
        assert!(volume.objects("packs") <= 2 && volume.objects("versions") <= 2);
        let mut other = volume.side(&format!("other{turn}"));
        go(&mut other, &mut volume, IN);
        assert_eq!(other.read("file"), format!("{turn}"));
    }
}

#[test]
fn who_was_asked_long_ago_removes_nothing() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    go(&mut one, &mut volume, IN);
    let packs = volume.folder.path().join("store/packs");
    fs::create_dir_all(&packs).unwrap();
    let newer = packs.join("of a newer version");
    fs::write(&newer, "").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3 * 3600);
    fs::File::options().write(true).open(&newer).unwrap().set_modified(old).unwrap();
    one.write("file", "1");
    let sync = Sync { back: true, ..one.sync.clone() };
    turn(&sync, old, &mut one.known, &|| {}).unwrap();
    assert!(newer.exists());
    turn(&sync, SystemTime::now(), &mut one.known, &|| {}).unwrap();
    assert!(!newer.exists());
}

#[test]
fn a_read_only_directory_gets_everything_and_gives_nothing() {
    let mut volume = Volume::new();
    let (mut one, mut reader) = (volume.side("one"), volume.side("reader"));
    go(&mut one, &mut volume, IN);
    one.write("file", "1");
    go(&mut one, &mut volume, BACK);
    go(&mut reader, &mut volume, IN);
    reader.write("own", "x");
    one.write("file", "2");
    go(&mut one, &mut volume, BACK);
    let done = go(&mut reader, &mut volume, IN);
    assert_eq!(
        (done.version, reader.names(), reader.read("file")),
        (None, vec!["file".to_owned()], "2".to_owned())
    );
}

#[test]
fn a_damaged_or_missing_object_is_an_error_and_nothing_is_taken_for_removed() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    go(&mut one, &mut volume, IN);
    one.write("file", "content");
    go(&mut one, &mut volume, BACK);
    let packs = volume.folder.path().join("store/packs");
    let pack = packs.join(&names(&packs)[0]);
    fs::write(&pack, "CONTENT").unwrap();
    let mut two = volume.side("two");
    let sync = Sync { inwards: true, head: volume.head.clone(), ..two.sync.clone() };
    assert!(
        turn(&sync, SystemTime::now(), &mut two.known, &|| {}).unwrap_err().to_string().contains("damaged")
    );
    assert!(two.known.base.is_none());
    let gone = Sync { head: Some("ab".repeat(16)), ..sync };
    assert!(turn(&gone, SystemTime::now(), &mut two.known, &|| {}).is_err());
}

#[test]
fn without_having_been_brought_in_nothing_is_brought_back() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.write("image", "x");
    assert_eq!(go(&mut one, &mut volume, BACK), Synced::default());
    assert_eq!(volume.objects("versions"), 0);
}

#[test]
fn other_volumes_in_the_directory_are_not_part_of_it() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.sync.without = vec![one.path.join("in").display().to_string()];
    go(&mut one, &mut volume, IN);
    one.write("in/file", "x");
    one.write("file", "y");
    assert_eq!(go(&mut one, &mut volume, BACK).files, 1);
    assert_eq!(go(&mut one, &mut volume, BOTH).changed, 0);
    assert_eq!(one.read("in/file"), "x");
}

#[test]
fn what_another_mount_covers_stays_in_the_volume_and_is_not_written_into_that_mount() {
    let mut volume = Volume::new();
    let mut whole = volume.side("whole");
    go(&mut whole, &mut volume, IN);
    whole.write("node_modules/x", "of the volume");
    whole.write("file", "1");
    go(&mut whole, &mut volume, BACK);
    let mut covered = volume.side("covered");
    covered.sync.without = vec![covered.path.join("node_modules").display().to_string()];
    covered.write("node_modules/y", "of the mount");
    let done = go(&mut covered, &mut volume, IN);
    assert_eq!((names(&covered.path.join("node_modules")), done.left_out), (vec!["y".into()], vec![]));
    covered.write("file", "2");
    assert_eq!(go(&mut covered, &mut volume, BACK).files, 2);
    whole.write("node_modules/z", "new");
    go(&mut whole, &mut volume, BOTH);
    assert_eq!((whole.read("node_modules/x"), whole.read("file")), ("of the volume".into(), "2".into()));
    covered.write("file", "3");
    let done = go(&mut covered, &mut volume, BOTH);
    assert_eq!((done.files, done.left_out_count, done.conflict_count), (3, 0, 0));
    assert_eq!(names(&covered.path.join("node_modules")), ["y"]);
    // Its own directory gone, it is gone, too.
    fs::remove_dir_all(whole.path.join("node_modules")).unwrap();
    go(&mut whole, &mut volume, BOTH);
    assert_eq!(go(&mut covered, &mut volume, BOTH).files, 1);
    assert_eq!(
        (whole.read("file"), names(&covered.path.join("node_modules"))),
        ("3".into(), vec!["y".into()])
    );
}

#[test]
fn small_packs_are_made_one_when_they_are_many() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    one.sync.keep = 0;
    go(&mut one, &mut volume, IN);
    for turn in 0..100 {
        one.write(&format!("file{turn}"), &format!("{turn}"));
        go(&mut one, &mut volume, BACK);
        // Those of the version before are there still.
        assert!(volume.objects("packs") <= super::limits::SMALL_MOST + 2);
    }
    let mut other = volume.side("other");
    go(&mut other, &mut volume, IN);
    assert_eq!(
        (other.names().len(), other.read("file0"), other.read("file99")),
        (100, "0".into(), "99".into())
    );
}

#[test]
fn a_volume_of_several_packs_is_whole_on_the_other_side() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    go(&mut one, &mut volume, IN);
    // No two chunks are the same.
    let content = |number: u32, size: usize| -> Vec<u8> {
        (0..size as u32 / 4).flat_map(|word| (word * 7 + number * 1_000_003).to_le_bytes()).collect()
    };
    for number in 0..20 {
        fs::write(one.path.join(format!("{number:02}-large")), content(number, 4 << 20)).unwrap();
        one.write(&format!("{number:02}-small"), &format!("of {number}"));
    }
    assert_eq!(go(&mut one, &mut volume, BACK).bytes, (20 * (4 << 20)) + 10 * 4 + 10 * 5);
    assert_eq!(volume.objects("packs"), 3);
    // What is changed lies elsewhere, in the middle of what is not.
    for number in (0..20).step_by(3) {
        one.write(&format!("{number:02}-small"), "changed");
        let place = one.path.join(format!("{number:02}-large"));
        let large = fs::File::options().write(true).open(place).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&large, b"changed", 1 << 20).unwrap();
    }
    go(&mut one, &mut volume, BACK);
    let mut two = volume.side("two");
    assert_eq!(go(&mut two, &mut volume, IN).came, (20 * (4 << 20)) + 7 * 7 + 6 * 4 + 7 * 5);
    assert_eq!(names(&two.path), names(&one.path));
    for name in one.names() {
        let read = |side: &Side| fs::read(side.path.join(&name)).unwrap();
        assert!(read(&one) == read(&two), "{name}");
    }
}

#[test]
fn what_moves_is_said_on_both_ways_and_nothing_else_is() {
    let mut volume = Volume::new();
    let mut one = volume.side("one");
    go(&mut one, &mut volume, IN);
    assert_eq!(one.moved.take(), 0);
    // Of several chunks.
    one.write("large", &"0123456789abcdef".repeat(50_000));
    go(&mut one, &mut volume, BACK);
    assert!(one.moved.take() > 1);
    let mut two = volume.side("two");
    go(&mut two, &mut volume, IN);
    assert!(two.moved.take() > 1);
}
