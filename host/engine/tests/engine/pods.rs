//! Several containers in one job.

use bollard_stubs::models::ContainerStateStatusEnum;
use sockerless_engine::*;
use sockerless_ports::backend::WorkloadKind;

use crate::world::World;

fn labelled(pod: &str) -> impl FnOnce(&mut CreateRequest) {
    let pod = pod.to_owned();
    move |request| {
        request.config.labels.get_or_insert_default().insert("sockerless.pod".into(), pod);
    }
}

/// Created, not started.
async fn member(world: &World, name: &str, argv: &[&str]) -> String {
    world.create_with(name, argv, labelled("p")).await
}

#[tokio::test(start_paused = true)]
async fn point_6_members_are_placed_in_one_job_and_each_has_its_own_life() {
    let world = World::new().await;
    let web = member(&world, "web", &["sleep"]).await;
    let client = member(&world, "client", &["echo", "hello"]).await;
    world.engine.start(&web).await.unwrap();
    assert_eq!(world.cloud.jobs(), 1);
    let spec = world.cloud.specs().remove(0);
    assert_eq!(spec.kind, WorkloadKind::Pod);
    assert_eq!(spec.containers.len(), 2);
    assert_ne!(spec.containers[0].name, spec.containers[1].name);
    assert_eq!(spec.volumes.iter().filter(|volume| volume.name.starts_with("agent")).count(), 1);
    assert_eq!(world.status("web"), ContainerStateStatusEnum::RUNNING);
    assert_eq!(world.status("client"), ContainerStateStatusEnum::CREATED);
    assert!(!world.cloud.runs(&client));

    world.engine.start(&client).await.unwrap();
    assert_eq!(world.wait(&client).await, 0);
    assert_eq!(world.output(&client).await, "hello\n");
    assert_eq!(world.status("web"), ContainerStateStatusEnum::RUNNING);
    assert_eq!((world.cloud.jobs(), world.cloud.made().len()), (1, 1));

    world.engine.stop(&web, None, None).await.unwrap();
    assert_eq!(world.wait(&web).await, 143);
    // Both linger; then the job goes.
    assert_eq!(world.cloud.jobs(), 1);
    world.settled().await;
    assert_eq!((world.cloud.stops(), world.cloud.clashes()), (0, 0));
}
