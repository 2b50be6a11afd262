//! How the agent comes into containers.

use sockerless_engine::CreateRequest;
use sockerless_ports::{
    backend::{Features, JobContainer, MountPoint, Phase, VolumeSource, WorkloadKind},
    registry::ImageError,
};

use crate::world::{World, everything};

/// A cloud that runs containers before others, and its registry.
async fn with_images() -> World {
    let features = Features { init_containers: true, scratch_volumes: true, ..everything() };
    let world = World::with(Some("ws://10.0.0.1:4000"), features).await;
    world.cloud.set_repository("registry.test/copies");
    world
}

fn image() -> String {
    format!("registry.test/copies/sockerless-agent@sha256:{}", "9".repeat(64))
}

fn point() -> MountPoint {
    MountPoint { volume: "agent".into(), path: "/.sockerless".into(), sub_path: None, read_only: false }
}

fn init() -> JobContainer {
    JobContainer {
        name: "agent".into(),
        image: image(),
        command: vec!["/sockerless-agent".into()],
        args: vec!["install".into(), "/.sockerless/sockerless-agent".into()],
        mounts: vec![point()],
        ..JobContainer::default()
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_backend_takes_it_the_agent_is_an_image_that_is_published_once() {
    let world = with_images().await;
    for name in ["one", "two"] {
        world.run(name, &["sleep"]).await;
    }
    let published = world.registry.published.lock().unwrap().clone();
    let [(bundle, place)] = &published[..] else { panic!("{published:?}") };
    assert_eq!((bundle.name.as_str(), place.as_str()), ("sockerless-agent", "registry.test/copies"));
    assert_eq!(bundle.programs["/sockerless-agent"].as_ref(), b"the agent");
    assert_eq!(bundle.entrypoint, ["/sockerless-agent"]);
    assert_eq!(world.cloud.puts(), 0, "nothing is put into storage for it");
    let specs = world.cloud.specs();
    assert_eq!(specs.len(), 2);
    for spec in specs {
        assert_eq!(spec.init, [init()]);
        let volume = spec.volumes.iter().find(|volume| volume.name == "agent").unwrap();
        assert_eq!(volume.source, VolumeSource::Scratch(None));
        assert_eq!(spec.containers[0].mounts, [point()]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_repository_or_without_such_containers_it_is_mounted() {
    let lacking = World::new().await;
    lacking.cloud.set_repository("registry.test/copies");
    let features = Features { init_containers: true, scratch_volumes: true, ..everything() };
    let nowhere = World::with(Some("ws://10.0.0.1:4000"), features).await;
    for world in [lacking, nowhere] {
        world.run("one", &["sleep"]).await;
        let spec = world.cloud.specs().remove(0);
        assert_eq!(spec.init, []);
        assert!(matches!(spec.volumes[0].source, VolumeSource::Storage(_)));
        assert!(spec.containers[0].mounts[0].read_only);
        assert_eq!((world.cloud.puts(), world.registry.published.lock().unwrap().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_containers_of_a_pod_share_one_volume_that_is_filled_once() {
    let world = with_images().await;
    for name in ["one", "other"] {
        let pod = |request: &mut CreateRequest| {
            request.config.labels.get_or_insert_default().insert("sockerless.pod".into(), "p".into());
        };
        world.create_with(name, &["sleep"], pod).await;
    }
    world.engine.start("one").await.unwrap();
    let spec = world.cloud.specs().remove(0);
    assert_eq!((spec.kind, spec.containers.len()), (WorkloadKind::Pod, 2));
    assert_eq!(spec.init, [init()]);
    assert_eq!(spec.volumes.iter().filter(|volume| volume.source == VolumeSource::Scratch(None)).count(), 1);
    for container in &spec.containers {
        assert_eq!(container.mounts, [point()], "{}", container.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_the_agent_fails_the_start_with_what_was_being_done() {
    let world = with_images().await;
    let refusal = ImageError::Denied("the backend's repository https://registry.test/copies: denied".into());
    *world.registry.closed.lock().unwrap() = Some(refusal);
    world.create("one", &["sleep"]).await;
    let error = world.engine.start("one").await.unwrap_err();
    assert!(
        error.message.contains("putting the agent's image into the registry: the backend's"),
        "{error:?}"
    );
    assert!(world.cloud.made().is_empty());
    *world.registry.closed.lock().unwrap() = None;
    world.engine.start("one").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_start_that_failed_before_the_container_it_is_published_again_and_the_reason_is_told() {
    let world = with_images().await;
    world.cloud.stick(Some(Phase::Starting));
    world.create("one", &["sleep"]).await;
    let engine = world.engine.clone();
    let start = tokio::spawn(async move { engine.start("one").await });
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let words = "Init container 'agent' failed: ImagePullFailure: manifest unknown";
    world.cloud.set(Phase::Failed, None, words);
    let error = start.await.unwrap().unwrap_err();
    assert!(error.message.ends_with(words), "{error}");
    world.settled().await;
    world.cloud.stick(None);
    world.engine.start("one").await.unwrap();
    assert_eq!(world.registry.published.lock().unwrap().len(), 2);
}
