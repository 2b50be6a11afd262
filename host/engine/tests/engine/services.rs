//! Containers that others in the cloud's network can dial.

use std::collections::HashMap;

use sockerless_engine::{CreateRequest, ErrorKind, RemoveRequest};
use sockerless_ports::backend::{Features, WorkloadKind};

use crate::world::*;

const LABEL: &str = "sockerless.service";

fn dialled() -> Features {
    Features { inbound: true, ..everything() }
}

async fn world() -> World {
    World::with(Some("ws://10.0.0.1:4000"), dialled()).await
}

fn service(name: &str, labels: &[(&str, &str)], ports: &[&str]) -> CreateRequest {
    let mut request = request(name, &["sleep"]);
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    request.config.labels = Some(labels.collect());
    request.config.exposed_ports = Some(ports.iter().map(|port| (*port).to_owned()).collect());
    request
}

#[tokio::test(start_paused = true)]
async fn a_container_with_the_label_is_a_service_at_the_tcp_ports_that_it_publishes_or_exposes() {
    let world = world().await;
    let mut request = service("web", &[(LABEL, "true")], &["443-444", "53/udp", "80/tcp"]);
    request.host.port_bindings = Some(HashMap::from([("9000/tcp".to_owned(), None)]));
    world.engine.create(request).await.unwrap();
    world.engine.start("web").await.unwrap();
    let [spec] = &world.cloud.specs()[..] else { panic!("one job") };
    assert_eq!(spec.kind, WorkloadKind::Service);
    assert_eq!(spec.containers[0].ports, [80, 443, 444, 9000]);
    assert_eq!((spec.timeout_seconds, spec.expires), (None, None), "it runs until it is stopped");
    // The agent says how it ended.
    world.engine.stop("web", None, None).await.unwrap();
    assert_eq!(world.wait("web").await, 143);
    world.engine.remove("web", RemoveRequest::default()).await.unwrap();
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_service_dials_as_before() {
    let world = world().await;
    for (name, labels) in [("plain", &[][..]), ("not", &[(LABEL, "false")][..])] {
        world.engine.create(service(name, labels, &["80"])).await.unwrap();
        world.engine.start(name).await.unwrap();
    }
    for spec in world.cloud.specs() {
        assert_eq!(spec.kind, WorkloadKind::RunToCompletion);
        assert!(spec.containers[0].ports.is_empty() && spec.expires.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_is_refused_with_the_reason() {
    let refused = async |world: &World, labels: &[(&str, &str)], ports: &[&str]| {
        let error = world.engine.create(service("", labels, ports)).await.unwrap_err();
        (error.kind, error.message)
    };
    let able = world().await;
    for (labels, ports, words) in [
        (&[(LABEL, "yes")][..], &["80"][..], "true or false"),
        (&[(LABEL, "true")], &[], "at least one TCP port"),
        (&[(LABEL, "true")], &["80/udp"], "at least one TCP port"),
        (&[(LABEL, "true"), ("sockerless.timeout", "90m")], &["80"], "runs until it is stopped"),
    ] {
        let (kind, message) = refused(&able, labels, ports).await;
        assert!(kind == ErrorKind::Invalid && message.contains(words), "{message}");
    }
    let jobs_only = World::new().await;
    let (kind, message) = refused(&jobs_only, &[(LABEL, "true")], &["80"]).await;
    assert!(
        kind == ErrorKind::Unsupported && message.contains("backend fake runs containers as jobs"),
        "{message}"
    );
    let without_agent = World::with(None, dialled()).await;
    let (kind, message) = refused(&without_agent, &[(LABEL, "true")], &["80"]).await;
    assert!(kind == ErrorKind::Unsupported && message.contains("callback_url"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_in_no_pod() {
    let world = world().await;
    let pod = ("sockerless.pod", "p");
    let created = world.engine.create(service("web", &[(LABEL, "true"), pod], &["80"])).await.unwrap();
    assert!(
        created.warnings.iter().any(|warning| warning.contains("is a service")),
        "{:?}",
        created.warnings
    );
    world.engine.create(service("db", &[pod], &[])).await.unwrap();
    for name in ["web", "db"] {
        world.engine.start(name).await.unwrap();
    }
    assert!(world.cloud.specs().iter().all(|spec| spec.containers.len() == 1));
}
