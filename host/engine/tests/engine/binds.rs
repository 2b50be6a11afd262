//! Bind mounts: the user's files in containers that run elsewhere.

mod container;
mod faults;

use std::{fs, path::Path};

use bollard_stubs::models::*;
use sockerless_engine::*;

use self::container::Inside;
use crate::world::*;

fn bound(binds: &[String]) -> impl FnOnce(&mut CreateRequest) {
    let binds = binds.to_vec();
    move |request| request.host.binds = Some(binds)
}

fn bind(source: &Path, rest: &str) -> String {
    format!("{}:{rest}", source.display())
}

fn write(folder: &tempfile::TempDir, path: &str, content: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn read(folder: &tempfile::TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

async fn end(world: &World, name: &str) {
    world.engine.kill(name, None).await.unwrap();
    world.wait(name).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_user_has_is_sent_in_and_what_the_container_changes_is_brought_back() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "src/main.c", "first");
    write(&work, "Makefile", "all:");
    write(&work, "old", "to be deleted");
    std::os::unix::fs::symlink("Makefile", work.path().join("link")).unwrap();
    // As checkouts have them.
    std::os::unix::fs::symlink("../elsewhere", work.path().join("up")).unwrap();
    inside.write("work/of-the-image", "hidden by a mount");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    assert!(!inside.at("work/Makefile").exists(), "nothing goes anywhere before the start");
    world.engine.start("box").await.unwrap();
    assert_eq!(names(&inside.at("work")), ["Makefile", "link", "old", "src", "up"]);
    assert_eq!((inside.read("work/src/main.c"), inside.read("work/link")), ("first".into(), "all:".into()));

    inside.write("work/out/program", "built");
    inside.write("work/src/main.c", "changed there");
    fs::remove_file(inside.at("work/old")).unwrap();
    write(&work, "mine", "meanwhile");
    end(&world, "box").await;
    assert_eq!(names(work.path()), ["Makefile", "link", "mine", "out", "src", "up"]);
    assert_eq!(
        (read(&work, "out/program"), read(&work, "src/main.c")),
        ("built".into(), "changed there".into())
    );
    assert_eq!(world.error("box"), "");
    let job = world.cloud.specs().len();

    // The same job, once more: what has changed here goes there.
    write(&work, "src/main.c", "second");
    world.engine.start("box").await.unwrap();
    assert_eq!(world.cloud.specs().len(), job);
    assert_eq!(
        (inside.read("work/src/main.c"), inside.read("work/mine")),
        ("second".into(), "meanwhile".into())
    );
    inside.write("work/last", "word");
    end(&world, "box").await;
    assert_eq!(read(&work, "last"), "word");

    let shown = world.engine.inspect("box", false).unwrap();
    let mount = &shown.mounts.unwrap()[0];
    assert_eq!((mount.typ, mount.rw), (Some(MountPointTypeEnum::BIND), Some(true)));
    assert_eq!(mount.source.as_deref(), work.path().to_str());
    assert_eq!(
        (mount.destination.as_deref(), mount.propagation.as_deref()),
        (Some("/work"), Some("rprivate"))
    );
    assert_eq!(shown.host_config.unwrap().binds.unwrap(), [bind(work.path(), "/work")]);
}

#[tokio::test(start_paused = true)]
async fn files_alone_and_read_only_mounts_are_sent_and_never_brought_back() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "my.conf", "listen 80");
    write(&work, "data/a", "1");
    let binds = [
        bind(&work.path().join("my.conf"), "/etc/nginx/conf.d/default.conf:ro"),
        bind(&work.path().join("data"), "/data:ro"),
    ];
    world.create_with("web", &["sleep"], bound(&binds)).await;
    world.engine.start("web").await.unwrap();
    assert_eq!(inside.read("etc/nginx/conf.d/default.conf"), "listen 80");
    inside.write("etc/nginx/conf.d/default.conf", "listen 81");
    inside.write("data/a", "2");
    inside.write("data/b", "new");
    end(&world, "web").await;
    assert_eq!((read(&work, "my.conf"), read(&work, "data/a")), ("listen 80".into(), "1".into()));
    assert_eq!(names(&work.path().join("data")), ["a"]);
    world.engine.start("web").await.unwrap();
    assert_eq!(inside.read("etc/nginx/conf.d/default.conf"), "listen 80");
    assert_eq!((inside.read("data/a"), names(&inside.at("data"))), ("1".into(), vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_file_alone_is_brought_back_and_never_deleted() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "notes.txt", "one");
    let file = bind(&work.path().join("notes.txt"), "/notes");
    world.create_with("box", &["sleep"], bound(&[file])).await;
    world.engine.start("box").await.unwrap();
    inside.write("notes", "one and two");
    end(&world, "box").await;
    assert_eq!(read(&work, "notes.txt"), "one and two");
    fs::remove_file(inside.at("notes")).unwrap();
    world.engine.start("box").await.unwrap();
    assert_eq!(inside.read("notes"), "one and two");
    fs::remove_file(inside.at("notes")).unwrap();
    end(&world, "box").await;
    assert_eq!(names(work.path()), ["notes.txt"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_or_a_folder_in_the_place_of_a_mounted_file_is_not_brought() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "conf", "the user's");
    let file = bind(&work.path().join("conf"), "/conf");
    world.create_with("box", &["sleep"], bound(&[file])).await;
    world.engine.start("box").await.unwrap();
    fs::remove_file(inside.at("conf")).unwrap();
    fs::create_dir(inside.at("conf")).unwrap();
    end(&world, "box").await;
    assert_eq!((names(work.path()), read(&work, "conf")), (vec!["conf".into()], "the user's".into()));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_a_container_puts_in_the_place_of_another_mount_leads_nowhere() {
    let world = World::new().await;
    let (inside, work, other) =
        (Inside::of(&world), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&work, "data/file", "sent");
    let data = bind(&work.path().join("data"), "/data");
    world.create_with("box", &["sleep"], bound(&[data])).await;
    world.engine.start("box").await.unwrap();
    // As a mount of the directory above would bring it.
    fs::remove_dir_all(work.path().join("data")).unwrap();
    std::os::unix::fs::symlink(other.path(), work.path().join("data")).unwrap();
    inside.write("data/evil", "anywhere");
    end(&world, "box").await;
    assert_eq!(names(other.path()), [] as [&str; 0]);
    assert!(world.error("box").contains("nothing is taken there or back"), "{}", world.error("box"));
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_on_both_sides_is_kept_on_both() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "a/file", "base");
    let id = world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    inside.write("work/a/file", "the container's");
    write(&work, "a/file", "the user's own");
    end(&world, "box").await;
    let beside = format!("file.conflict-{}", &id[..12]);
    assert_eq!(names(&work.path().join("a")), ["file".to_owned(), beside.clone()]);
    assert_eq!(read(&work, "a/file"), "the user's own");
    assert_eq!(read(&work, &format!("a/{beside}")), "the container's");
}

#[tokio::test(start_paused = true)]
async fn both_sides_are_merged_while_it_runs_when_asked_and_from_time_to_time() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "page", "first");
    let create = |request: &mut CreateRequest| {
        bound(&[bind(work.path(), "/work")])(request);
        request.config.labels = Some([("sockerless.binds.sync".to_owned(), "5s".to_owned())].into());
    };
    world.create_with("box", &["sleep"], create).await;
    let error = world.engine.sync_binds("box").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    world.engine.start("box").await.unwrap();
    write(&work, "page", "second one");
    inside.write("work/log", "said");
    world.engine.sync_binds("box").await.unwrap();
    assert_eq!((inside.read("work/page"), read(&work, "log")), ("second one".into(), "said".into()));
    write(&work, "page", "third");
    while inside.read("work/page") != "third" {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    end(&world, "box").await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_was_killed_brings_back_what_changed() {
    let mut world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "file", "base");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    inside.write("work/file", "changed");
    world.crash().await;
    write(&work, "mine", "meanwhile");
    world.reopen().await;
    end(&world, "box").await;
    assert_eq!((read(&work, "file"), read(&work, "mine")), ("changed".into(), "meanwhile".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_mounted_within_a_mount_and_what_stays_at_home_is_no_part_of_it() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "src/a", "a");
    write(&work, "node_modules/here", "this machine's");
    write(&work, "target/here", "this machine's");
    write(&work, ".sockerlessignore", "target\n");
    inside.write("work/target/there", "the image's");
    inside.write("work/node_modules/there", "the image's");
    let binds = [bind(work.path(), "/work"), "/work/node_modules".to_owned()];
    world.create_with("box", &["sleep"], bound(&binds)).await;
    world.engine.start("box").await.unwrap();
    assert_eq!(names(&inside.at("work/target")), ["there"]);
    assert_eq!(names(&inside.at("work/node_modules")), ["there"]);
    inside.write("work/target/built", "there");
    inside.write("work/src/b", "b");
    end(&world, "box").await;
    assert_eq!(names(&work.path().join("target")), ["here"]);
    assert_eq!(names(&work.path().join("node_modules")), ["here"]);
    assert_eq!(names(&work.path().join("src")), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_mounted_is_refused_with_the_reason() {
    let mut world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let refused = async |world: &World, change: &dyn Fn(&mut CreateRequest)| {
        let mut request = request("box", &["sleep"]);
        change(&mut request);
        world.engine.create(request).await.unwrap_err()
    };
    let typed = |request: &mut CreateRequest| {
        request.host.mounts = Some(vec![Mount {
            typ: Some(MountTypeEnum::BIND),
            source: Some(missing.display().to_string()),
            target: Some("/work".into()),
            ..Mount::default()
        }]);
    };
    let error = refused(&world, &typed).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    let expected = format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {}",
        missing.display()
    );
    assert!(error.message.starts_with(&expected), "{error}");
    let proc = |request: &mut CreateRequest| request.host.binds = Some(vec!["/proc:/machine".into()]);
    assert_eq!(refused(&world, &proc).await.kind, ErrorKind::Forbidden);
    let label = |request: &mut CreateRequest| {
        bound(&[bind(folder.path(), "/work")])(request);
        request.config.labels = Some([("sockerless.binds.sync".to_owned(), "often".to_owned())].into());
    };
    assert!(refused(&world, &label).await.message.contains("sockerless.binds.sync=often"));

    // For -v it is made, once the container starts.
    let inside = Inside::of(&world);
    world.create_with("made", &["sleep"], bound(&[bind(&missing, "/work")])).await;
    assert!(!missing.exists());
    world.engine.start("made").await.unwrap();
    assert!(missing.is_dir() && inside.at("work").is_dir());

    // More than may be sent is no start.
    world.crash().await;
    world.options.binds.size_limit = 10;
    world.options.binds.allow = vec![folder.path().to_owned()];
    world.reopen().await;
    write(&folder, "large/file", "more than ten bytes");
    world.create_with("large", &["sleep"], bound(&[bind(&folder.path().join("large"), "/large")])).await;
    let error = world.engine.start("large").await.unwrap_err();
    for part in ["19 bytes in 1 files", "the 10 that may be sent", "`size_limit` in `[binds]`"] {
        assert!(error.message.contains(part), "{error}");
    }
    let outside = |request: &mut CreateRequest| request.host.binds = Some(vec!["/etc:/machine".into()]);
    let error = refused(&world, &outside).await;
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.message.contains("`allow` in `[binds]`"), "{error}");

    let alone = World::with(None, everything()).await;
    let error = refused(&alone, &|request| bound(&[bind(folder.path(), "/work")])(request)).await;
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("callback_url"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_brought_back_is_told_to_who_inspects() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "dir/keep", "here");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    // All that a list lacks is not taken for deleted.
    fs::remove_dir_all(inside.at("work")).unwrap();
    end(&world, "box").await;
    assert!(world.error("box").contains("could be brought back"), "{}", world.error("box"));
    assert_eq!(read(&work, "dir/keep"), "here");
    world.engine.start("box").await.unwrap();
    assert_eq!((world.error("box"), inside.read("work/dir/keep")), (String::new(), "here".into()));
}

#[tokio::test(start_paused = true)]
async fn a_removal_by_force_waits_for_what_comes_back() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    world.create_with("box", &["stubborn"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    inside.write("work/result", "hard won");
    // Longer than a removal waits, or a kill.
    inside.slow_down(25);
    world.engine.remove("box", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    assert_eq!(read(&work, "result"), "hard won");
    assert!(world.engine.inspect("box", false).is_err());
    world.settled().await;
}
