//! Point 1: a network is a subnet, a zone in the cloud and a record; or it is not there at all.

use bollard_stubs::models::NetworkCreateRequest;
use sockerless_engine::EngineOptions;
use sockerless_ports::{backend::ErrorCode, store::Kind};

use super::*;

/// The networks that are always there.
const BUILTIN: usize = 3;

#[tokio::test(start_paused = true)]
async fn a_network_has_an_id_a_subnet_of_the_pool_and_a_zone() {
    let mut world = World::new().await;
    let id = make(&world, "mine").await;
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let config = |world: &World, name: &str| inspect(world, name).ipam.unwrap().config.unwrap().remove(0);
    let first = config(&world, "mine");
    assert_eq!(
        (first.subnet.as_deref(), first.gateway.as_deref()),
        (Some("172.18.0.0/24"), Some("172.18.0.1"))
    );
    make(&world, "other").await;
    assert_eq!(config(&world, "other").subnet.as_deref(), Some("172.18.1.0/24"));
    let made = world.cloud.zones.get(&zone(&id)).unwrap();
    assert_eq!(made.domain, format!("{}.sockerless.internal.", &id[..12]));
    assert!(made.labels.contains(&("sockerless-network".into(), id.clone())));
    assert!(made.labels.contains(&("managed-by".into(), "sockerless".into())));
    assert_eq!(events(&world).await, ["create mine", "create other"]);
    // It outlives the daemon, and its subnet is still its own.
    let before = inspect(&world, "mine");
    world.crash().await;
    world.reopen().await;
    assert_eq!(inspect(&world, "mine"), before);
    make(&world, "third").await;
    assert_eq!(config(&world, "third").subnet.as_deref(), Some("172.18.2.0/24"));
}

#[tokio::test(start_paused = true)]
async fn the_pool_is_the_operators_and_has_an_end() {
    let mut world = World::new().await;
    world.crash().await;
    world.options = EngineOptions { network_pool: "10.200.0.0/23".parse().unwrap(), ..world.options.clone() };
    world.reopen().await;
    make(&world, "one").await;
    let two = make(&world, "two").await;
    let request = NetworkCreateRequest { name: "three".into(), ..Default::default() };
    let full = told(world.engine.create_network(request.clone()).await.unwrap_err());
    assert_eq!(full, (ErrorKind::Invalid, "all predefined address pools have been fully subnetted".into()));
    world.engine.remove_network(&two).await.unwrap();
    world.engine.create_network(request).await.unwrap();
    let again = inspect(&world, "three").ipam.unwrap().config.unwrap().remove(0);
    assert_eq!(again.subnet.as_deref(), Some("10.200.1.0/24"));
}

