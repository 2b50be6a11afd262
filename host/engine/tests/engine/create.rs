use std::collections::HashMap;

use bollard_stubs::models::{DeviceRequest, HostConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum};
use sockerless_engine::{CreateRequest, ErrorKind};
use sockerless_ports::store::Kind;

use crate::world::*;

async fn refused(world: &World, change: impl FnOnce(&mut CreateRequest)) -> (ErrorKind, String) {
    let mut request = request("x1", &["sleep"]);
    change(&mut request);
    let error = world.engine.create(request).await.unwrap_err();
    assert!(world.engine.inspect("x1", false).is_err());
    assert_eq!(world.store.count(Kind::Container), 0, "nothing is created");
    (error.kind, error.message)
}

fn invalid(message: &str) -> (ErrorKind, String) {
    (ErrorKind::Invalid, message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_in_dockerds_words() {
    let world = World::new().await;
    let image =
        |image: &'static str| refused(&world, move |request| request.config.image = Some(image.into()));
    assert_eq!(image("nope").await, (ErrorKind::NotFound, "No such image: nope:latest".into()));
    assert_eq!(
        image("localhost:5000/a/b:2").await,
        (ErrorKind::NotFound, "No such image: localhost:5000/a/b:2".into())
    );
    assert_eq!(image("No Good").await.0, ErrorKind::Invalid);
    assert_eq!(image(":").await, invalid("invalid reference format"));
    assert_eq!(
        refused(&world, |request| request.name = Some("-x".into())).await,
        invalid("Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    );
    assert_eq!(
        refused(&world, |request| request.host.memory = Some(4096)).await,
        invalid("Minimum memory limit allowed is 6MB")
    );
    assert_eq!(
        refused(&world, |request| request.host.runtime = Some("nvidia".into())).await,
        invalid("unknown or invalid runtime name: nvidia")
    );
    let empty = |request: &mut CreateRequest| {
        request.config.cmd = None;
        request.config.entrypoint = Some(vec![String::new()]);
    };
    assert_eq!(refused(&world, empty).await, invalid("no command specified"));
    let platform = refused(&world, |request| request.platform = Some("linux/arm64".into())).await;
    assert_eq!(platform.0, ErrorKind::NotFound);
    assert!(
        platform.1.contains("its platform (linux/amd64) does not match the specified platform (linux/arm64)")
    );
    let policy = |request: &mut CreateRequest| {
        request.host.restart_policy =
            Some(RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None });
        request.host.auto_remove = Some(true);
    };
    assert_eq!(
        refused(&world, policy).await,
        invalid("can't create 'AutoRemove' container with restart policy")
    );
    let ports = |request: &mut CreateRequest| {
        let binding = PortBinding { host_ip: None, host_port: Some("70000".into()) };
        request.host.port_bindings = Some(HashMap::from([("80/tcp".to_owned(), Some(vec![binding]))]));
    };
    assert_eq!(refused(&world, ports).await, invalid("invalid port specification: \"70000\""));
    let huge = refused(&world, |request| request.host.nano_cpus = Some(64_000_000_000)).await;
    assert!(huge.0 == ErrorKind::Invalid && huge.1.contains("only 8 CPUs available"), "{huge:?}");
}

#[tokio::test(start_paused = true)]
async fn what_would_be_silently_something_else_is_not_implemented() {
    let world = World::new().await;
    let other =
        |mode: &'static str| refused(&world, move |request| request.host.network_mode = Some(mode.into()));
    assert_eq!(other("container:other").await, (ErrorKind::NotFound, "No such container: other".to_owned()));
    assert_eq!(
        other("container:").await,
        invalid("Invalid network mode: invalid container format container:<name|id>")
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_cannot_do_is_warned_about() {
    let world = World::with(Some("ws://x"), Default::default()).await;
    let mut request = request("one", &["sleep"]);
    request.host = HostConfig {
        privileged: Some(true),
        cap_add: Some(vec!["NET_ADMIN".into()]),
        readonly_rootfs: Some(true),
        memory: Some(64 << 20),
        ..HostConfig::default()
    };
    request.config.hostname = Some("me".into());
    let warnings = world.engine.create(request).await.unwrap().warnings;
    for option in ["--privileged", "--cap-add", "--read-only", "--hostname", "at least"] {
        assert!(warnings.iter().any(|warning| warning.contains(option)), "{option}: {warnings:?}");
    }
    let plain = world.engine.create(crate::world::request("two", &["sleep"])).await.unwrap();
    assert_eq!(plain.warnings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn names_clash_rename_and_are_free_again() {
    let world = World::new().await;
    let one = world.create("one", &["sleep"]).await;
    let two = world.create("two", &["sleep"]).await;
    let taken = format!(
        "Conflict. The container name \"/one\" is already in use by container \"{one}\". You have to remove (or rename) that \
         container to be able to reuse that name."
    );
    let error = world.engine.create(request("/one", &["sleep"])).await.unwrap_err();
    assert_eq!((error.kind, &error.message), (ErrorKind::Conflict, &taken));
    let error = world.engine.rename("two", "one").await.unwrap_err();
    let taken = format!("Error when allocating new name: {taken}");
    assert_eq!((error.kind, &error.message), (ErrorKind::Conflict, &taken));
    let unknown = world.engine.kill("nobody", None).await.unwrap_err();
    assert_eq!(unknown.message, "cannot kill container: nobody: No such container: nobody");
    assert_eq!(world.engine.kill("nobody", Some("BOGUS")).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(world.engine.rename("two", "two").await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(world.engine.rename("two", "").await.unwrap_err().kind, ErrorKind::Invalid);
    world.engine.rename("one", "three").await.unwrap();
    world.engine.rename("two", "one").await.unwrap();
    assert_eq!(world.engine.inspect("one", false).unwrap().id.unwrap(), two);
    assert_eq!(world.engine.inspect(&two[..7], false).unwrap().name.unwrap(), "/one");
    let random = world.create("", &["sleep"]).await;
    assert!(world.engine.inspect(&random, false).unwrap().name.unwrap().contains('_'));
}

#[tokio::test(start_paused = true)]
async fn inspect_echoes_the_configuration_with_dockerds_defaults() {
    let world = World::new().await;
    let id = world
        .create_with("one", &["sh", "-c", "true"], |request| {
            request.config.env = Some(vec!["A=b".into()]);
            request.host.memory = Some(512 << 20);
        })
        .await;
    let inspect = world.engine.inspect("one", false).unwrap();
    let (config, host, state) =
        (inspect.config.unwrap(), inspect.host_config.unwrap(), inspect.state.unwrap());
    assert_eq!((inspect.path.as_deref(), inspect.args), (Some("sh"), Some(vec!["-c".into(), "true".into()])));
    assert_eq!(config.env.unwrap(), ["A=b", "PATH=/bin"]);
    assert_eq!(config.hostname.unwrap(), id[..12]);
    assert_eq!(
        (host.memory, host.memory_swap, host.shm_size),
        (Some(512 << 20), Some(1 << 30), Some(64 << 20))
    );
    assert_eq!(host.network_mode.as_deref(), Some("bridge"));
    assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("json-file"));
    assert_eq!(state.started_at.as_deref(), Some("0001-01-01T00:00:00Z"));
    assert!(inspect.network_settings.unwrap().networks.unwrap().contains_key("bridge"));
    world.engine.start("one").await.unwrap();
    let spec = &world.cloud.specs()[0];
    assert_eq!(spec.containers[0].memory_bytes, Some((512 << 20) + (32 << 20)));
}

#[tokio::test(start_paused = true)]
async fn gpus_are_not_passed_on_and_a_backend_that_has_them_is_not_said_to_have_none() {
    let able = sockerless_ports::backend::Features { accelerators: true, ..everything() };
    for (features, expected) in [(able, "not passed on to it yet"), (everything(), "does not offer it")] {
        let world = World::with(Some("ws://x"), features).await;
        let mut request = request("one", &["sleep"]);
        request.host.device_requests = Some(vec![DeviceRequest::default()]);
        let warnings = world.engine.create(request).await.unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
    }
}
