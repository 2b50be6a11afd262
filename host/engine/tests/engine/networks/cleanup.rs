//! Point 4: zones that cannot be deleted at once, and zones that no network has.

use sockerless_ports::{backend::ErrorCode, store::Kind};

use super::*;

fn label(world: &World, network: &str) -> Option<String> {
    inspect(world, network).labels.unwrap().remove("sockerless.cleanup")
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_fails_is_shown_and_tried_again_until_it_is_done() {
    let world = World::new().await;
    let id = make(&world, "mine").await;
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "dns.managedZones.delete denied");
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "still denied");
    let error = told(world.engine.remove_network("mine").await.unwrap_err());
    let words = "fake: network remove: dns.managedZones.delete denied".to_owned();
    assert_eq!(error, (ErrorKind::Internal, words.clone()));
    assert_eq!(label(&world, "mine"), Some(words));
    assert_eq!(names(&world, &[("label", "sockerless.cleanup")]), ["mine"]);
    // It is nobody's network any more, and its name is free.
    world.create_with("web", &["sleep"], on(&["mine"])).await;
    assert_eq!(world.engine.start("web").await.unwrap_err().kind, ErrorKind::NotFound);
    let new = make(&world, "mine").await;
    assert_eq!(inspect(&world, "mine").id.unwrap(), new);
    world.engine.start("web").await.unwrap();
    sleep(45).await;
    assert_eq!(label(&world, &id).as_deref(), Some("fake: network remove: still denied"));
    sleep(45).await;
    assert!(world.engine.inspect_network(&id, None).is_err());
    assert_eq!(world.cloud.zones.names(), [zone(&new)]);
    assert_eq!(world.store.count(Kind::Network), 4);
    assert!(events(&world).await.contains(&"destroy mine".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_away_for_a_moment_is_waited_for() {
    let world = World::new().await;
    make(&world, "mine").await;
    for _ in 0..3 {
        world.cloud.fail("delete-zone", ErrorCode::Unavailable, "try again");
    }
    world.engine.remove_network("mine").await.unwrap();
    assert!(world.cloud.zones.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_next_daemon_goes_on_with_a_removal() {
    let mut world = World::new().await;
    let id = make(&world, "mine").await;
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "denied");
    world.engine.remove_network("mine").await.unwrap_err();
    world.crash().await;
    world.reopen().await;
    assert_eq!(label(&world, &id).as_deref(), Some("fake: network remove: denied"));
    sleep(60).await;
    assert!(world.engine.inspect_network(&id, None).is_err() && world.cloud.zones.names().is_empty());
    assert_eq!(world.store.count(Kind::Network), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_may_remove_once_more_what_could_not_be_removed() {
    let world = World::new().await;
    make(&world, "mine").await;
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "denied");
    world.engine.remove_network("mine").await.unwrap_err();
    world.engine.remove_network("mine").await.unwrap();
    assert!(world.engine.inspect_network("mine", None).is_err());
    sleep(90).await;
    let destroyed = events(&world).await.into_iter().filter(|event| event == "destroy mine").count();
    assert_eq!(destroyed, 1);
}

#[tokio::test(start_paused = true)]
async fn zones_of_dead_networks_are_swept_at_the_start_and_no_others() {
    let mut world = World::new().await;
    let kept = zone(&make(&world, "mine").await);
    let owner = world.cloud.zones.get(&kept).unwrap().owner;
    world.crash().await;
    world.cloud.zones.plant("sockerless-net-aaaaaaaaaaaa", &owner);
    world.cloud.zones.plant("sockerless-net-bbbbbbbbbbbb", &owner);
    world.cloud.zones.plant("sockerless-net-cccccccccccc", "another");
    world.cloud.zones.plant("the-users-own", &owner);
    world.reopen().await;
    sleep(5).await;
    let mut left = vec![kept, "sockerless-net-cccccccccccc".into(), "the-users-own".into()];
    left.sort();
    assert_eq!(world.cloud.zones.names(), left);
}
