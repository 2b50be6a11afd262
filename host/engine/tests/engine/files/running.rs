//! Containers whose agent is there.

use std::sync::Arc;

use bollard_stubs::models::ChangeType;
use futures_util::StreamExt;
use sockerless_engine::*;
use sockerless_ports::link::request::{Put, Request};

use super::{
    agent::{Asked, act},
    archive::{list, listed, sent, tar, whole},
};
use crate::world::*;

async fn world() -> (World, Arc<Asked>) {
    let world = World::new().await;
    world.registry.add_layers("fs:1", vec![tar(&["bin/", "bin/vi x", "etc/", "etc/passwd 1234567"])]);
    let asked = Arc::new(Asked::default());
    let to = Arc::clone(&asked);
    world.link.serve(move |request, end| act(Arc::clone(&to), request, end));
    world
        .create_with("cc", &["sleep"], |request| {
            request.config.image = Some("fs:1".into());
            request.config.user = Some("web".into());
        })
        .await;
    world.engine.start("cc").await.unwrap();
    (world, asked)
}

#[tokio::test]
async fn the_agent_answers_for_its_files() {
    let (world, asked) = world().await;
    assert_eq!(world.engine.stat_path("cc", "/file").await.unwrap().size, 4);
    let (stat, archive) = world.engine.read_path("cc", "file").await.unwrap();
    assert_eq!((stat.name.as_str(), listed(archive).await), ("file", vec!["file text".to_owned()]));
    assert_eq!(
        asked.requests(),
        [Request::Stat { path: "/file".into() }, Request::Get { path: "file".into() }]
    );
    assert_eq!(listed(world.engine.export("cc").await.unwrap()).await, ["bin/", "everything x"]);
    for (path, kind, words) in [
        ("/gone", ErrorKind::NotFound, "Could not find the file /gone in container cc"),
        ("/secret", ErrorKind::Forbidden, "open /secret: permission denied"),
    ] {
        let error = world.engine.read_path("cc", path).await.map(drop).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, words));
        let request = PutArchive { path: path.into(), ..PutArchive::default() };
        let error = world.engine.write_path("cc", request, sent(tar(&[]))).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, words));
    }
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_an_error_at_the_end() {
    let (world, _) = world().await;
    let (_, archive) = world.engine.read_path("cc", "/broken").await.unwrap();
    assert_eq!(whole(archive).await, Err("read /broken: input/output error".into()));
    let request = PutArchive { path: "/bad".into(), ..PutArchive::default() };
    let error = world.engine.write_path("cc", request, sent(vec![0; 9 << 20])).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Internal, "unexpected EOF"));
    let (_, mut archive) = world.engine.read_path("cc", "/file").await.unwrap();
    archive.next().await.unwrap().unwrap();
    world.link.dismiss_all();
    assert!(archive.next().await.unwrap().unwrap_err().to_string().contains("out of reach"));
}

#[tokio::test]
async fn an_archive_reaches_the_agent_plain_and_with_the_owners_that_were_asked_for() {
    let (world, asked) = world().await;
    let bytes = tar(&["f text"]);
    let request = PutArchive { path: "/tmp".into(), keep_kind: true, copy_owner: false };
    world.engine.write_path("cc", request.clone(), sent(bytes.clone())).await.unwrap();
    let put = Put { path: "/tmp".into(), keep_kind: true, owners: true, layer: false, any_links: false };
    assert_eq!(asked.requests(), [Request::Put(put)]);
    assert_eq!(asked.bodies(), std::slice::from_ref(&bytes));
    let request = PutArchive { copy_owner: true, ..request };
    world.engine.write_path("cc", request, sent(bytes)).await.unwrap();
    let body = asked.bodies().remove(0);
    let mut archive = tar::Archive::new(body.as_slice());
    let header = archive.entries().unwrap().next().unwrap().unwrap().header().clone();
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (7, 8));
}

#[tokio::test]
async fn what_the_agent_lists_is_compared_with_the_image() {
    let (world, _) = world().await;
    let changes = world.engine.changes("cc").await.unwrap();
    let told: Vec<_> = changes.iter().map(|change| (change.path.as_str(), change.kind)).collect();
    assert_eq!(
        told,
        [
            ("/bin", ChangeType::_0),
            ("/bin/vi", ChangeType::_2),
            ("/etc", ChangeType::_0),
            ("/etc/passwd", ChangeType::_0),
            ("/moved", ChangeType::_1),
            ("/moved/old", ChangeType::_1),
            ("/new", ChangeType::_1),
        ]
    );
}

#[tokio::test]
async fn a_commit_of_a_running_container_is_what_the_agent_says_is_new() {
    let (world, asked) = world().await;
    let request = CommitContainer { container: "cc".into(), pause: true, ..CommitContainer::default() };
    let id = world.engine.commit_container(request).await.unwrap();
    assert_eq!(
        list(&world.registry.layers_of(&id)[1]),
        ["bin/.wh.vi", "etc/passwd changed", "moved/", "moved/old moved", "new made"]
    );
    let requests = asked.requests();
    assert_eq!((requests.first(), requests.last()), (Some(&Request::Freeze), Some(&Request::Thaw)));
}
