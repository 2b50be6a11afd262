//! Containers that have no agent: the image's layers and what was copied in.

use std::{io::Write as _, sync::Arc};

use bollard_stubs::models::{ChangeType, HostConfig};
use flate2::{Compression, write::GzEncoder};
use sockerless_engine::*;

use super::{
    agent::{Asked, act},
    archive::{list, listed, sent, tar, whole},
};
use crate::world::*;

async fn world() -> World {
    let world = World::new().await;
    world.registry.add_layers(
        "fs:1",
        vec![
            gzip(&tar(&[
                "bin/",
                "bin/vi old",
                "bin/sh shell",
                "etc/",
                "etc/passwd root:x:0:0::/:/bin/sh\nweb:x:7:8::/:/\n",
                "lib -> usr/lib",
                "usr/lib/",
                "usr/lib/a a",
            ])),
            tar(&["bin/vi new", "bin/.wh.sh", "bin/ex => bin/vi", "tmp/"]),
        ],
    );
    world
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// By the program of that name, as the daemon undoes it.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    std::process::Command::new("xz").arg("-c").arg(file.path()).output().unwrap().stdout
}

async fn created(world: &World, change: impl FnOnce(&mut CreateRequest)) -> String {
    world
        .create_with("cc", &["exit", "0"], |request| {
            request.config.image = Some("fs:1".into());
            change(request);
        })
        .await
}

fn put(path: &str) -> PutArchive {
    PutArchive { path: path.into(), ..PutArchive::default() }
}

async fn read(world: &World, path: &str) -> Vec<String> {
    listed(world.engine.read_path("cc", path).await.unwrap().1).await
}

#[tokio::test]
async fn before_the_first_start_the_images_layers_answer() {
    let world = world().await;
    created(&world, |_| {}).await;
    let stat = world.engine.stat_path("cc", "/lib").await.unwrap();
    assert_eq!(
        (stat.name.as_str(), stat.mode, stat.size, stat.link.as_str()),
        ("lib", 0o120_777, 7, "/usr/lib")
    );
    let stat = world.engine.stat_path("cc", "bin/vi").await.unwrap();
    assert_eq!((stat.size, stat.modified), (3, 1_700_000_000_000_000_000));
    for (path, members) in [
        ("/bin", &["bin/", "bin/ex new", "bin/vi => bin/ex"][..]),
        ("/lib", &["lib -> usr/lib"]),
        ("/lib/", &["lib/", "lib/a a"]),
        ("/lib/.", &["./", "./a a"]),
        ("/usr/../lib/a", &["a a"]),
    ] {
        assert_eq!(read(&world, path).await, members, "{path}");
    }
    for (path, kind, words) in [
        ("/nope", ErrorKind::NotFound, "Could not find the file /nope in container cc"),
        ("/bin/sh", ErrorKind::NotFound, "Could not find the file /bin/sh in container cc"),
        ("/bin/vi/", ErrorKind::Internal, "lstat /bin/vi/: not a directory"),
    ] {
        let error = world.engine.stat_path("cc", path).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, words));
        let error = world.engine.read_path("cc", path).await.map(drop).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, words));
    }
    let error = world.engine.stat_path("other", "/").await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "No such container: other"));
}

#[tokio::test]
async fn what_is_copied_in_is_kept_and_seen_by_the_next_daemon() {
    let mut world = world().await;
    created(&world, |_| {}).await;
    let engine = &world.engine;
    engine.write_path("cc", put("/tmp"), sent(tar(&["d/", "d/f one", "d/g two"]))).await.unwrap();
    engine.write_path("cc", put("/lib"), sent(gzip(&tar(&["b packed"])))).await.unwrap();
    engine.write_path("cc", put("/tmp/d"), sent(xz(&tar(&["f three"])))).await.unwrap();
    world.crash().await;
    world.reopen().await;
    assert_eq!(read(&world, "/tmp").await, ["tmp/", "tmp/d/", "tmp/d/f three", "tmp/d/g two"]);
    assert_eq!(read(&world, "/usr/lib").await, ["lib/", "lib/a a", "lib/b packed"]);
    let changes = world.engine.changes("cc").await.unwrap();
    let told: Vec<_> = changes.iter().map(|change| (change.path.as_str(), change.kind)).collect();
    assert_eq!(
        told,
        [
            ("/tmp", ChangeType::_0),
            ("/tmp/d", ChangeType::_1),
            ("/tmp/d/f", ChangeType::_1),
            ("/tmp/d/g", ChangeType::_1),
            ("/usr", ChangeType::_0),
            ("/usr/lib", ChangeType::_0),
            ("/usr/lib/b", ChangeType::_1),
        ]
    );
    let all = listed(world.engine.export("cc").await.unwrap()).await;
    for member in ["tmp/d/f three", "usr/lib/b packed", "lib -> usr/lib", "bin/ex new"] {
        assert!(all.contains(&member.to_owned()), "{all:?}");
    }
    assert!(!all.iter().any(|member| member.starts_with("bin/sh")), "{all:?}");
}

