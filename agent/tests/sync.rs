//! Synced volumes over a real line: two containers, and the storage that both have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{fs, path::Path};

use fixture::{PATIENCE, World, shell};
use sockerless_ports::link::{
    Link,
    request::{End, FaultKind, Reply, Request},
    sync::{Sync, Synced},
};
use tokio::time::timeout;

async fn world() -> World {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

async fn sync(world: &World, sync: Sync) -> Result<Synced, End> {
    let open = world.link().open(&world.run, Request::Sync(Box::new(sync)));
    let (reply, channel) = timeout(PATIENCE, open).await.expect("waited in vain").unwrap();
    assert_eq!(reply, Reply::Ready);
    let mut answer = Vec::new();
    while let Some((_, bytes)) = timeout(PATIENCE, channel.read()).await.expect("waited in vain") {
        answer.extend_from_slice(&bytes);
    }
    match channel.end().await.unwrap() {
        End::Done => Ok(serde_json::from_slice(&answer).unwrap()),
        end => Err(end),
    }
}

fn wanted(store: &Path, path: &Path, head: Option<String>, (inwards, back): (bool, bool)) -> Sync {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (store, path) = (text(store), text(path));
    Sync { store, path, head, inwards, back, fill: true, label: "me".into(), keep: 3600, ..Sync::default() }
}

#[tokio::test]
async fn what_one_agent_brings_back_another_one_brings_in() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = at("store");
    fs::create_dir(&store).unwrap();
    let (one, other) = (world().await, world().await);
    sync(&one, wanted(&store, &at("one"), None, (true, true))).await.unwrap();
    fs::write(at("one/file"), "content").unwrap();
    let done = sync(&one, wanted(&store, &at("one"), None, (false, true))).await.unwrap();
    assert_eq!((done.files, done.bytes), (1, 7));
    let done = sync(&other, wanted(&store, &at("other"), done.version, (true, true))).await.unwrap();
    assert_eq!((done.came, done.version), (7, None));
    assert_eq!(fs::read_to_string(at("other/file")).unwrap(), "content");
    let unknown = wanted(&store, &at("other"), Some("00".repeat(16)), (true, true));
    let Err(End::Failed(fault)) = sync(&other, unknown).await else { panic!("there is no such version") };
    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(fault.message.contains("versions/0000"), "{fault}");
}
