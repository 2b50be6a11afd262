//! Containers whose user, and so whose agent, may not read everything.

use std::time::Duration;

use sockerless_engine::*;
use sockerless_ports::link::{
    Output,
    request::{End, Entry, Fault, FaultKind, LeftOut, PathStat, Reply, Request},
};

use super::archive::{list, listed, tar, whole};
use crate::world::*;

const NOT: &str = "open /etc/shadow: permission denied";

fn thing(path: &str, mode: u32, size: u64, recent: bool) -> Entry {
    Entry {
        path: path.into(),
        mode,
        uid: 5,
        gid: 6,
        size,
        modified: 1_700_000_000,
        recent,
        ..Entry::default()
    }
}

/// What the agent sees: `/etc/shadow` and what is in `/root` are as in the image, and `/own` was made by the container, and
/// then closed to itself.
fn walk() -> Vec<Entry> {
    vec![
        thing("/etc", 0o040_755, 0, false),
        thing("/etc/passwd", 0o100_644, 1, false),
        thing("/etc/shadow", 0o100_644, 6, false),
        thing("/new", 0o100_644, 4, true),
        thing("/own", 0o100_000, 2, true),
        Entry { closed: true, ..thing("/root", 0o040_755, 0, false) },
    ]
}

/// The things at these paths under these names.
fn without(names: &[(&str, &str)]) -> End {
    let entry = |path: &str| walk().into_iter().find(|entry| entry.path == path).unwrap();
    End::Partial {
        fault: Fault { kind: FaultKind::Forbidden, message: NOT.into() },
        left_out: names
            .iter()
            .map(|(name, path)| LeftOut { name: (*name).into(), entry: entry(path) })
            .collect(),
        more: 0,
    }
}

async fn act(request: Request, end: AgentEnd) {
    let stat = |mode| Reply::Stat(PathStat { mode, ..PathStat::default() });
    let (reply, bytes, last) = match request {
        Request::Export { .. } => (
            Reply::Ready,
            tar(&["etc/", "etc/passwd 1", "new made", "root/"]),
            without(&[("etc/shadow", "/etc/shadow"), ("own", "/own"), ("root", "/root")]),
        ),
        Request::Get { path } if path == "/etc" => {
            (stat(0o040_755), tar(&["etc/", "etc/passwd 1"]), without(&[("etc/shadow", "/etc/shadow")]))
        }
        Request::Get { path } if path == "/" => (
            stat(0o040_755),
            tar(&["/", "new made"]),
            without(&[("/etc/shadow", "/etc/shadow"), ("/own", "/own")]),
        ),
        Request::Get { path } if path == "/etc/shadow" => {
            return end.reply(Reply::Failed(Fault { kind: FaultKind::Forbidden, message: NOT.into() }));
        }
        Request::Walk => {
            let lines = walk().into_iter().map(|entry| serde_json::to_string(&entry).unwrap() + "\n");
            (Reply::Ready, lines.collect::<String>().into_bytes(), End::Done)
        }
        Request::Changed => (Reply::Ready, tar(&["new made"]), without(&[("own", "/own")])),
        Request::Get { path } => {
            let message = format!("open {path}: permission denied");
            return end.reply(Reply::Failed(Fault { kind: FaultKind::Forbidden, message }));
        }
        Request::Freeze | Request::Thaw => return end.reply(Reply::Ready),
        Request::Put(_) => {
            end.reply(Reply::Ready);
            end.read_all().await;
            let message = "mkdir /v: permission denied".into();
            return end.end(End::Failed(Fault { kind: FaultKind::Forbidden, message }));
        }
        other => panic!("{other:?}"),
    };
    end.reply(reply);
    for piece in bytes.chunks(700) {
        end.write(Output::Stdout, piece.to_vec()).await;
    }
    end.end(last);
}

async fn world(command: &[&str]) -> World {
    let world = World::new().await;
    let layer = tar(&[
        "etc/",
        "etc/passwd 1",
        "etc/shadow secret",
        "root/",
        "root/.rc a",
        "root/deep/",
        "root/deep/b b",
    ]);
    world.registry.add_layers("fs:1", vec![layer]);
    world.link.serve(act);
    world.create_with("cc", command, |request| request.config.image = Some("fs:1".into())).await;
    world.engine.start("cc").await.unwrap();
    world
}

const ALL: [&str; 8] = [
    "etc/",
    "etc/passwd 1",
    "etc/shadow secret",
    "new made",
    "root/",
    "root/.rc a",
    "root/deep/",
    "root/deep/b b",
];

#[tokio::test]
async fn an_export_takes_what_the_agent_may_not_read_from_the_image_and_lacks_the_rest() {
    let world = world(&["sleep"]).await;
    assert_eq!(listed(world.engine.export("cc").await.unwrap()).await, ALL);
}

#[tokio::test]
async fn a_directory_is_copied_whole_or_the_copy_breaks_off() {
    let world = world(&["sleep"]).await;
    let (_, archive) = world.engine.read_path("cc", "/etc").await.unwrap();
    assert_eq!(listed(archive).await, ["etc/", "etc/passwd 1", "etc/shadow secret"]);
    let (_, archive) = world.engine.read_path("cc", "/").await.unwrap();
    assert_eq!(whole(archive).await, Err(NOT.into()));
    let error = world.engine.read_path("cc", "/etc/shadow").await.map(drop).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Forbidden, NOT));
}

#[tokio::test]
async fn an_image_out_of_reach_leaves_an_export_whole_without_it() {
    let world = world(&["sleep"]).await;
    world.registry.forget_layers();
    assert_eq!(
        listed(world.engine.export("cc").await.unwrap()).await,
        ["etc/", "etc/passwd 1", "new made", "root/"]
    );
}

#[tokio::test]
async fn a_commit_has_all_that_can_be_read() {
    let world = world(&["sleep"]).await;
    let request = CommitContainer { container: "cc".into(), pause: true, ..CommitContainer::default() };
    let id = world.engine.commit_container(request).await.unwrap();
    assert_eq!(list(&world.registry.layers_of(&id)[1]), ["new made"]);
}

#[tokio::test(start_paused = true)]
async fn after_the_linger_the_container_has_all_that_could_be_read() {
    let world = world(&["exit", "0"]).await;
    world.wait("cc").await;
    tokio::time::sleep(Duration::from_secs(650)).await;
    assert_eq!((world.cloud.jobs(), world.error("cc").as_str()), (0, ""));
    assert_eq!(listed(world.engine.export("cc").await.unwrap()).await, ALL);
}

#[tokio::test]
async fn a_directory_for_a_volume_that_the_user_may_not_make_fails_no_start() {
    let world = world(&["sleep"]).await;
    world
        .create_with("own", &["sleep"], |request| {
            request.config.image = Some("fs:1".into());
            request.config.volumes = Some(vec!["/v".into()]);
        })
        .await;
    assert_eq!(world.engine.start("own").await, Ok(Outcome::Done));
}
