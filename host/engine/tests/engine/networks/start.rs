//! Point 3: the places that a container gets at its start.

use bollard_stubs::models::ContainerSummary;
use sockerless_engine::{ListRequest, RemoveRequest};

use super::*;

async fn start_fails(
    world: &World,
    name: &str,
    wish: impl FnOnce(&mut CreateRequest),
) -> (ErrorKind, String) {
    world.create_with(name, &["sleep"], wish).await;
    told(world.engine.start(name).await.unwrap_err())
}

#[tokio::test(start_paused = true)]
async fn a_container_has_addresses_while_it_runs() {
    let world = World::new().await;
    let mine = make(&world, "mine").await;
    let wish = EndpointSettings { mac_address: Some("02:42:AA:BB:CC:DD".into()), ..aliases(&["api"]) };
    let id = world.create_with("web", &["sleep"], on_with("mine", wish)).await;
    let created = &places(&world, "web")["mine"];
    assert_eq!((created.ip_address.as_deref(), created.network_id.as_deref()), (Some(""), Some("")));
    world.engine.start("web").await.unwrap();
    let place = places(&world, "web").remove("mine").unwrap();
    assert_eq!(place.ip_address.as_deref(), Some("172.18.0.2"));
    assert_eq!((place.gateway.as_deref(), place.ip_prefix_len), (Some("172.18.0.1"), Some(24)));
    assert_eq!(place.mac_address.as_deref(), Some("02:42:aa:bb:cc:dd"));
    assert_eq!((place.network_id.as_deref(), place.endpoint_id.unwrap().len()), (Some(mine.as_str()), 64));
    assert_eq!(place.aliases.unwrap(), ["api"]);
    assert_eq!(place.dns_names.unwrap(), ["web", "api", &id[..12]]);
    // What stands beside the list is the default network's.
    let settings = world.engine.inspect("web", false).unwrap().network_settings.unwrap();
    assert_eq!(settings.ip_address.as_deref(), Some(""));
    world.engine.stop("web", None, Some(1)).await.unwrap();
    let stopped = &places(&world, "web")["mine"];
    assert_eq!((stopped.ip_address.as_deref(), stopped.endpoint_id.as_deref()), (Some(""), Some("")));
    assert_eq!(stopped.network_id.as_deref(), Some(mine.as_str()));
    world.run("plain", &["sleep"]).await;
    let settings = world.engine.inspect("plain", false).unwrap().network_settings.unwrap();
    assert_eq!((settings.ip_address.as_deref(), settings.ip_prefix_len), (Some("172.17.0.2"), Some(16)));
    assert_eq!(settings.endpoint_id, settings.networks.unwrap()["bridge"].endpoint_id);
    assert_eq!(events(&world).await, ["create mine", "connect mine", "disconnect mine", "connect bridge"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_may_be_on_several_networks_from_the_start() {
    let world = World::new().await;
    let (a, _) = (make(&world, "a").await, make(&world, "b").await);
    run_on(&world, "web", &["a", "b", "bridge"]).await;
    assert_eq!(ip(&world, "web", "a"), "172.18.0.2");
    assert_eq!(ip(&world, "web", "b"), "172.18.1.2");
    assert_eq!(ip(&world, "web", "bridge"), "172.17.0.2");
    let list = |filter: &str| {
        let request = ListRequest { filters: filters(&[("network", filter)]), ..ListRequest::default() };
        let all: Vec<ContainerSummary> =
            serde_json::from_slice(&world.engine.list(&request).unwrap().json).unwrap();
        all
    };
    for known in ["a", "b", &a, &a[..8]] {
        let mut found = list(known);
        assert_eq!(found.len(), 1, "{known}");
        let networks = found.remove(0).network_settings.unwrap().networks.unwrap();
        assert_eq!(networks["b"].ip_address.as_deref(), Some("172.18.1.2"));
    }
    assert!(list("none").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_network_may_be_named_by_its_id() {
    let world = World::new().await;
    let id = make(&world, "mine").await;
    run_on(&world, "web", &[&id[..12]]).await;
    assert_eq!(ip(&world, "web", "mine"), "172.18.0.2");
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_not_there_is_found_at_the_start() {
    let world = World::new().await;
    let missing = (ErrorKind::NotFound, "network nope not found".to_owned());
    assert_eq!(start_fails(&world, "web", on(&["nope"])).await, missing);
    let state = world.engine.inspect("web", false).unwrap().state.unwrap();
    assert_eq!((state.error.as_deref(), state.exit_code), (Some(missing.1.as_str()), Some(128)));
    make(&world, "nope").await;
    world.engine.start("web").await.unwrap();
    assert_eq!(ip(&world, "web", "nope"), "172.18.0.2");
    // The one that it was on is meant from then on, not another of that name.
    let id = inspect(&world, "nope").id.unwrap();
    world.engine.stop("web", None, Some(1)).await.unwrap();
    world.engine.remove_network("nope").await.unwrap();
    make(&world, "nope").await;
    let error = told(world.engine.start("web").await.unwrap_err());
    assert_eq!(error, (ErrorKind::NotFound, format!("network {id} not found")));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_had_by_one_and_stays_with_it_where_it_can() {
    let world = World::new().await;
    make_with(&world, "mine", |request| request.ipam = subnet("10.5.0.0/24")).await;
    make(&world, "auto").await;
    world.create_with("fixed", &["sleep"], on_with("mine", address("10.5.0.77"))).await;
    world.engine.start("fixed").await.unwrap();
    assert_eq!(ip(&world, "fixed", "mine"), "10.5.0.77");
    let in_use = (ErrorKind::Forbidden, "Address already in use".to_owned());
    assert_eq!(start_fails(&world, "same", on_with("mine", address("10.5.0.77"))).await, in_use);
    for (index, nobodys) in ["10.5.0.1", "10.5.0.0", "10.5.0.255"].iter().enumerate() {
        assert_eq!(
            start_fails(&world, &format!("n{index}"), on_with("mine", address(nobodys))).await,
            in_use
        );
    }
    let outside = "Invalid address 10.9.9.9: It does not belong to any of this network's subnets";
    assert_eq!(start_fails(&world, "far", on_with("mine", address("10.9.9.9"))).await.1, outside);
    let automatic = "user specified IP address is supported only when connecting to networks with user configured subnets";
    assert_eq!(
        start_fails(&world, "auto1", on_with("auto", address("172.18.0.9"))).await,
        (ErrorKind::Invalid, automatic.to_owned())
    );
    let default = "user specified IP address is supported on user defined networks only";
    assert_eq!(start_fails(&world, "b1", on_with("bridge", address("172.17.0.9"))).await.1, default);
    let alias = "network-scoped alias is supported only for containers in user defined networks";
    assert_eq!(
        start_fails(&world, "b2", on_with("bridge", aliases(&["x"]))).await,
        (ErrorKind::Invalid, alias.to_owned())
    );
    // One that failed has taken nothing.
    world.engine.stop("fixed", None, Some(1)).await.unwrap();
    world.engine.start("same").await.unwrap();
    assert_eq!(told(world.engine.start("fixed").await.unwrap_err()), in_use);
    run_on(&world, "first", &["mine"]).await;
    run_on(&world, "second", &["mine"]).await;
    world.engine.stop("first", None, Some(1)).await.unwrap();
    world.engine.stop("second", None, Some(1)).await.unwrap();
    world.engine.start("second").await.unwrap();
    assert_eq!(ip(&world, "second", "mine"), "10.5.0.3");
    run_on(&world, "third", &["mine"]).await;
    world.engine.start("first").await.unwrap();
    assert_eq!(
        (ip(&world, "third", "mine"), ip(&world, "first", "mine")),
        ("10.5.0.2".into(), "10.5.0.4".into())
    );
}

#[tokio::test(start_paused = true)]
async fn malformed_wishes_are_refused_when_the_container_is_created() {
    let world = World::new().await;
    let refused = async |wish: &dyn Fn(&mut CreateRequest)| {
        let mut request = request("x1", &["sleep"]);
        wish(&mut request);
        told(world.engine.create(request).await.unwrap_err())
    };
    let invalid = |message: &str| (ErrorKind::Invalid, message.to_owned());
    assert_eq!(refused(&|r| on_with("n", address("foo"))(r)).await, invalid("invalid IPv4 address: foo"));
    let links =
        |link: &'static str| move |request: &mut CreateRequest| request.host.links = Some(vec![link.into()]);
    assert_eq!(
        refused(&|r| links("nobody:x")(r)).await,
        invalid("could not get container for nobody: No such container: nobody")
    );
    assert_eq!(refused(&|r| links("a:b:c")(r)).await, invalid("bad format for links: a:b:c"));
    assert_eq!(
        refused(&|r| r.config.mac_address = Some("zz".into())).await,
        invalid("address zz: invalid MAC address")
    );
    let words =
        "container cannot be connected to multiple networks with one of the networks in private (none) mode";
    assert_eq!(refused(&|r| on(&["none", "bridge"])(r)).await, invalid(words));
    let host = |request: &mut CreateRequest| {
        links("x:y")(request);
        request.host.network_mode = Some("host".into());
    };
    assert!(
        refused(&host)
            .await
            .1
            .starts_with("conflicting options: host type networking can't be used with links")
    );
}

#[tokio::test(start_paused = true)]
async fn no_network_is_no_address() {
    let world = World::new().await;
    let none = inspect(&world, "none").id;
    run_on(&world, "alone", &["none"]).await;
    let place = places(&world, "alone").remove("none").unwrap();
    assert_eq!((place.ip_address.as_deref(), place.network_id), (Some(""), none));
    assert!(world.link.mesh().unwrap().view(&run(&world, "alone")).networks.is_empty());
}

pub(super) fn run(world: &World, name: &str) -> sockerless_ports::link::RunId {
    let container = world.engine.inspect(name, false).unwrap().id.unwrap();
    sockerless_ports::link::RunId { container, generation: 1 }
}

#[tokio::test(start_paused = true)]
async fn links_on_the_default_network_lead_to_what_runs_there() {
    let world = World::new().await;
    make(&world, "mine").await;
    world.create("db", &["sleep"]).await;
    let wish = |request: &mut CreateRequest| request.host.links = Some(vec!["db:data".into(), "db".into()]);
    world.create_with("web", &["sleep"], wish).await;
    let error = world.engine.start("web").await.unwrap_err().message;
    assert_eq!(error, "Cannot link to a non running container: /db AS /web/data");
    world.engine.start("db").await.unwrap();
    world.engine.start("web").await.unwrap();
    // They follow the container, whatever its name.
    world.engine.rename("db", "store").await.unwrap();
    let links = world.engine.inspect("web", false).unwrap().host_config.unwrap().links;
    assert_eq!(links.unwrap(), ["/store:/web/data", "/store:/web/db"]);
    // Away with one, by its own name; the containers stay.
    let unlink = RemoveRequest { link: true, ..RemoveRequest::default() };
    for missing in ["web/other", "nobody/data", "web/db/data"] {
        let error = world.engine.remove(missing, unlink).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message),
            (ErrorKind::NotFound, format!("No such container: {missing}"))
        );
    }
    let error = world.engine.remove("web", unlink).await.unwrap_err().message;
    assert_eq!(error, "Conflict, cannot remove the default link name of the container");
    world.engine.remove("/web/data", unlink).await.unwrap();
    let links = || world.engine.inspect("web", false).unwrap().host_config.unwrap().links;
    assert_eq!(links().unwrap(), ["/store:/web/db"]);
    world.engine.remove("web/db", unlink).await.unwrap();
    assert_eq!(links(), None);
    assert!(world.engine.remove("web/db", unlink).await.is_err());
    assert!(world.engine.inspect("store", false).is_ok());
    run_on(&world, "far", &["mine"]).await;
    let wish = |request: &mut CreateRequest| request.host.links = Some(vec!["far".into()]);
    let error = start_fails(&world, "web2", wish).await.1;
    assert_eq!(error, "Cannot link to /far, as it does not belong to the default network");
}

#[tokio::test(start_paused = true)]
async fn addresses_survive_the_daemon_and_are_free_after_the_end() {
    let mut world = World::new().await;
    make(&world, "mine").await;
    run_on(&world, "web", &["mine"]).await;
    let before = places(&world, "web");
    world.crash().await;
    world.reopen().await;
    assert_eq!(places(&world, "web"), before);
    assert_eq!(members(&world, "mine"), ["web 172.18.0.2/24"]);
    run_on(&world, "db", &["mine"]).await;
    assert_eq!(ip(&world, "db", "mine"), "172.18.0.3");
    world.engine.stop("web", None, Some(1)).await.unwrap();
    world.engine.remove("web", RemoveRequest::default()).await.unwrap();
    run_on(&world, "new", &["mine"]).await;
    assert_eq!(ip(&world, "new", "mine"), "172.18.0.2");
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_place_keeps_the_address() {
    let world = World::new().await;
    make(&world, "mine").await;
    run_on(&world, "web", &["mine"]).await;
    run_on(&world, "db", &["mine"]).await;
    world.engine.restart("web", None, Some(1)).await.unwrap();
    assert_eq!(ip(&world, "web", "mine"), "172.18.0.2");
    assert_eq!(members(&world, "mine").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_in_the_cloud_gives_its_places_back() {
    let world = World::new().await;
    make(&world, "mine").await;
    world.cloud.fail("create", sockerless_ports::backend::ErrorCode::InvalidArgument, "no such region");
    let error = start_fails(&world, "web", on(&["mine"])).await;
    assert_eq!(error, (ErrorKind::Internal, "no such region".into()));
    assert!(members(&world, "mine").is_empty());
    assert_eq!(events(&world).await, ["create mine", "connect mine", "disconnect mine"]);
    world.engine.remove_network("mine").await.unwrap();
}

/// The power goes after each commit of a start in place in turn: whatever the point, the run that comes of it is on the
/// network, once.
#[tokio::test(start_paused = true)]
async fn a_crash_in_the_middle_of_a_start_in_place_loses_no_place() {
    for commits in 0..6 {
        let mut world = World::new().await;
        make(&world, "mine").await;
        run_on(&world, "web", &["mine"]).await;
        world.engine.stop("web", None, Some(1)).await.unwrap();
        world.store.cut_after(commits);
        let engine = world.engine.clone();
        let start = tokio::spawn(async move { engine.start("web").await });
        sleep(3).await;
        world.crash().await;
        start.await.unwrap().ok();
        world.reopen().await;
        sleep(60).await;
        world.engine.start("web").await.unwrap();
        assert_eq!(members(&world, "mine"), ["web 172.18.0.2/24"], "after {commits}");
        world.engine.stop("web", None, Some(1)).await.unwrap();
        assert!(members(&world, "mine").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_on_the_default_network_brings_variables() {
    let world = World::new().await;
    let wish = |request: &mut CreateRequest| {
        request.config.exposed_ports = Some(vec!["5432/tcp".into()]);
        request.config.env = Some(vec!["POSTGRES_DB=test".into()]);
    };
    world.create_with("db", &["sleep"], wish).await;
    world.engine.start("db").await.unwrap();
    let wish = |request: &mut CreateRequest| {
        request.host.links = Some(vec!["db:data".into()]);
        request.config.env = Some(vec!["DATA_PORT_5432_TCP_PROTO=own".into()]);
    };
    world.create_with("web", &["env"], wish).await;
    world.engine.start("web").await.unwrap();
    world.wait("web").await;
    let env = world.output("web").await;
    for line in ["DATA_PORT=tcp://172.17.0.2:5432", "DATA_NAME=/web/data", "DATA_ENV_POSTGRES_DB=test"] {
        assert!(env.lines().any(|known| known == line), "{line} in {env}");
    }
    assert_eq!(env.matches("DATA_PORT_5432_TCP_PROTO=").count(), 1);
    assert!(env.contains("DATA_PORT_5432_TCP_PROTO=own"));
}
