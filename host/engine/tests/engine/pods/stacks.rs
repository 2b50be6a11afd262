//! Containers with the network stack of another one.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_container_has_the_network_stack_of_another() {
    let world = World::new().await;
    network(&world, "net", &[]).await;
    let root = world.create_with("root", &["sleep"], on("net")).await;
    let guest = world.create_with("guest", &["sleep"], sharing("root")).await;
    let db = world.create_with("db", &["sleep"], on("net")).await;
    let early = world.engine.start(&guest).await.unwrap_err();
    assert_eq!(
        (early.kind, early.message),
        (ErrorKind::Conflict, format!("cannot join network of a non running container: {root}"))
    );
    for id in [&root, &guest, &db] {
        world.engine.start(id).await.unwrap();
    }
    assert_eq!(world.cloud.jobs(), 2);
    let inspected = world.engine.inspect(&guest, false).unwrap();
    assert_eq!(inspected.host_config.unwrap().network_mode, Some(format!("container:{root}")));
    assert_eq!(inspected.config.unwrap().hostname.as_deref(), Some(&root[..12]));
    assert!(inspected.network_settings.unwrap().networks.unwrap().is_empty());
    // What the other reaches, it reaches as the other.
    let run = |container: &String, generation| RunId { container: container.clone(), generation };
    let mesh = world.link.mesh().unwrap();
    let (own, others) = (mesh.view(&run(&root, 1)), mesh.view(&run(&guest, 2)));
    assert_eq!(own.networks, others.networks);
    let to = own.networks[0].names["db"][0];
    assert_eq!(
        mesh.route(&run(&guest, 2), to),
        Route::To { run: run(&db, 1), from: own.networks[0].address }
    );
    let refused = world.engine.connect_network("net", &guest, EndpointSettings::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn the_network_stack_of_a_container_that_runs_is_refused_with_what_to_do() {
    let world = World::new().await;
    let root = world.run("root", &["sleep"]).await;
    let refused = |name: &str| {
        let mut request = request("", &["sleep"]);
        sharing(name)(&mut request);
        world.engine.create(request)
    };
    let error = refused("root").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("Create both before root is started"), "{error}");
    assert_eq!(refused("ghost").await.unwrap_err().message, "No such container: ghost");
    // One that lingers makes room for another job.
    world.engine.stop(&root, None, None).await.unwrap();
    let guest = refused("root").await.unwrap().id;
    world.engine.start(&root).await.unwrap();
    world.engine.start(&guest).await.unwrap();
    assert_eq!(world.cloud.specs().last().unwrap().containers.len(), 2);
}
