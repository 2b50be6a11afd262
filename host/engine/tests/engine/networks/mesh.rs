//! What agents are told of their neighbours, and where the engine lets them through.

use std::{collections::HashMap, net::Ipv4Addr};

use sockerless_ports::link::{MeshView, Route, Rung};

use super::{start::run, *};

fn resolve(view: &MeshView, name: &str) -> Vec<String> {
    let all = view.networks.iter().filter_map(|network| network.names.get(name)).flatten();
    all.map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn each_agent_is_told_who_is_on_its_networks() {
    let world = World::new().await;
    make(&world, "a").await;
    make(&world, "b").await;
    for (network, name) in [("a", "db-a"), ("b", "db-b")] {
        world.create_with(name, &["sleep"], on_with(network, aliases(&["postgres"]))).await;
        world.engine.start(name).await.unwrap();
    }
    run_on(&world, "web", &["a"]).await;
    let web = run(&world, "web");
    let view = world.link.sees(&web, |view| !resolve(view, "postgres").is_empty()).await;
    assert!(view.catch);
    assert_eq!(resolve(&view, "postgres"), ["172.18.0.2"]);
    assert_eq!(resolve(&view, &web.container[..12]), ["172.18.0.3"]);
    assert!(resolve(&view, "db-b").is_empty());
    // Whoever comes and goes later is told.
    world.engine.connect_network("b", "web", EndpointSettings::default()).await.unwrap();
    world.link.sees(&web, |view| resolve(view, "db-b") == ["172.18.1.2"]).await;
    sleep(1).await;
    assert!(world.link.refreshed().contains(&run(&world, "db-b")));
    world.engine.stop("db-a", None, Some(1)).await.unwrap();
    world.link.sees(&web, |view| resolve(view, "db-a").is_empty()).await;
    world.engine.disconnect_network("b", "web", false).await.unwrap();
    let view = world.link.sees(&web, |view| view.networks.len() == 1).await;
    assert!(resolve(&view, "postgres").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_forged_request_leads_nowhere() {
    let world = World::new().await;
    make(&world, "a").await;
    make(&world, "b").await;
    run_on(&world, "web", &["a"]).await;
    run_on(&world, "db", &["b"]).await;
    run_on(&world, "both", &["a", "b"]).await;
    let mesh = world.link.mesh().unwrap();
    let address =
        |container: &str, network: &str| -> Ipv4Addr { ip(&world, container, network).parse().unwrap() };
    let (web, db, both) = (run(&world, "web"), run(&world, "db"), run(&world, "both"));
    assert_eq!(mesh.route(&web, address("db", "b")), Route::Foreign);
    assert_eq!(mesh.route(&web, address("both", "b")), Route::Foreign);
    assert_eq!(mesh.route(&web, Ipv4Addr::new(172, 18, 0, 200)), Route::Nobody);
    assert_eq!(mesh.route(&web, Ipv4Addr::new(8, 8, 8, 8)), Route::Foreign);
    let to = |run: &sockerless_ports::link::RunId, from: Ipv4Addr| Route::To { run: run.clone(), from };
    assert_eq!(mesh.route(&web, address("both", "a")), to(&both, address("web", "a")));
    assert_eq!(mesh.route(&both, address("db", "b")), to(&db, address("both", "b")));
    // A run that is over is nobody's neighbour, and nobody is its.
    world.engine.stop("db", None, Some(1)).await.unwrap();
    assert_eq!(mesh.route(&db, Ipv4Addr::new(172, 18, 1, 3)), Route::Foreign);
    assert_eq!(mesh.route(&both, Ipv4Addr::new(172, 18, 1, 2)), Route::Nobody);
}

#[tokio::test(start_paused = true)]
async fn names_of_the_users_own_are_told_too() {
    let world = World::new().await;
    make(&world, "a").await;
    let wish = |request: &mut CreateRequest| {
        on(&["a"])(request);
        request.host.extra_hosts = Some(vec!["Db:10.0.0.7".into()]);
        request.host.dns = Some(vec!["1.1.1.1".into()]);
        request.host.dns_search = Some(vec!["a.b".into()]);
        request.config.hostname = Some("front".into());
        request.config.domainname = Some("example.org".into());
    };
    world.create_with("web", &["sleep"], wish).await;
    world.engine.start("web").await.unwrap();
    let view = world.link.mesh().unwrap().view(&run(&world, "web"));
    assert_eq!(view.hosts["db"][0].to_string(), "10.0.0.7");
    assert_eq!(view.name_servers[0].to_string(), "1.1.1.1");
    assert_eq!((&view.search[..], view.rung), (&["a.b".to_owned()][..], None));
    assert_eq!(view.own_names, ["front.example.org", "front"]);
}

#[tokio::test(start_paused = true)]
async fn how_connections_are_caught_is_asked_for_by_a_label() {
    let world = World::new().await;
    make(&world, "a").await;
    let with = |rung: &'static str| {
        move |request: &mut CreateRequest| {
            on(&["a"])(request);
            let label = ("sockerless.mesh".to_owned(), rung.to_owned());
            request.config.labels = Some(HashMap::from([label]));
        }
    };
    for (word, rung) in [("seccomp", Rung::Seccomp), ("tun", Rung::Tun), ("loopback", Rung::Loopback)] {
        world.create_with(word, &["sleep"], with(word)).await;
        world.engine.start(word).await.unwrap();
        let view = world.link.mesh().unwrap().view(&run(&world, word));
        assert_eq!(view.rung, Some(rung));
    }
    let mut request = request("bird", &["sleep"]);
    with("pigeon")(&mut request);
    let error = world.engine.create(request).await.unwrap_err();
    assert_eq!(error.message, "invalid label sockerless.mesh=pigeon: seccomp, tun or loopback");
}

#[tokio::test(start_paused = true)]
async fn who_has_nobody_to_reach_gives_nothing_for_it() {
    let world = World::new().await;
    world.run("alone", &["sleep"]).await;
    let view = world.link.sees(&run(&world, "alone"), |view| !view.networks.is_empty()).await;
    assert!(!view.catch);
    let named = |request: &mut CreateRequest| request.host.extra_hosts = Some(vec!["db:10.0.0.9".into()]);
    world.create_with("named", &["sleep"], named).await;
    world.engine.start("named").await.unwrap();
    world.link.sees(&run(&world, "named"), |view| view.catch).await;
}
