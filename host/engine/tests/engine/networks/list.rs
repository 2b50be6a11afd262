//! Point 2: networks as they are listed and inspected.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_default_networks_always_exist_and_are_the_same_ever_after() {
    let mut world = World::new().await;
    assert_eq!(names(&world, &[]), ["bridge", "host", "none"]);
    let driver = |name: &str| inspect(&world, name).driver.unwrap();
    assert_eq!(["bridge", "host", "none"].map(driver), ["bridge", "host", "null"]);
    let bridge = inspect(&world, "bridge");
    let config = bridge.ipam.clone().unwrap().config.unwrap().remove(0);
    assert_eq!(
        (config.subnet.as_deref(), config.gateway.as_deref()),
        (Some("172.17.0.0/16"), Some("172.17.0.1"))
    );
    assert_eq!(inspect(&world, "none").ipam.unwrap().config, Some(vec![]));
    for name in ["bridge", "host", "none"] {
        let error = told(world.engine.remove_network(name).await.unwrap_err());
        let words = format!("{name} is a pre-defined network and cannot be removed");
        assert_eq!(error, (ErrorKind::Forbidden, words));
    }
    world.crash().await;
    world.reopen().await;
    assert_eq!(inspect(&world, "bridge"), bridge);
    // Who has no network is on the default one.
    world.run("web", &["sleep"]).await;
    assert_eq!(members(&world, "bridge"), ["web 172.17.0.2/16"]);
}

#[tokio::test(start_paused = true)]
async fn a_network_shows_its_containers_while_they_run() {
    let world = World::new().await;
    let id = make(&world, "mine").await;
    let web = run_on(&world, "web", &["mine"]).await;
    run_on(&world, "db", &["mine"]).await;
    world.create_with("idle", &["sleep"], on(&["mine"])).await;
    assert_eq!(members(&world, "mine"), ["db 172.18.0.3/24", "web 172.18.0.2/24"]);
    let shown = inspect(&world, &id[..9]).containers.unwrap().remove(&web).unwrap();
    assert_eq!(shown.mac_address.as_deref(), Some("02:42:ac:12:00:02"));
    assert_eq!(shown.endpoint_id, places(&world, "web")["mine"].endpoint_id);
    assert_eq!(shown.endpoint_id.unwrap().len(), 64);
    world.engine.stop("db", None, Some(1)).await.unwrap();
    assert_eq!(members(&world, "mine"), ["web 172.18.0.2/24"]);
    let listed = world.engine.networks(&filters(&[("name", "mine")])).unwrap().remove(0);
    assert_eq!(listed.containers.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn filters_have_dockers_meaning() {
    let world = World::new().await;
    let web = make_with(&world, "web", |request| {
        request.labels = Some([("tier".into(), "front".into()), ("team".into(), "a".into())].into());
    })
    .await;
    make(&world, "web2").await;
    run_on(&world, "one", &["web2"]).await;
    for (filter, expected) in [
        (vec![("name", "web")], vec!["web", "web2"]),
        (vec![("name", "^web$")], vec!["web"]),
        (vec![("name", "host"), ("name", "web2")], vec!["host", "web2"]),
        (vec![("id", &web[..20])], vec!["web"]),
        (vec![("driver", "bridge")], vec!["bridge", "web", "web2"]),
        (vec![("driver", "null"), ("driver", "host")], vec!["host", "none"]),
        (vec![("driver", "overlay")], vec![]),
        (vec![("scope", "local"), ("name", "web")], vec!["web", "web2"]),
        (vec![("scope", "swarm")], vec![]),
        (vec![("type", "custom")], vec!["web", "web2"]),
        (vec![("type", "builtin")], vec!["bridge", "host", "none"]),
        (vec![("label", "tier")], vec!["web"]),
        (vec![("label", "tier=front"), ("label", "team=b")], vec![]),
        (vec![("dangling", "true")], vec!["web"]),
        (vec![("dangling", "false")], vec!["bridge", "host", "none", "web2"]),
    ] {
        assert_eq!(names(&world, &filter), expected, "{filter:?}");
    }
    for (name, value, words) in [
        ("colour", "red", "invalid filter 'colour'"),
        ("type", "foo", "invalid filter 'type=foo'"),
        ("dangling", "foo", "invalid filter 'dangling=foo'"),
    ] {
        let error = told(world.engine.networks(&filters(&[(name, value)])).unwrap_err());
        assert_eq!(error, (ErrorKind::Invalid, words.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_is_found_by_id_name_and_the_beginning_of_an_id() {
    let world = World::new().await;
    let id = make(&world, "mine").await;
    let found =
        |reference: &str| world.engine.inspect_network(reference, None).map(|network| network.id.unwrap());
    for reference in ["mine", &id, &id[..12]] {
        assert_eq!(found(reference).unwrap(), id);
    }
    // A name comes before the beginning of an id.
    let named = make(&world, &id[..12]).await;
    assert_eq!(found(&id[..12]).unwrap(), named);
    assert_eq!(told(found("nope").unwrap_err()), (ErrorKind::NotFound, "network nope not found".into()));
    assert_eq!(world.engine.inspect_network("mine", Some("local")).unwrap().id, Some(id));
    assert_eq!(world.engine.inspect_network("mine", Some("swarm")).unwrap_err().kind, ErrorKind::NotFound);
}
