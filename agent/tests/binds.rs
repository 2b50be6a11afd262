//! What the agent does for bind mounts when the daemon asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{fs, io::Read, path::Path};

use fixture::{PATIENCE, World, shell};
use sockerless_ports::link::{
    Channel, Link,
    listing::{Listed, Reader},
    request::{End, FaultKind, Name, Reply, Request},
};
use tokio::time::timeout;

/// The reply, and all that comes if there is more.
async fn ask(world: &World, request: Request) -> (Reply, Box<dyn Channel>) {
    timeout(PATIENCE, world.link().open(&world.run, request)).await.expect("waited in vain").unwrap()
}

async fn all(channel: &dyn Channel) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = async {
        while let Some((_, bytes)) = channel.read().await {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(channel.end().await.unwrap(), End::Done);
    };
    timeout(PATIENCE, reading).await.expect("waited in vain");
    all
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn names(names: impl IntoIterator<Item = String>) -> Vec<Name> {
    names.into_iter().map(|name| Name(name.into_bytes())).collect()
}

async fn scan(world: &World, path: &Path) -> Vec<Listed> {
    let (reply, channel) =
        ask(world, Request::Scan { path: text(path), except: names(["not".to_owned()]) }).await;
    assert_eq!(reply, Reply::Ready);
    let mut reader = Reader::default();
    reader.push(&all(&*channel).await);
    let listed = std::iter::from_fn(|| reader.take().unwrap()).collect();
    reader.finish().unwrap();
    listed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_many_files_is_listed_read_and_cleared_in_a_few_requests() {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("not")).unwrap();
    fs::write(folder.path().join("not/this"), "").unwrap();
    let paths: Vec<String> = (0..3000).map(|number| format!("{}/{number}", number % 10)).collect();
    for path in &paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "content").unwrap();
    }
    let listed = scan(&world, folder.path()).await;
    assert_eq!(listed.len(), 1 + 10 + paths.len());
    assert!(listed[0].path.is_empty() && listed[0].is_directory());
    assert!(listed.iter().all(|listed| listed.is_directory() || listed.size == 7));

    let (reply, channel) =
        ask(&world, Request::Pick { path: text(folder.path()), names: names(paths.clone()) }).await;
    assert_eq!(reply, Reply::Ready);
    let archive = all(&*channel).await;
    let mut read = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        read.push(text(&entry.path().unwrap()));
    }
    assert_eq!(read, paths);

    let all_of_it = paths.into_iter().chain((0..10).map(|number| number.to_string()));
    let gone =
        Request::Remove { path: text(folder.path()), names: names(all_of_it.chain(["not".to_owned()])) };
    let (reply, _channel) = ask(&world, gone).await;
    assert_eq!(reply, Reply::Ready);
    assert_eq!(scan(&world, folder.path()).await.len(), 1);
    assert!(folder.path().join("not/this").exists(), "a directory that holds something stays");

    let none = text(&folder.path().join("none"));
    let (reply, _channel) = ask(&world, Request::Scan { path: none, except: Vec::new() }).await;
    assert!(matches!(&reply, Reply::Failed(fault) if fault.kind == FaultKind::NotFound), "{reply:?}");
}
