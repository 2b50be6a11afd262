//! Point 3: connected and disconnected live, and while nothing runs.

use super::*;

async fn connect(world: &World, network: &str, container: &str) -> Result<(), (ErrorKind, String)> {
    world.engine.connect_network(network, container, EndpointSettings::default()).await.map_err(told)
}

async fn disconnect(world: &World, network: &str, container: &str) -> Result<(), (ErrorKind, String)> {
    world.engine.disconnect_network(network, container, false).await.map_err(told)
}

#[tokio::test(start_paused = true)]
async fn a_container_that_runs_is_connected_and_disconnected_live() {
    let mut world = World::new().await;
    make(&world, "a").await;
    let b = make(&world, "b").await;
    let id = run_on(&world, "web", &["a"]).await;
    world.engine.connect_network("b", "web", aliases(&["api"])).await.unwrap();
    assert_eq!(ip(&world, "web", "b"), "172.18.1.2");
    assert_eq!(places(&world, "web")["b"].aliases.as_ref().unwrap(), &["api"]);
    let again = connect(&world, &b, &id).await.unwrap_err();
    assert_eq!(again, (ErrorKind::Forbidden, "endpoint with name web already exists in network b".into()));
    // It outlives the daemon, and the end of the run.
    world.crash().await;
    world.reopen().await;
    assert_eq!(members(&world, "b"), ["web 172.18.1.2/24"]);
    world.engine.restart("web", None, Some(1)).await.unwrap();
    assert_eq!(ip(&world, "web", "b"), "172.18.1.2");
    disconnect(&world, "b", "web").await.unwrap();
    assert!(members(&world, "b").is_empty() && !places(&world, "web").contains_key("b"));
    let error = disconnect(&world, "b", "web").await.unwrap_err();
    assert_eq!(error.1, format!("container {id} is not connected to network b"));
    disconnect(&world, "a", "web").await.unwrap();
    world.engine.restart("web", None, Some(1)).await.unwrap();
    assert!(places(&world, "web").is_empty());
    world.engine.remove_network("a").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_container_that_does_not_run_is_connected_for_its_next_start() {
    let world = World::new().await;
    make(&world, "a").await;
    make(&world, "b").await;
    let id = world.create_with("web", &["sleep"], on(&["a"])).await;
    connect(&world, "b", "web").await.unwrap();
    assert!(members(&world, "b").is_empty());
    disconnect(&world, "a", "web").await.unwrap();
    let error = disconnect(&world, "a", "web").await.unwrap_err();
    assert_eq!(error.1, format!("container {id} is not connected to the network a"));
    world.engine.start("web").await.unwrap();
    assert_eq!(members(&world, "b"), ["web 172.18.1.2/24"]);
    assert!(members(&world, "a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_connected_is_said_in_dockerds_words() {
    let world = World::new().await;
    make_with(&world, "mine", |request| request.ipam = subnet("10.5.0.0/24")).await;
    run_on(&world, "web", &["bridge"]).await;
    run_on(&world, "other", &["mine"]).await;
    run_on(&world, "alone", &["none"]).await;
    run_on(&world, "hosted", &["host"]).await;
    let invalid = |message: &str| Err((ErrorKind::Invalid, message.to_owned()));
    let missing = |message: &str| Err((ErrorKind::NotFound, message.to_owned()));
    assert_eq!(connect(&world, "nope", "web").await, missing("network nope not found"));
    assert_eq!(connect(&world, "mine", "nobody").await, missing("No such container: nobody"));
    assert_eq!(connect(&world, "mine", "").await, invalid("invalid name or ID supplied: \"\""));
    let host = "container cannot be disconnected from host network or connected to host network";
    assert_eq!(connect(&world, "host", "web").await, invalid(host));
    assert_eq!(disconnect(&world, "host", "hosted").await, invalid(host));
    let shared = "container sharing network namespace with another container or host cannot be connected to any other network";
    assert_eq!(connect(&world, "mine", "hosted").await, invalid(shared));
    let private =
        "container cannot be connected to multiple networks with one of the networks in private (none) mode";
    assert_eq!(connect(&world, "none", "web").await, invalid(private));
    assert_eq!(connect(&world, "mine", "alone").await, invalid(private));
    let with = async |settings| world.engine.connect_network("mine", "web", settings).await.map_err(told);
    let outside = "Invalid address 10.9.9.9: It does not belong to any of this network's subnets";
    assert_eq!(with(address("10.9.9.9")).await, Err((ErrorKind::Internal, outside.into())));
    assert_eq!(with(address("10.5.0.2")).await, Err((ErrorKind::Forbidden, "Address already in use".into())));
    assert_eq!(with(address("foo")).await, invalid("invalid IPv4 address: foo"));
    assert_eq!(members(&world, "mine"), ["other 10.5.0.2/24"]);
    with(address("10.5.0.9")).await.unwrap();
    assert_eq!(ip(&world, "web", "mine"), "10.5.0.9");
    let gone = world.engine.disconnect_network("mine", "nobody", true).await.unwrap_err();
    assert_eq!(told(gone), (ErrorKind::NotFound, "endpoint nobody not found".into()));
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_cannot_be_kept_takes_nothing() {
    let world = World::new().await;
    make(&world, "mine").await;
    run_on(&world, "web", &["bridge"]).await;
    world.store.cut_after(0);
    assert_eq!(connect(&world, "mine", "web").await.unwrap_err().1, "state: the power is off");
    world.store.heal();
    assert!(members(&world, "mine").is_empty() && !places(&world, "web").contains_key("mine"));
    run_on(&world, "db", &["mine"]).await;
    assert_eq!(ip(&world, "db", "mine"), "172.18.0.2");
}

#[tokio::test(start_paused = true)]
async fn connecting_again_after_a_network_was_made_anew_means_the_new_one() {
    let world = World::new().await;
    make(&world, "mine").await;
    run_on(&world, "web", &["mine"]).await;
    world.engine.stop("web", None, Some(1)).await.unwrap();
    world.engine.remove_network("mine").await.unwrap();
    make(&world, "mine").await;
    assert!(world.engine.start("web").await.is_err());
    disconnect(&world, "mine", "web").await.unwrap();
    connect(&world, "mine", "web").await.unwrap();
    world.engine.start("web").await.unwrap();
    assert_eq!(members(&world, "mine"), ["web 172.18.0.2/24"]);
}
