//! What containers may reach out of the mesh: this daemon's API and this machine.

use std::net::Ipv4Addr;

use bollard_stubs::models::{Mount, MountPoint, MountPointTypeEnum, MountTypeEnum};
use sockerless_ports::link::Route;

use super::{start::run, *};

fn bind(text: &str) -> impl FnOnce(&mut CreateRequest) {
    let bind = text.to_owned();
    move |request| request.host.binds = Some(vec![bind])
}

fn mounts(world: &World, container: &str) -> Vec<MountPoint> {
    world.engine.inspect(container, false).unwrap().mounts.unwrap()
}

/// Another daemon over the same state, with the options that were set.
async fn reopen(world: &mut World) {
    world.crash().await;
    world.reopen().await;
}

async fn refused(world: &World, change: impl FnOnce(&mut CreateRequest)) -> (ErrorKind, String) {
    let mut request = request("refused", &["sleep"]);
    change(&mut request);
    told(world.engine.create(request).await.unwrap_err())
}

#[tokio::test(start_paused = true)]
async fn a_mounted_docker_socket_is_the_daemons_own_for_that_container_alone() {
    let world = World::new().await;
    world.create_with("ci", &["sleep"], bind("/var/run/docker.sock:/run/other.sock:ro")).await;
    let own = "/run/sockerless.sock:/var/run/docker.sock";
    world.create_with("own", &["sleep"], bind(own)).await;
    world.run("plain", &["sleep"]).await;
    for name in ["ci", "own"] {
        world.engine.start(name).await.unwrap();
    }
    let mesh = world.link.mesh().unwrap();
    let socket = Some("/run/sockerless.sock".into());
    assert_eq!((mesh.api(&run(&world, "ci")), mesh.api(&run(&world, "own"))), (socket.clone(), socket));
    assert_eq!(mesh.api(&run(&world, "plain")), None);
    world.create_with("told", &["sockets"], bind("/var/run/docker.sock:/run/other.sock")).await;
    world.engine.start("told").await.unwrap();
    world.wait("told").await;
    assert_eq!(world.output("told").await, "/run/other.sock\n");

    let shown = &mounts(&world, "ci")[0];
    assert_eq!(shown.typ, Some(MountPointTypeEnum::BIND));
    assert_eq!(shown.source.as_deref(), Some("/var/run/docker.sock"));
    assert_eq!((shown.destination.as_deref(), shown.rw), (Some("/run/other.sock"), Some(false)));
    assert_eq!((shown.mode.as_deref(), shown.propagation.as_deref()), (Some("ro"), Some("rprivate")));
    let binds = world.engine.inspect("own", false).unwrap().host_config.unwrap().binds.unwrap();
    assert_eq!(binds, [own]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_mounted_by_its_type_is_served_too() {
    let world = World::new().await;
    let typed = |request: &mut CreateRequest| {
        request.host.mounts = Some(vec![Mount {
            typ: Some(MountTypeEnum::BIND),
            source: Some("/run/docker.sock".into()),
            target: Some("/var/run/docker.sock".into()),
            ..Mount::default()
        }]);
    };
    world.create_with("ci", &["sleep"], typed).await;
    assert_eq!(mounts(&world, "ci")[0].source.as_deref(), Some("/run/docker.sock"));
    let from = |request: &mut CreateRequest| request.host.volumes_from = Some(vec!["ci".into()]);
    world.create_with("heir", &["sleep"], from).await;
    world.engine.start("heir").await.unwrap();
    assert!(world.link.mesh().unwrap().api(&run(&world, "heir")).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_refuse_the_socket_also_to_what_was_created_before() {
    let mut world = World::new().await;
    let socket = "/var/run/docker.sock:/var/run/docker.sock";
    world.create_with("before", &["sleep"], bind(socket)).await;
    world.options.serve_socket = false;
    reopen(&mut world).await;
    let (kind, message) = refused(&world, bind(socket)).await;
    assert_eq!(kind, ErrorKind::Forbidden);
    for word in [socket, "docker_socket", "[containers]", "SOCKERLESS_DOCKER_SOCKET"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    let error = world.engine.start("before").await.unwrap_err();
    assert!(error.message.contains("docker_socket"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_needs_an_agent() {
    let world = World::with(None, Default::default()).await;
    let (kind, message) = refused(&world, bind("/var/run/docker.sock:/var/run/docker.sock")).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(message.contains("SOCKERLESS_CALLBACK_URL"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_daemons_machine_is_reached_unless_the_operator_says_so() {
    let world = World::new().await;
    let named =
        |request: &mut CreateRequest| request.host.extra_hosts = Some(vec!["box:host-gateway".into()]);
    let (kind, message) = refused(&world, named).await;
    assert_eq!(kind, ErrorKind::Invalid);
    for word in ["box:host-gateway", "host_gateway", "[networks]", "SOCKERLESS_HOST_GATEWAY"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    make(&world, "a").await;
    run_on(&world, "web", &["a"]).await;
    let mesh = world.link.mesh().unwrap();
    let web = run(&world, "web");
    assert!(mesh.view(&web).hosts.is_empty());
    assert_eq!(mesh.route(&web, Ipv4Addr::new(172, 18, 0, 1)), Route::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_daemons_machine_is_behind_the_gateway_where_the_operator_says_so() {
    let mut world = World::new().await;
    world.options.host_gateway = Some([127, 0, 0, 1].into());
    reopen(&mut world).await;
    make(&world, "a").await;
    make(&world, "b").await;
    let named = |request: &mut CreateRequest| {
        on(&["a"])(request);
        request.host.extra_hosts =
            Some(vec!["box:host-gateway".into(), "gateway.docker.internal=10.0.0.7".into()]);
    };
    world.create_with("web", &["sleep"], named).await;
    world.engine.start("web").await.unwrap();
    let mesh = world.link.mesh().unwrap();
    let web = run(&world, "web");
    let view = mesh.view(&web);
    let gateway = Ipv4Addr::new(172, 18, 0, 1);
    assert_eq!(view.hosts["box"], [gateway]);
    assert_eq!(view.hosts["host.docker.internal"], [gateway]);
    assert_eq!(view.hosts["gateway.docker.internal"], [Ipv4Addr::new(10, 0, 0, 7)], "the user's own word");
    assert_eq!(mesh.route(&web, gateway), Route::Outside([127, 0, 0, 1].into()));
    assert_eq!(mesh.route(&web, Ipv4Addr::new(172, 18, 1, 1)), Route::Foreign, "another network's gateway");
    assert_eq!(mesh.route(&web, Ipv4Addr::LOCALHOST), Route::Foreign);
    // Also for one that has nobody else to reach.
    world.run("alone", &["sleep"]).await;
    let view = mesh.view(&run(&world, "alone"));
    assert!(view.catch);
    assert_eq!(view.hosts["host.docker.internal"], [Ipv4Addr::new(172, 17, 0, 1)]);
}