#[tokio::test(start_paused = true)]
async fn names_and_subnets_are_had_once() {
    let world = World::new().await;
    make_with(&world, "mine", |request| request.ipam = subnet("10.5.0.0/16")).await;
    let refused = async |change: &dyn Fn(&mut NetworkCreateRequest)| {
        let mut request = NetworkCreateRequest { name: "x".into(), ..Default::default() };
        change(&mut request);
        told(world.engine.create_network(request).await.unwrap_err())
    };
    assert_eq!(
        refused(&|request| request.name = "mine".into()).await,
        (ErrorKind::Conflict, "network with name mine already exists".into())
    );
    let overlap = (ErrorKind::Forbidden, "Pool overlaps with other one on this address space".to_owned());
    for taken in ["10.5.7.0/24", "10.0.0.0/8", "172.17.3.0/24"] {
        assert_eq!(refused(&|request| request.ipam = subnet(taken)).await, overlap, "{taken}");
    }
    assert_eq!(
        refused(&|request| request.name = "bridge".into()).await,
        (ErrorKind::Forbidden, "operation is not permitted on predefined bridge network ".into())
    );
    assert_eq!(
        refused(&|request| request.name = " ".into()).await,
        (ErrorKind::Invalid, "invalid name:  ".into())
    );
    assert_eq!(
        refused(&|request| request.driver = Some("weave".into())).await,
        (ErrorKind::NotFound, "plugin \"weave\" not found".into())
    );
    assert_eq!(refused(&|request| request.driver = Some("macvlan".into())).await.0, ErrorKind::Unsupported);
    assert_eq!(refused(&|request| request.ipam = subnet("10.9.0.0/32")).await.0, ErrorKind::Invalid);
    assert_eq!(world.store.count(Kind::Network), BUILTIN + 1);
    assert_eq!(world.cloud.zones.names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_at_once_get_neither_the_same_name_nor_the_same_subnet() {
    let world = World::new().await;
    let create = |name: &str| {
        let (engine, name) = (world.engine.clone(), name.to_owned());
        tokio::spawn(async move {
            engine.create_network(NetworkCreateRequest { name, ..Default::default() }).await
        })
    };
    let tasks = ["a", "b", "b", "c"].map(create);
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(made, 3);
    let subnets: std::collections::HashSet<_> = names(&world, &[("type", "custom")])
        .iter()
        .map(|name| inspect(&world, name).ipam.unwrap().config.unwrap().remove(0).subnet)
        .collect();
    assert_eq!(subnets.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_asked_for_is_shown() {
    let world = World::new().await;
    make_with(&world, "full", |request| {
        request.internal = Some(true);
        request.attachable = Some(true);
        request.labels = Some([("l".to_owned(), "v".to_owned())].into());
        request.options =
            Some([("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())].into());
        let config = IpamConfig {
            subnet: Some("10.1.0.0/16".into()),
            ip_range: Some("10.1.5.0/24".into()),
            gateway: Some("10.1.0.9".into()),
            auxiliary_addresses: Some([("h".to_owned(), "10.1.5.0".to_owned())].into()),
        };
        let options = Some([("foo".to_owned(), "bar".to_owned())].into());
        request.ipam = Some(Ipam { driver: None, config: Some(vec![config]), options });
    })
    .await;
    let network = inspect(&world, "full");
    let ipam = network.ipam.unwrap();
    assert_eq!(
        (network.internal, network.attachable, network.ingress),
        (Some(true), Some(true), Some(false))
    );
    assert_eq!((network.driver.as_deref(), network.scope.as_deref()), (Some("bridge"), Some("local")));
    assert_eq!(network.labels.unwrap()["l"], "v");
    assert_eq!(network.options.unwrap()["com.docker.network.bridge.enable_icc"], "false");
    assert_eq!((ipam.driver.as_deref(), ipam.options.unwrap()["foo"].as_str()), (Some("default"), "bar"));
    let config = &ipam.config.unwrap()[0];
    assert_eq!(
        (config.gateway.as_deref(), config.ip_range.as_deref()),
        (Some("10.1.0.9"), Some("10.1.5.0/24"))
    );
    assert_eq!(config.auxiliary_addresses.as_ref().unwrap()["h"], "10.1.5.0");
    run_on(&world, "web", &["full"]).await;
    assert_eq!(ip(&world, "web", "full"), "10.1.5.1");
    assert_eq!(places(&world, "web")["full"].gateway.as_deref(), Some("10.1.0.9"));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_fails_leaves_nothing_half_made() {
    let world = World::new().await;
    let create = async |name: &str| {
        let request = NetworkCreateRequest { name: name.into(), ..Default::default() };
        world.engine.create_network(request).await
    };
    world.cloud.fail("ensure-zone", ErrorCode::PermissionDenied, "dns.managedZones.create denied");
    let denied = told(create("mine").await.unwrap_err());
    let words = "fake: network create: dns.managedZones.create denied (networks do without zones if `zones = false` is set in \
                 [networks])";
    assert_eq!(denied, (ErrorKind::Internal, words.into()));
    // The record cannot be kept: the zone goes.
    world.store.cut_after(0);
    assert_eq!(create("mine").await.unwrap_err().message, "state: the power is off");
    world.store.heal();
    sleep(60).await;
    assert!(world.cloud.zones.names().is_empty());
    assert_eq!((world.store.count(Kind::Network), names(&world, &[("type", "custom")]).len()), (BUILTIN, 0));
    // Name and subnet are free again.
    create("mine").await.unwrap();
    let subnet = inspect(&world, "mine").ipam.unwrap().config.unwrap().remove(0).subnet;
    assert_eq!(subnet.as_deref(), Some("172.18.0.0/24"));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_zones_has_networks_all_the_same() {
    let mut world = World::new().await;
    world.cloud.fail("ensure-zone", ErrorCode::Unsupported, "no private network");
    make(&world, "mine").await;
    run_on(&world, "web", &["mine"]).await;
    assert_eq!(ip(&world, "web", "mine"), "172.18.0.2");
    world
        .engine
        .remove("web", sockerless_engine::RemoveRequest { force: true, ..Default::default() })
        .await
        .unwrap();
    world.engine.remove_network("mine").await.unwrap();
    // Nor does one whose operator wants none.
    world.crash().await;
    world.options.network_zones = false;
    world.reopen().await;
    make(&world, "other").await;
    assert!(world.cloud.zones.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_the_zone_was_made_leaves_no_zone() {
    let mut world = World::new().await;
    world.store.cut_after(0);
    let engine = world.engine.clone();
    let create = tokio::spawn(async move {
        engine.create_network(NetworkCreateRequest { name: "mine".into(), ..Default::default() }).await
    });
    while world.cloud.zones.names().is_empty() {
        tokio::task::yield_now().await;
    }
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "not now");
    world.crash().await;
    drop(create.await);
    world.cloud.fail("delete-zone", ErrorCode::PermissionDenied, "nor now");
    world.reopen().await;
    sleep(2000).await;
    assert!(world.cloud.zones.names().is_empty(), "{:?}", world.cloud.zones.names());
}
