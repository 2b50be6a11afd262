//! The daemon's socket in a container.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use fixture::{PATIENCE, World, mesh::soon, shell};
use sockerless_ports::link::{Catching, Launch, Link, Mesh, MeshView, Route, RunId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};

/// All runs may have the API at this socket.
struct Api(PathBuf);

#[async_trait]
impl Mesh for Api {
    fn view(&self, _: &RunId) -> MeshView {
        MeshView::default()
    }

    fn route(&self, _: &RunId, _: std::net::Ipv4Addr) -> Route {
        Route::Foreign
    }

    fn api(&self, _: &RunId) -> Option<PathBuf> {
        Some(self.0.clone())
    }

    async fn catching(&self, _: &RunId, _: Catching) {}
}

/// A container that has the socket at a path, with a process that sleeps.
async fn world(at: &Path, api: &Path) -> World {
    let sockets = vec![at.display().to_string()];
    let world = World::new(Launch { sockets, ..shell("echo ready; exec sleep 1000") }).await;
    world.link().join(Arc::new(Api(api.to_owned())));
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

#[tokio::test]
async fn each_connection_to_a_mounted_socket_is_one_to_the_daemons_api() {
    let folder = tempfile::tempdir().unwrap();
    let (at, path) = (folder.path().join("run/docker.sock"), folder.path().join("api.sock"));
    let api = UnixListener::bind(&path).unwrap();
    let _world = world(&at, &path).await;
    let (mut one, mut two) =
        (UnixStream::connect(&at).await.unwrap(), UnixStream::connect(&at).await.unwrap());
    one.write_all(b"1").await.unwrap();
    let (mut first, _) = soon(api.accept()).await.unwrap();
    two.write_all(b"2").await.unwrap();
    let (mut second, _) = soon(api.accept()).await.unwrap();
    let mut who = [0; 1];
    soon(first.read_exact(&mut who)).await.unwrap();
    assert_eq!(&who, b"1");
    // Its own end is passed on, and what comes after that still arrives: as with a hijacked connection.
    one.shutdown().await.unwrap();
    assert_eq!(soon(first.read(&mut who)).await.unwrap(), 0);
    let answer = vec![b'x'; 3 << 20];
    let said = answer.clone();
    let answering = tokio::spawn(async move { first.write_all(&said).await.unwrap() });
    let mut came = Vec::new();
    soon(one.read_to_end(&mut came)).await.unwrap();
    assert!(came == answer);
    answering.await.unwrap();
    // The other one lives, until the API ends it.
    soon(second.read_exact(&mut who)).await.unwrap();
    drop(second);
    assert_eq!(soon(two.read(&mut who)).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_mounted_socket_is_for_owner_and_group_and_takes_the_place_of_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("docker.sock");
    std::fs::write(&at, "of the image").unwrap();
    let _world = world(&at, Path::new("/nowhere")).await;
    let meta = std::fs::symlink_metadata(&at).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o660);
    assert_eq!((meta.uid(), meta.gid()), (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()));
    // The daemon does not answer there.
    let mut stream = UnixStream::connect(&at).await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap().unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_process_of_another_user_has_the_socket_by_its_group() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("needs root: passed without");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("docker.sock");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let sockets = vec![at.display().to_string()];
    let launch = Launch { sockets, user: Some("4711:4712".into()), ..shell("echo ready; exec sleep 1000") };
    let world = World::new(launch).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let meta = std::fs::symlink_metadata(&at).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (0, 4712));
}

#[tokio::test]
async fn a_socket_that_cannot_be_served_fails_the_start_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    // A directory is not taken away.
    let at = folder.path().join("full");
    std::fs::create_dir(&at).unwrap();
    let sockets = vec![at.display().to_string()];
    let world = World::new(Launch { sockets, ..shell("exit 0") }).await;
    let kept = world.engine.until(|kept| !kept.failed.is_empty()).await;
    let message = &kept.failed[0].message;
    assert!(
        message.contains("the daemon's socket cannot be served at") && message.contains("DOCKER_HOST"),
        "{message}"
    );
}
