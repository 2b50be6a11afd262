//! Point 4: removed and pruned.

use sockerless_ports::store::Kind;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_network_goes_with_its_zone_and_not_while_containers_are_on_it() {
    let world = World::new().await;
    let id = make(&world, "mine").await;
    run_on(&world, "web", &["mine"]).await;
    let busy = told(world.engine.remove_network("mine").await.unwrap_err());
    let words = format!("error while removing network: network mine id {id} has active endpoints");
    assert_eq!(busy, (ErrorKind::Forbidden, words));
    assert_eq!(world.cloud.zones.names(), [zone(&id)]);
    world.engine.stop("web", None, Some(1)).await.unwrap();
    // An agent that lingers is no endpoint.
    world.engine.remove_network("mine").await.unwrap();
    assert!(world.cloud.zones.names().is_empty());
    assert_eq!(world.store.count(Kind::Network), 3);
    let gone = told(world.engine.remove_network("mine").await.unwrap_err());
    assert_eq!(gone, (ErrorKind::NotFound, "network mine not found".into()));
    assert_eq!(events(&world).await, ["create mine", "connect mine", "disconnect mine", "destroy mine"]);
}

#[tokio::test(start_paused = true)]
async fn prune_takes_what_nobody_is_on_and_what_matches() {
    let world = World::new().await;
    for (name, label) in [("a", "x=1"), ("b", "x=2"), ("c", "y=1"), ("used", "x=1")] {
        let (key, value) = label.split_once('=').unwrap();
        let labels = [(key.to_owned(), value.to_owned())].into();
        make_with(&world, name, |request| request.labels = Some(labels)).await;
    }
    run_on(&world, "web", &["used"]).await;
    let prune = async |pairs: &[(&str, &str)]| {
        world.engine.prune_networks(&filters(pairs)).await.map(|answer| answer.networks_deleted)
    };
    assert_eq!(prune(&[("until", "1h")]).await.unwrap(), None);
    assert_eq!(prune(&[("label", "x=1")]).await.unwrap().unwrap(), ["a"]);
    assert_eq!(prune(&[("label!", "x")]).await.unwrap().unwrap(), ["c"]);
    for (name, value) in [("colour", "red"), ("dangling", "true"), ("until", "later")] {
        assert_eq!(prune(&[(name, value)]).await.unwrap_err().kind, ErrorKind::Invalid, "{name}");
    }
    world.cloud.zones.plant("somebody-elses", "another");
    assert_eq!(prune(&[]).await.unwrap().unwrap(), ["b"]);
    assert_eq!(names(&world, &[]), ["bridge", "host", "none", "used"]);
    assert_eq!(world.cloud.zones.names().len(), 2);
    assert_eq!(events(&world).await.last().unwrap(), "prune");
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_onto_a_network_that_is_being_removed() {
    let world = World::new().await;
    make(&world, "mine").await;
    world.create_with("web", &["sleep"], on(&["mine"])).await;
    let engine = world.engine.clone();
    let removal = tokio::spawn(async move { engine.remove_network("mine").await });
    let start = world.engine.start("web").await;
    let removed = removal.await.unwrap();
    assert_ne!(start.is_ok(), removed.is_ok(), "{start:?} {removed:?}");
}
