//! Synced volumes: when the daemon has them brought in and back, and which version counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bollard_stubs::models::{ContainerStateStatusEnum as Status, VolumeCreateOptions};
use sockerless_engine::{ErrorKind, PutArchive, RemoveRequest};
use sockerless_ports::{
    Registry,
    backend::VolumeSource,
    link::{
        Output,
        request::{End, Fault, FaultKind, Reply, Request},
        sync::{Sync, Synced},
    },
};
use tokio::sync::Semaphore;

use crate::world::*;

/// What agents were asked for, and how they answer.
#[derive(Clone)]
struct Agents {
    asked: Arc<Mutex<Vec<Sync>>>,
    /// Ways back need a permit each.
    backs: Arc<Semaphore>,
    /// So many are refused first.
    faults: Arc<Mutex<usize>>,
    /// So many minutes ways back take, and something moves in each.
    minutes: Arc<Mutex<usize>>,
}

impl Agents {
    fn new(world: &World) -> Self {
        let agents = Self {
            asked: Arc::default(),
            backs: Arc::new(Semaphore::new(1000)),
            faults: Arc::default(),
            minutes: Arc::default(),
        };
        let of_agents = agents.clone();
        world.link.serve(move |request, end: AgentEnd| of_agents.clone().answer(request, end));
        agents
    }

    async fn answer(self, request: Request, end: AgentEnd) {
        match request {
            Request::Sync(sync) => {
                end.reply(Reply::Ready);
                let number = {
                    let mut asked = self.asked.lock().unwrap();
                    asked.push((*sync).clone());
                    asked.len()
                };
                if !sync.inwards {
                    self.backs.acquire().await.unwrap().forget();
                }
                let refused = !sync.inwards && {
                    let mut faults = self.faults.lock().unwrap();
                    let left = *faults;
                    *faults = left.saturating_sub(1);
                    left > 0
                };
                if refused {
                    let message = "the bucket is out of reach".to_owned();
                    return end.end(End::Failed(Fault { kind: FaultKind::Internal, message }));
                }
                let minutes = if sync.inwards { 0 } else { *self.minutes.lock().unwrap() };
                for _ in 0..minutes {
                    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                    end.write(Output::Stdout, " ").await;
                }
                let version =
                    (sync.back && (!sync.inwards || sync.head.is_some())).then(|| format!("{number:032}"));
                let done = Synced { version, ..Synced::default() };
                end.write(Output::Stdout, serde_json::to_vec(&done).unwrap()).await;
                end.end(End::Done);
            }
            Request::Put(_) => {
                end.reply(Reply::Ready);
                end.read_all().await;
                end.end(End::Done);
            }
            _ => {}
        }
    }

    /// Directory, version that counted, whether in and whether back.
    fn asked(&self) -> Vec<(String, Option<u32>, bool, bool)> {
        let number = |head: &String| head.parse().unwrap();
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|sync| (sync.path.clone(), sync.head.as_ref().map(number), sync.inwards, sync.back))
            .collect()
    }
}

async fn volume(world: &World, name: &str) {
    let options = Some(HashMap::from([("consistency".to_owned(), "synced".to_owned())]));
    let request = VolumeCreateOptions { name: Some(name.into()), driver_opts: options, ..Default::default() };
    world.engine.create_volume(request).await.unwrap();
}

async fn with_binds(world: &World, name: &str, argv: &[&str], binds: &[&str]) -> String {
    let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
    world.create_with(name, argv, |request| request.host.binds = Some(binds)).await
}

fn asked(path: &str, head: Option<u32>, inwards: bool, back: bool) -> (String, Option<u32>, bool, bool) {
    (path.to_owned(), head, inwards, back)
}