#[tokio::test]
async fn what_goes_through_a_link_of_the_images_out_of_its_directory_is_kept_and_delivered() {
    let world = World::new().await;
    world.registry.add_layers("fs:1", vec![tar(&["run/", "tmp/", "var/", "var/run -> /run"])]);
    created(&world, |_| {}).await;
    let put = |members: &[&str]| world.engine.write_path("cc", put("/var"), sent(tar(members)));
    put(&["run/pid 1", "new -> /tmp"]).await.unwrap();
    put(&["new/y 2"]).await.unwrap();
    assert_eq!(read(&world, "/run").await, ["run/", "run/pid 1"]);
    assert_eq!(read(&world, "/tmp").await, ["tmp/", "tmp/y 2"]);
    // Out through a link of its own is refused before anything is kept.
    let error = put(&["out -> /tmp", "out/z 3"]).await.unwrap_err();
    assert_eq!(error.message, "\"/var/out\" is outside of \"/var\"");
    let asked = Arc::new(Asked::default());
    let to = Arc::clone(&asked);
    world.link.serve(move |request, end| act(Arc::clone(&to), request, end));
    world.engine.start("cc").await.unwrap();
    assert_eq!(
        asked.bodies().iter().map(|body| list(body)).collect::<Vec<_>>(),
        [vec!["new -> /tmp", "run/pid 1"], vec!["new/y 2"]]
    );
}

#[tokio::test]
async fn a_commit_holds_what_was_copied_in_and_is_an_image_like_any_other() {
    let world = world().await;
    created(&world, |request| request.config.user = Some("web".into())).await;
    world.engine.write_path("cc", put("/tmp"), sent(tar(&["f one"]))).await.unwrap();
    let request = CommitContainer {
        container: "cc".into(),
        repository: "made".into(),
        comment: "why".into(),
        author: "me".into(),
        changes: vec!["USER other".into()],
        ..CommitContainer::default()
    };
    let id = world.engine.commit_container(request.clone()).await.unwrap();
    let commit = world.registry.commits.lock().unwrap().remove(0);
    assert_eq!(
        (commit.name.as_deref(), commit.author.as_str(), commit.comment.as_str()),
        (Some("made:latest"), "me", "why")
    );
    assert_eq!((commit.config.user.as_str(), commit.created_by.as_str()), ("other", "exit 0"));
    assert_eq!(list(&world.registry.layers_of(&id)[2]), ["tmp/", "tmp/f one"]);
    world.create_with("next", &["x"], |request| request.config.image = Some("made".into())).await;
    let (stat, _) = world.engine.read_path("next", "/tmp/f").await.unwrap();
    assert_eq!(stat.size, 3);
    for (change, kind, words) in [
        (
            CommitContainer { container: String::new(), ..request.clone() },
            ErrorKind::Invalid,
            "invalid name or ID supplied: \"\"",
        ),
        (
            CommitContainer { container: "x".into(), ..request.clone() },
            ErrorKind::NotFound,
            "No such container: x",
        ),
        (
            CommitContainer { repository: "Made".into(), ..request.clone() },
            ErrorKind::Invalid,
            "must be lowercase",
        ),
        (
            CommitContainer { tag: "b d".into(), ..request.clone() },
            ErrorKind::Invalid,
            "invalid reference format",
        ),
        (
            CommitContainer { changes: vec!["RUN x".into()], ..request },
            ErrorKind::Invalid,
            "not a valid change command",
        ),
    ] {
        let error = world.engine.commit_container(change).await.unwrap_err();
        assert!(error.kind == kind && error.message.contains(words), "{error:?}");
    }
}

