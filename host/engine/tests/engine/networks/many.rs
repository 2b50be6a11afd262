//! Many containers on one network at once.

use std::collections::HashSet;

use super::*;

#[tokio::test(start_paused = true)]
async fn fifty_that_start_at_once_have_fifty_addresses_and_each_knows_all() {
    let world = World::new().await;
    let zone = zone(&make(&world, "mine").await);
    let mut starts = Vec::new();
    for number in 0..50 {
        let id = world.create_with(&format!("c{number}"), &["sleep"], on(&["mine", "bridge"])).await;
        let engine = world.engine.clone();
        starts.push(tokio::spawn(async move { engine.start(&id).await }));
    }
    for start in starts {
        start.await.unwrap().unwrap();
    }
    for network in ["mine", "bridge"] {
        let all: HashSet<String> = (0..50).map(|number| ip(&world, &format!("c{number}"), network)).collect();
        assert_eq!(all.len(), 50);
    }
    let seen = world.link.mesh().unwrap().view(&super::start::run(&world, "c7"));
    let mine = seen.networks.iter().find(|network| network.name == "mine").unwrap();
    assert!((0..50).all(|number| mine.names.contains_key(&format!("c{number}"))));
    let mut lines: Vec<String> =
        (0..50).map(|number| format!("c{number} {}", ip(&world, &format!("c{number}"), "mine"))).collect();
    lines.sort();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.cloud.zones.become_lines(&zone, &lines).await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_while_a_container_starts_is_not_lost() {
    let world = World::new().await;
    make(&world, "a").await;
    make(&world, "b").await;
    // At each point that a start has.
    for turns in 0..40 {
        let name = format!("c{turns}");
        let id = world.create_with(&name, &["sleep"], on(&["a"])).await;
        let engine = world.engine.clone();
        let start = tokio::spawn(async move { engine.start(&id).await });
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        world.engine.connect_network("b", &name, EndpointSettings::default()).await.unwrap();
        world.engine.disconnect_network("a", &name, false).await.unwrap();
        start.await.unwrap().unwrap();
        assert!(ip(&world, &name, "b").starts_with("172.18.1."), "after {turns}");
        assert!(members(&world, "a").is_empty(), "after {turns}");
        assert_eq!(members(&world, "b").len(), turns + 1);
    }
}
