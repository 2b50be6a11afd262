use std::collections::HashMap;

use bollard_stubs::models::{ContainerSummary, ContainerSummaryStateEnum};
use futures_util::StreamExt;
use sockerless_engine::{ErrorKind, Filters, ListRequest, PullImage};

use crate::world::*;

fn filters(pairs: &[(&str, &str)]) -> Filters {
    let mut filters = Filters::new();
    for (name, value) in pairs {
        filters.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    filters
}

fn list(world: &World, request: &ListRequest) -> Vec<ContainerSummary> {
    serde_json::from_slice(&world.engine.list(request).unwrap().json).unwrap()
}

fn names(world: &World, all: bool, pairs: &[(&str, &str)]) -> Vec<String> {
    let request = ListRequest { all, filters: filters(pairs), ..ListRequest::default() };
    list(world, &request).into_iter().map(|summary| summary.names.unwrap()[0][1..].to_owned()).collect()
}

async fn three() -> World {
    let world = World::new().await;
    world
        .create_with("web", &["sleep"], |request| {
            request.config.labels =
                Some(HashMap::from([("tier".into(), "front".into()), ("team".into(), "a".into())]));
            request.config.exposed_ports = Some(vec!["8000-8002/tcp".into()]);
        })
        .await;
    world.engine.start("web").await.unwrap();
    world.run("web2", &["exit", "3"]).await;
    world.wait("web2").await;
    world.create("db", &["sleep"]).await;
    world
}

#[tokio::test(start_paused = true)]
async fn the_newest_come_first_and_only_those_that_run() {
    let world = three().await;
    assert_eq!(names(&world, true, &[]), ["db", "web2", "web"]);
    assert_eq!(names(&world, false, &[]), ["web"]);
    let limited = list(&world, &ListRequest { limit: Some(2), ..ListRequest::default() });
    assert_eq!(limited.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn filters_have_dockers_meaning() {
    let world = three().await;
    let id = world.engine.inspect("web", false).unwrap().id.unwrap();
    for (filter, expected) in [
        (vec![("name", "web")], vec!["web2", "web"]),
        (vec![("name", "^/web$")], vec!["web"]),
        (vec![("name", "^web$")], vec!["web"]),
        (vec![("name", "db"), ("name", "web2")], vec!["db", "web2"]),
        (vec![("id", &id[..10])], vec!["web"]),
        (vec![("status", "exited")], vec!["web2"]),
        (vec![("status", "created"), ("status", "running")], vec!["db", "web"]),
        (vec![("exited", "3")], vec!["web2"]),
        (vec![("exited", "0")], vec![]),
        (vec![("label", "tier")], vec!["web"]),
        (vec![("label", "tier=front"), ("label", "team=b")], vec![]),
        (vec![("ancestor", "busybox")], vec!["db", "web2", "web"]),
        (vec![("ancestor", "nginx")], vec![]),
        (vec![("before", "db")], vec!["web2", "web"]),
        (vec![("since", "web")], vec!["db", "web2"]),
        (vec![("health", "none")], vec!["db", "web2", "web"]),
        (vec![("is-task", "true")], vec![]),
        (vec![("network", "bridge")], vec!["db", "web2", "web"]),
        (vec![("volume", "/x")], vec![]),
        (vec![("expose", "8001")], vec!["web"]),
        (vec![("expose", "8001/udp")], vec![]),
        (vec![("publish", "80")], vec![]),
    ] {
        assert_eq!(names(&world, true, &filter), expected, "{filter:?}");
    }
    assert_eq!(names(&world, false, &[("status", "exited")]), ["web2"]);
}

#[tokio::test(start_paused = true)]
async fn unknown_filters_and_values_are_refused() {
    let world = three().await;
    for (name, value, message) in [
        ("colour", "red", "invalid filter 'colour'"),
        ("status", "sleeping", "invalid filter 'status=sleeping'"),
        ("exited", "x", "invalid filter 'exited=x'"),
        ("health", "ill", "invalid filter 'health=ill'"),
        ("is-task", "maybe", "invalid filter 'is-task=maybe'"),
    ] {
        let request = ListRequest { filters: filters(&[(name, value)]), ..ListRequest::default() };
        let error = world.engine.list(&request).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, message));
    }
    let request = ListRequest { filters: filters(&[("before", "nobody")]), ..ListRequest::default() };
    assert_eq!(world.engine.list(&request).unwrap_err().message, "No such container: nobody");
}

#[tokio::test(start_paused = true)]
async fn a_summary_shows_what_ps_shows() {
    let world = World::new().await;
    world.run("one", &["exit", "3"]).await;
    world.wait("one").await;
    let request = ListRequest { all: true, size: true, ..ListRequest::default() };
    let summary = list(&world, &request).remove(0);
    assert_eq!(summary.command.as_deref(), Some("exit 3"));
    assert_eq!(summary.status.as_deref(), Some("Exited (3) Less than a second ago"));
    assert_eq!(summary.image.as_deref(), Some("busybox"));
    assert_eq!((summary.size_root_fs, summary.size_rw), (Some(1000), None));
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_each_change_of_a_container_and_of_its_images_name() {
    let world = World::new().await;
    let request = ListRequest { all: true, ..ListRequest::default() };
    let one = |world: &World| list(world, &request).remove(0);
    world.create("one", &["sleep"]).await;
    assert_eq!(one(&world).status.as_deref(), Some("Created"));
    world.engine.rename("one", "two").await.unwrap();
    assert_eq!(one(&world).names.unwrap(), ["/two"]);
    world.engine.start("two").await.unwrap();
    let running = one(&world);
    assert_eq!(running.state, Some(ContainerSummaryStateEnum::RUNNING));
    assert!(running.status.unwrap().starts_with("Up "));
    assert!(list(&world, &ListRequest { size: true, ..request.clone() })[0].size_root_fs.is_some());
    assert_eq!(one(&world).size_root_fs, None);
    let id = running.image_id.unwrap();
    assert_eq!(running.image.as_deref(), Some("busybox"));
    // The name goes to a newer image.
    let pull = PullImage { reference: "busybox:latest".into(), ..PullImage::default() };
    world.engine.pull_image(pull).await.unwrap().for_each(|event| async move { drop(event.unwrap()) }).await;
    assert_eq!(one(&world).image, Some(id));
}

#[tokio::test(start_paused = true)]
async fn prune_removes_what_does_not_run_and_matches() {
    let world = three().await;
    let future = filters(&[("until", "1h")]);
    assert_eq!(world.engine.prune(&future).await.unwrap().containers_deleted.unwrap().len(), 0);
    assert_eq!(
        world.engine.prune(&filters(&[("label", "tier")])).await.unwrap().containers_deleted.unwrap().len(),
        0
    );
    assert!(world.engine.prune(&filters(&[("until", "later")])).await.is_err());
    assert_eq!(world.engine.prune(&Filters::new()).await.unwrap().containers_deleted.unwrap().len(), 2);
    assert_eq!(names(&world, true, &[]), ["web"]);
}