#[tokio::test]
async fn what_dockerd_would_not_unpack_is_not_kept() {
    let world = world().await;
    created(&world, |_| {}).await;
    let keep = |path: &str| PutArchive { keep_kind: true, ..put(path) };
    let whole = tar(&["big and so on"]);
    for (request, body, kind, words) in [
        (put("/nope"), tar(&[]), ErrorKind::NotFound, "Could not find the file /nope in container cc"),
        (put("/bin/vi"), tar(&[]), ErrorKind::Internal, "extraction point is not a directory"),
        (put("/bin/vi/x"), tar(&[]), ErrorKind::Internal, "lstat /bin/vi/x: not a directory"),
        (put("/tmp"), whole[..515].to_vec(), ErrorKind::Internal, "unexpected EOF"),
        (put("/tmp"), b"no archive".repeat(99), ErrorKind::Internal, "archive/tar: invalid tar header"),
        (put("/tmp"), gzip(&whole)[..20].to_vec(), ErrorKind::Internal, ""),
        (
            put("/tmp"),
            tar(&["good x", "../etc/x y"]),
            ErrorKind::Internal,
            "\"../etc/x\" is outside of \"/tmp\"",
        ),
        (put("/tmp"), b"BZh9 and so on".to_vec(), ErrorKind::Internal, "bzip2 compression is damaged"),
        (
            keep("/"),
            tar(&["bin file"]),
            ErrorKind::Internal,
            "cannot overwrite directory \"/bin\" with non-directory \"/\"",
        ),
        (
            keep("/bin"),
            tar(&["vi/"]),
            ErrorKind::Internal,
            "cannot overwrite non-directory \"/bin/vi\" with directory \"/bin\"",
        ),
    ] {
        let error = world.engine.write_path("cc", request, sent(body)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(
            words.is_empty() || error.message == words || kind == ErrorKind::Invalid,
            "{error} / {words}"
        );
    }
    assert_eq!(world.engine.changes("cc").await.unwrap(), []);
    assert_eq!(world.kept("cc").len(), 0);
    world.engine.write_path("cc", put("/"), sent(tar(&["bin file"]))).await.unwrap();
    assert_eq!(read(&world, "/bin").await, ["bin file"]);
}

#[tokio::test]
async fn a_read_only_container_takes_nothing() {
    let world = world().await;
    created(&world, |request| {
        request.host = HostConfig { readonly_rootfs: Some(true), ..HostConfig::default() };
    })
    .await;
    let error = world.engine.write_path("cc", put("/tmp"), sent(tar(&["a b"]))).await.unwrap_err();
    assert_eq!(error.message, "container rootfs is marked read-only");
    let error = world.engine.write_path("cc", put("/nope"), sent(tar(&["a b"]))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn with_a_everything_belongs_to_the_containers_user() {
    let world = world().await;
    created(&world, |request| request.config.user = Some("web".into())).await;
    let archive = PutArchive { copy_owner: true, ..put("/tmp") };
    world.engine.write_path("cc", archive, sent(tar(&["own x", "hard => own"]))).await.unwrap();
    world.engine.write_path("cc", put("/tmp"), sent(tar(&["as y"]))).await.unwrap();
    let bytes = whole(world.engine.read_path("cc", "/tmp").await.unwrap().1).await.unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut owners = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        owners.insert(name, (entry.header().uid().unwrap(), entry.header().gid().unwrap()));
    }
    assert_eq!((owners["tmp/as"], owners["tmp/own"]), ((5, 6), (7, 8)));
}

#[tokio::test]
async fn more_than_the_operator_allows_is_refused_and_leaves_nothing() {
    let mut world = world().await;
    world.options.files_limit = 4000;
    world.reopen().await;
    created(&world, |_| {}).await;
    world.engine.write_path("cc", put("/tmp"), sent(tar(&["a b"]))).await.unwrap();
    let error = world.engine.write_path("cc", put("/tmp"), sent(tar(&["c d"]))).await.unwrap_err();
    assert!(error.message.contains("files_limit"), "{error}");
    assert_eq!(read(&world, "/tmp").await, ["tmp/", "tmp/a b"]);
}

#[tokio::test]
async fn what_was_kept_goes_with_its_container() {
    let mut world = world().await;
    created(&world, |_| {}).await;
    world.engine.write_path("cc", put("/tmp"), sent(tar(&["a b"]))).await.unwrap();
    let folder = world.kept("cc")[0].parent().unwrap().to_owned();
    world.engine.remove("cc", RemoveRequest::default()).await.unwrap();
    assert!(!folder.exists());
    // A daemon that died in between leaves a folder that the next one removes.
    std::fs::create_dir_all(&folder).unwrap();
    world.reopen().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn without_an_agent_nothing_can_be_copied_in_and_only_the_image_is_known() {
    let mut world = World::with(None, everything()).await;
    world.registry.add_layers("fs:1", vec![tar(&["tmp/", "a b"])]);
    world.reopen().await;
    created(&world, |_| {}).await;
    assert_eq!(read(&world, "/a").await, ["a b"]);
    let error = world.engine.write_path("cc", put("/tmp"), sent(tar(&[]))).await.unwrap_err();
    assert!(
        error.kind == ErrorKind::Unsupported && error.message.contains("SOCKERLESS_CALLBACK_URL"),
        "{error}"
    );
}

#[tokio::test]
async fn a_layer_is_listed_once_and_an_image_out_of_reach_is_told() {
    let mut world = world().await;
    created(&world, |_| {}).await;
    read(&world, "/bin").await;
    world.registry.forget_layers();
    world.reopen().await;
    // Its list is on disk, its bytes are not.
    assert_eq!(world.engine.stat_path("cc", "/bin/vi").await.unwrap().size, 3);
    let archive = world.engine.read_path("cc", "/bin/vi").await.unwrap().1;
    assert!(whole(archive).await.unwrap_err().contains("is nowhere"));
}
