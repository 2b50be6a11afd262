//! What goes wrong while files go to a container and back, and what is not lost for that.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_container_is_not_started_with_another_folder_than_it_was_created_with() {
    let world = World::new().await;
    let (inside, work, other) =
        (Inside::of(&world), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&work, "data/file", "mine");
    write(&other, "secret", "another's");
    let data = bind(&work.path().join("data"), "/data");
    world.create_with("box", &["sleep"], bound(&[data])).await;
    // As a container may, that has the directory above.
    fs::rename(work.path().join("data"), work.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(other.path(), work.path().join("data")).unwrap();
    let error = world.engine.start("box").await.unwrap_err();
    assert!(error.message.contains("nothing is taken there or back"), "{error}");
    assert!(!inside.at("data/secret").exists());
    // As it was, or made anew in its place.
    fs::remove_file(work.path().join("data")).unwrap();
    write(&work, "data/file", "new");
    world.engine.start("box").await.unwrap();
    assert_eq!(inside.read("data/file"), "new");
    end(&world, "box").await;
}

#[tokio::test(start_paused = true)]
async fn what_the_user_saves_while_something_is_brought_back_is_kept() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "file", "base");
    let id = world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    inside.write("work/file", "the container's");
    inside.write("work/new", "the container's");
    let folder = work.path().to_owned();
    inside.meanwhile(move || {
        fs::write(folder.join("file"), "the user's, saved meanwhile").unwrap();
        fs::write(folder.join("new"), "saved meanwhile, too").unwrap();
    });
    end(&world, "box").await;
    let tag = &id[..12];
    assert_eq!(
        (read(&work, "file"), read(&work, "new")),
        ("the user's, saved meanwhile".into(), "saved meanwhile, too".into())
    );
    for name in ["file", "new"] {
        assert_eq!(read(&work, &format!("{name}.conflict-{tag}")), "the container's");
    }
    // And the next time it is the user's that counts.
    world.engine.start("box").await.unwrap();
    assert_eq!(inside.read("work/file"), "the user's, saved meanwhile");
    end(&world, "box").await;
    assert_eq!(names(work.path()).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn containers_with_the_same_files_that_end_at_once_keep_what_each_has_done() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "sub/file", "base");
    let all = world.create_with("all", &["sleep"], bound(&[bind(work.path(), "/all")])).await;
    let part = bind(&work.path().join("sub"), "/part");
    let part = world.create_with("part", &["sleep"], bound(&[part])).await;
    for name in ["all", "part"] {
        world.engine.start(name).await.unwrap();
    }
    inside.write("all/sub/file", "of one");
    inside.write("all/sub/new", "of one");
    inside.write("part/file", "of the other");
    inside.write("part/new", "of the other");
    inside.slow_down(5);
    tokio::join!(end(&world, "all"), end(&world, "part"));
    for name in ["file", "new"] {
        let beside = [&all, &part].map(|id| format!("{name}.conflict-{}", &id[..12]));
        let beside = beside.iter().find(|name| work.path().join("sub").join(name).exists()).unwrap();
        let mut both = [read(&work, &format!("sub/{name}")), read(&work, &format!("sub/{beside}"))];
        both.sort();
        assert_eq!(both, ["of one", "of the other"]);
    }
    assert_eq!(names(&work.path().join("sub")).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_file_that_says_what_stays_at_home_is_the_users_alone() {
    let world = World::new().await;
    let (inside, work, without) =
        (Inside::of(&world), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&work, ".sockerlessignore", "target\n");
    let binds = [bind(work.path(), "/work"), bind(without.path(), "/without")];
    world.create_with("box", &["sleep"], bound(&binds)).await;
    world.engine.start("box").await.unwrap();
    assert_eq!(inside.read("work/.sockerlessignore"), "target\n");
    inside.write("work/.sockerlessignore", "*");
    inside.write("without/.sockerlessignore", "*");
    inside.write("work/built", "there");
    world.engine.sync_binds("box").await.unwrap();
    assert_eq!((read(&work, ".sockerlessignore"), read(&work, "built")), ("target\n".into(), "there".into()));
    fs::remove_file(inside.at("work/.sockerlessignore")).unwrap();
    end(&world, "box").await;
    assert_eq!(names(work.path()), [".sockerlessignore", "built"]);
    assert_eq!(names(without.path()), [] as [&str; 0]);
    assert_eq!(world.error("box"), "");
    // What the user makes of it goes there all the same.
    write(&work, ".sockerlessignore", "other\n");
    world.engine.start("box").await.unwrap();
    assert_eq!(inside.read("work/.sockerlessignore"), "other\n");
    end(&world, "box").await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_given_up_with_what_to_do() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.create_with("other", &["sleep"], bound(&[bind(work.path(), "/other")])).await;
    for name in ["box", "other"] {
        world.engine.start(name).await.unwrap();
    }
    inside.write("work/file", "content");
    inside.stall(100_000);
    let merged = tokio::join!(world.engine.sync_binds("box"), world.engine.sync_binds("other"));
    for part in ["30 minutes", "sockerless.binds.exclude", "bind mount "] {
        let error = merged.0.as_ref().unwrap_err();
        assert!(error.message.contains(part), "{error}");
    }
    inside.stall(0);
    world.engine.sync_binds("box").await.unwrap();
    assert_eq!(read(&work, "file"), "content");
    for name in ["box", "other"] {
        end(&world, name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_something_is_mounted_over_in_the_container_is_not_taken_for_deleted() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "cache/deep/file", "the user's");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    inside.cover("work/cache");
    inside.write("work/new", "brought");
    end(&world, "box").await;
    assert_eq!((read(&work, "cache/deep/file"), read(&work, "new")), ("the user's".into(), "brought".into()));
    assert_eq!(world.error("box"), "");
}

#[tokio::test(start_paused = true)]
async fn one_thing_that_cannot_be_brought_keeps_nothing_else_and_is_tried_again() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "old", "to be deleted");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    let deep = format!("work/deep/{}file", "d/".repeat(256));
    inside.write(&deep, "out of reach");
    inside.write("work/a", "brought");
    inside.write("work/z", "brought, too");
    fs::remove_file(inside.at("work/old")).unwrap();
    end(&world, "box").await;
    assert_eq!(names(work.path()), ["a", "deep", "z"]);
    for part in ["could be brought back", "directories deep", "(and 1 more)"] {
        assert!(world.error("box").contains(part), "{}", world.error("box"));
    }
    // That is no reason not to start, and is told again.
    world.engine.start("box").await.unwrap();
    assert!(world.error("box").contains("directories deep"), "{}", world.error("box"));
    fs::remove_dir_all(inside.at("work/deep")).unwrap();
    end(&world, "box").await;
    assert_eq!(names(work.path()), ["a", "z"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_containers_user_may_not_read_is_told_to_who_inspects_and_is_tried_again() {
    let world = World::new().await;
    let (inside, work) = (Inside::of(&world), tempfile::tempdir().unwrap());
    write(&work, "kept", "the user's");
    world.create_with("box", &["sleep"], bound(&[bind(work.path(), "/work")])).await;
    world.engine.start("box").await.unwrap();
    for path in ["work/kept", "work/new", "work/other"] {
        inside.write(path, "the container's");
    }
    inside.hide("work/kept");
    inside.hide("work/new");
    let error = world.engine.sync_binds("box").await.unwrap_err();
    for part in ["open /work/kept: permission denied", "(and 1 more)"] {
        assert!(error.message.contains(part), "{error}");
    }
    end(&world, "box").await;
    assert_eq!(names(work.path()), ["kept", "other"]);
    assert_eq!((read(&work, "kept"), read(&work, "other")), ("the user's".into(), "the container's".into()));
    for part in ["could be brought back", "open /work/kept: permission denied", "(and 1 more)"] {
        assert!(world.error("box").contains(part), "{}", world.error("box"));
    }
    assert_eq!(inside.read("work/kept"), "the container's", "nothing is sent over it");
}
