//! Point 3: the records in the network's zone.

use sockerless_engine::RemoveRequest;
use sockerless_ports::backend::ErrorCode;

use super::*;

#[tokio::test(start_paused = true)]
async fn records_stand_for_name_and_aliases_while_a_container_is_on_the_network() {
    let mut world = World::new().await;
    let zone = zone(&make(&world, "mine").await);
    let zones = std::sync::Arc::clone(&world.cloud);
    world.create_with("web", &["sleep"], on_with("mine", aliases(&["Api", "not a name"]))).await;
    assert!(zones.zones.lines(&zone).is_empty());
    world.engine.start("web").await.unwrap();
    zones.zones.become_lines(&zone, &["api 172.18.0.2", "web 172.18.0.2"]).await;
    // Several behind one alias are several addresses of one record.
    world.create_with("web2", &["sleep"], on_with("mine", aliases(&["api"]))).await;
    world.engine.start("web2").await.unwrap();
    let both = ["api 172.18.0.2 172.18.0.3", "web 172.18.0.2", "web2 172.18.0.3"];
    zones.zones.become_lines(&zone, &both).await;
    world.engine.rename("web2", "other").await.unwrap();
    let renamed = ["api 172.18.0.2 172.18.0.3", "other 172.18.0.3", "web 172.18.0.2"];
    zones.zones.become_lines(&zone, &renamed).await;
    // What has changed while nobody looked is made up for.
    world.crash().await;
    zones.zones.plant("sockerless-net-000000000000", "another");
    world.reopen().await;
    world.engine.stop("web", None, Some(1)).await.unwrap();
    zones.zones.become_lines(&zone, &["api 172.18.0.3", "other 172.18.0.3"]).await;
    world.engine.disconnect_network("mine", "other", false).await.unwrap();
    zones.zones.become_lines(&zone, &[]).await;
    world.engine.connect_network("mine", "other", EndpointSettings::default()).await.unwrap();
    zones.zones.become_lines(&zone, &["other 172.18.0.2"]).await;
    world.engine.remove("other", RemoveRequest { force: true, ..Default::default() }).await.unwrap();
    zones.zones.become_lines(&zone, &[]).await;
    assert_eq!(zones.zones.names().len(), 2, "another daemon's zone is not ours");
}

#[tokio::test(start_paused = true)]
async fn what_the_name_server_refuses_holds_nobody_up_and_is_shown_until_it_is_done() {
    let world = World::new().await;
    let zone = zone(&make(&world, "mine").await);
    world.cloud.fail("upsert", ErrorCode::PermissionDenied, "dns.changes.create denied");
    run_on(&world, "web", &["mine"]).await;
    sleep(1).await;
    let label = || inspect(&world, "mine").labels.unwrap().remove("sockerless.records");
    assert_eq!(label().as_deref(), Some("fake: network connect: dns.changes.create denied"));
    world.cloud.zones.become_lines(&zone, &["web 172.18.0.2"]).await;
    sleep(1).await;
    assert_eq!(label(), None);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_somebody_deleted_is_made_again() {
    let world = World::new().await;
    let zone = zone(&make(&world, "mine").await);
    use sockerless_ports::backend::Dns as _;
    world.cloud.delete_zone(&zone).await.unwrap();
    run_on(&world, "web", &["mine"]).await;
    world.cloud.zones.become_lines(&zone, &["web 172.18.0.2"]).await;
}
