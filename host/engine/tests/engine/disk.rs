//! `docker system df`.

use bollard_stubs::models::VolumeCreateOptions;
use sockerless_engine::{CreateRequest, DiskUsageRequest};

use crate::world::*;

const ALL: DiskUsageRequest = DiskUsageRequest { images: true, containers: true, volumes: true };

#[tokio::test(start_paused = true)]
async fn disk_usage_counts_images_containers_and_volumes_with_who_uses_them() {
    let world = World::new().await;
    let named = |request: &mut CreateRequest| {
        request.host.binds = Some(vec!["data:/data".into(), "/own".into()]);
    };
    world.create_with("one", &["sleep"], named).await;
    world.create("two", &["sleep"]).await;
    let options = VolumeCreateOptions { name: Some("idle".into()), ..VolumeCreateOptions::default() };
    world.engine.create_volume(options).await.unwrap();
    let usage = world.engine.disk_usage(ALL).await.unwrap();

    let images = usage.images.unwrap();
    let image = &images[0];
    assert_eq!((image.containers, image.shared_size), (2, 0));
    assert_eq!(usage.layers_size, images.iter().map(|image| image.size).sum::<i64>());
    let containers: serde_json::Value = serde_json::from_slice(&usage.containers.unwrap().json).unwrap();
    assert_eq!(containers.as_array().unwrap().len(), 2);
    assert_eq!(containers[0]["SizeRootFs"], image.size);

    let volumes = usage.volumes.unwrap();
    let used = |name: &str| {
        let volume = volumes.iter().find(|volume| volume.name == name).unwrap();
        volume.usage_data.as_ref().map(|usage| (usage.size, usage.ref_count)).unwrap()
    };
    assert_eq!(used("data").1, 1);
    assert!(used("data").0 >= 0);
    assert_eq!(used("idle"), (0, 0));
    // An anonymous volume is a part of its container: how much it holds is not known.
    let own = volumes.iter().find(|volume| !["data", "idle"].contains(&volume.name.as_str())).unwrap();
    assert_eq!(used(&own.name), (-1, 1));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_asked_for_is_counted() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    let request = DiskUsageRequest { images: false, containers: true, volumes: false };
    let usage = world.engine.disk_usage(request).await.unwrap();
    assert!(usage.images.is_none() && usage.volumes.is_none() && usage.containers.is_some());
    assert_eq!(usage.layers_size, 0);
}