#[tokio::test(start_paused = true)]
async fn a_synced_volume_is_brought_in_before_the_start_and_back_before_the_end_is_told() {
    let mut world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    assert!(world.cloud.volume("data").unwrap().options.is_empty(), "the backend has nothing to do with it");
    with_binds(&world, "box", &["exit", "0"], &["data:/data", "plain:/plain"]).await;
    agents.backs.forget_permits(1000);
    world.engine.start("box").await.unwrap();
    let back = async {
        while agents.asked().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    back.await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.status("box"), Status::RUNNING, "it is over when all is back");
    agents.backs.add_permits(1000);
    world.wait("box").await;
    assert_eq!(agents.asked(), [asked("/data", None, true, true), asked("/data", None, false, true)]);
    // The storage is mounted for the agent alone.
    let spec = &world.cloud.specs()[0];
    let paths: Vec<_> = spec.containers[0].mounts.iter().map(|mount| mount.path.as_str()).collect();
    assert!(
        paths.contains(&"/.sockerless-volumes/0") && paths.contains(&"/plain") && !paths.contains(&"/data")
    );
    assert!(!spec.volumes.iter().any(|volume| matches!(volume.source, VolumeSource::Memory(_))));
    // In place, with what has come since.
    world.engine.start("box").await.unwrap();
    world.wait("box").await;
    assert_eq!(
        agents.asked()[2..],
        [asked("/data", Some(2), true, true), asked("/data", Some(3), false, true)]
    );
    // The version is kept durably.
    world.crash().await;
    world.reopen().await;
    let agents = Agents::new(&world);
    with_binds(&world, "other", &["exit", "0"], &["data:/there:ro"]).await;
    world.engine.start("other").await.unwrap();
    world.wait("other").await;
    assert_eq!(agents.asked(), [asked("/there", Some(4), true, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_by_force_waits_for_volumes_that_come_back() {
    let world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["stubborn"], &["data:/data"]).await;
    world.engine.start("box").await.unwrap();
    agents.backs.forget_permits(1000);
    let force = RemoveRequest { force: true, ..RemoveRequest::default() };
    let enough = async {
        // Longer than a removal waits, or a kill.
        tokio::time::sleep(std::time::Duration::from_secs(25)).await;
        assert!(world.engine.inspect("box", false).is_ok());
        agents.backs.add_permits(1000);
    };
    let (removed, ()) = tokio::join!(world.engine.remove("box", force), enough);
    removed.unwrap();
    assert!(world.engine.inspect("box", false).is_err());
    with_binds(&world, "other", &["exit", "0"], &["data:/there"]).await;
    world.engine.start("other").await.unwrap();
    assert_eq!(agents.asked()[2], asked("/there", Some(2), true, true));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_brought_back_is_tried_again_and_then_told() {
    let world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["exit", "3"], &["data:/data"]).await;
    *agents.faults.lock().unwrap() = 2;
    world.engine.start("box").await.unwrap();
    assert_eq!(world.wait("box").await, 3);
    assert_eq!((agents.asked().len(), world.error("box").as_str()), (4, ""));
    *agents.faults.lock().unwrap() = 3;
    world.engine.start("box").await.unwrap();
    assert_eq!(world.wait("box").await, 3);
    let error = world.error("box");
    assert!(error.contains("could not be brought back: volume data: the bucket is out of reach"), "{error}");
    // Before the agent goes there is one more try.
    world.settled().await;
    assert!(!world.error("box").contains("brought back"), "{}", world.error("box"));
    assert!(!agents.asked().last().unwrap().2);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_brought_back_is_known_to_the_next_daemon_which_tries_again() {
    let mut world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["exit", "3"], &["data:/data"]).await;
    *agents.faults.lock().unwrap() = 3;
    world.engine.start("box").await.unwrap();
    world.wait("box").await;
    world.crash().await;
    world.reopen().await;
    assert!(world.error("box").contains("could not be brought back: volume data"), "{}", world.error("box"));
    assert_eq!(agents.asked().len(), 4);
    world.settled().await;
    assert_eq!(agents.asked().len(), 5);
    assert!(!world.error("box").contains("brought back"), "{}", world.error("box"));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_takes_as_long_as_something_moves() {
    let world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["exit", "3"], &["data:/data"]).await;
    *agents.minutes.lock().unwrap() = 300;
    world.engine.start("box").await.unwrap();
    assert_eq!(world.wait("box").await, 3);
    assert_eq!((agents.asked().len(), world.error("box").as_str()), (2, ""));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_in_which_nothing_moves_is_given_up_and_told() {
    let world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["exit", "3"], &["data:/data"]).await;
    agents.backs.forget_permits(1000);
    world.engine.start("box").await.unwrap();
    assert_eq!(world.wait("box").await, 3);
    let error = world.error("box");
    let told = "could not be brought back: volume data: nothing of it has moved for 10 minutes";
    assert!(error.contains(told), "{error}");
    // Once: it would only be waited for again.
    assert_eq!(agents.asked().len(), 2);
    // Before the agent goes there is one more try.
    agents.backs.add_permits(1000);
    world.settled().await;
    assert!(!world.error("box").contains("brought back"), "{}", world.error("box"));
}

#[tokio::test(start_paused = true)]
async fn it_is_brought_back_on_demand_and_when_something_is_copied_in() {
    let world = World::new().await;
    let agents = Agents::new(&world);
    volume(&world, "data").await;
    with_binds(&world, "box", &["sleep"], &["data:/data"]).await;
    let error = world.engine.sync_volumes("box").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    world.engine.start("box").await.unwrap();
    world.engine.sync_volumes("box").await.unwrap();
    let put = PutArchive { path: "/data".into(), keep_kind: false, ..PutArchive::default() };
    let archive = futures_util::stream::iter([Ok(bytes::Bytes::from(vec![0; 1024]))]);
    world.engine.write_path("box", put, Box::pin(archive)).await.unwrap();
    let (both, back) = (asked("/data", None, true, true), asked("/data", None, false, true));
    assert_eq!(agents.asked(), [both.clone(), both, back]);
}

#[tokio::test(start_paused = true)]
async fn a_consistency_that_there_is_not_is_refused() {
    let world = World::new().await;
    let options = Some(HashMap::from([("sockerless.consistency".to_owned(), "quick".to_owned())]));
    let request =
        VolumeCreateOptions { name: Some("data".into()), driver_opts: options, ..Default::default() };
    let error = world.engine.create_volume(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("a volume is cached or synced"), "{error}");
    // Its agent has no place where another volume is.
    let binds = vec!["data:/.sockerless-volumes/0".to_owned()];
    let mut request = request_for("box");
    request.host.binds = Some(binds);
    assert_eq!(world.engine.create(request).await.unwrap_err().kind, ErrorKind::Invalid);
}

fn request_for(name: &str) -> sockerless_engine::CreateRequest {
    request(name, &["sleep"])
}

#[tokio::test(start_paused = true)]
async fn who_may_not_write_to_the_disk_has_the_volume_in_memory() {
    let world = World::new().await;
    Agents::new(&world);
    let mut image = world.registry.find("busybox").await.unwrap();
    image.id = format!("sha256:{}", "e".repeat(64));
    image.tags = vec!["user:latest".into()];
    image.config.user = "1000".into();
    world.registry.add(image);
    volume(&world, "data").await;
    let binds = vec!["data:/data".to_owned()];
    world
        .create_with("box", &["exit", "0"], |request| {
            request.config.image = Some("user".into());
            request.host.binds = Some(binds);
        })
        .await;
    world.engine.start("box").await.unwrap();
    world.wait("box").await;
    let spec = &world.cloud.specs()[0];
    let memory = spec.volumes.iter().find(|volume| matches!(volume.source, VolumeSource::Memory(_))).unwrap();
    let mounted = spec.containers[0].mounts.iter().find(|mount| mount.volume == memory.name).unwrap();
    assert_eq!(mounted.path, "/data");
}
