//! Volumes as clients see them, and what a cloud is asked for.

use std::collections::HashMap;

use bollard_stubs::models::*;
use sockerless_engine::*;
use sockerless_ports::{
    backend::{ErrorCode, JobSpec, VolumeSource},
    link::request::{End, Reply, Request},
};

use crate::world::*;

fn named(name: &str) -> VolumeCreateOptions {
    VolumeCreateOptions { name: Some(name.into()), ..VolumeCreateOptions::default() }
}

fn filters(filters: &[(&str, &str)]) -> Filters {
    let mut all = Filters::default();
    for (name, value) in filters {
        all.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    all
}

fn listed(world: &World, wanted: &[(&str, &str)]) -> Vec<String> {
    let volumes = world.engine.list_volumes(&filters(wanted)).unwrap().volumes.unwrap();
    volumes.into_iter().map(|volume| volume.name).collect()
}

async fn with_binds(world: &World, name: &str, binds: &[&str]) -> String {
    let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
    world.create_with(name, &["sleep"], |request| request.host.binds = Some(binds)).await
}

/// Name, path, sub path and whether it is read-only, of what the storage has in a job.
fn mounts(spec: &JobSpec) -> Vec<(String, String, Option<String>, bool)> {
    let states: HashMap<_, _> = spec
        .volumes
        .iter()
        .filter_map(|volume| match &volume.source {
            VolumeSource::Storage(mount) => Some((volume.name.clone(), mount.state.clone())),
            _ => None,
        })
        .collect();
    let mounts = spec.containers[0].mounts.iter().filter(|mount| mount.volume != "agent");
    mounts
        .map(|mount| {
            (states[&mount.volume].clone(), mount.path.clone(), mount.sub_path.clone(), mount.read_only)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_made_once_kept_durably_and_shown_with_what_it_holds() {
    let mut world = World::new().await;
    let request = VolumeCreateOptions {
        labels: Some([("a".to_owned(), "b".to_owned())].into()),
        driver_opts: Some([("speed".to_owned(), "high".to_owned())].into()),
        ..named("data")
    };
    let made = world.engine.create_volume(request.clone()).await.unwrap();
    assert_eq!((made.name.as_str(), made.driver.as_str()), ("data", "local"));
    assert_eq!(made.mountpoint, "/var/lib/docker/volumes/data/_data");
    let in_cloud = world.cloud.volume("data").unwrap();
    assert_eq!(in_cloud.labels, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(in_cloud.options, [("speed".to_owned(), "high".to_owned())]);
    // The same again is the same, whatever else is asked for.
    assert_eq!(world.engine.create_volume(named("data")).await.unwrap(), made);
    let other = VolumeCreateOptions { driver: Some("other".into()), ..named("data") };
    let conflict = world.engine.create_volume(other.clone()).await.unwrap_err();
    assert_eq!(
        (conflict.kind, conflict.message.as_str()),
        (ErrorKind::Conflict, "create data: conflict: volume name must be unique")
    );
    world.cloud.fill("data", 7);
    world.crash().await;
    world.reopen().await;
    let seen = world.engine.inspect_volume("data").await.unwrap();
    assert_eq!(seen.usage_data, Some(VolumeUsageData { size: 7000, ref_count: 0 }));
    assert_eq!(Volume { usage_data: None, ..seen }, made);
    let missing = world.engine.inspect_volume("none").await.unwrap_err();
    assert_eq!((missing.kind, missing.message.as_str()), (ErrorKind::NotFound, "get none: no such volume"));
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_shown_by_its_backends_driver_and_of_another_one_it_cannot_be() {
    let world = World::new().await;
    world.cloud.show_volumes("files", "/mnt/files/{name}");
    // What the CLI sends when nobody names a driver.
    let usual = VolumeCreateOptions { driver: Some("local".into()), ..named("data") };
    let made = world.engine.create_volume(usual).await.unwrap();
    assert_eq!((made.driver.as_str(), made.mountpoint.as_str()), ("files", "/mnt/files/data"));
    let own = VolumeCreateOptions { driver: Some("files".into()), ..named("data") };
    assert_eq!(world.engine.create_volume(own).await.unwrap(), made);
    let backend = |name: &str| VolumeCreateOptions {
        driver_opts: Some([("sockerless.backend".to_owned(), name.to_owned())].into()),
        ..named("data")
    };
    assert_eq!(world.engine.create_volume(backend("fake")).await.unwrap(), made);
    let other = VolumeCreateOptions { driver: Some("nfs".into()), ..named("data") };
    let conflict = world.engine.create_volume(other).await.unwrap_err();
    assert_eq!(
        (conflict.kind, conflict.message.as_str()),
        (ErrorKind::Conflict, "create data: conflict: volume name must be unique")
    );
    assert_eq!(listed(&world, &[("driver", "files")]), ["data"]);
    assert!(listed(&world, &[("driver", "local")]).is_empty());
    with_binds(&world, "box", &["data:/data", "/own"]).await;
    let shown = world.engine.inspect("box", false).unwrap().mounts.unwrap();
    let drivers: Vec<_> =
        shown.iter().map(|mount| (mount.destination.as_deref().unwrap(), mount.driver.as_deref())).collect();
    // What is a part of the container is kept by nobody else.
    assert_eq!(drivers, [("/data", Some("files")), ("/own", Some("local"))]);
    assert_eq!(shown[0].source.as_deref(), Some("/mnt/files/data"));
    let listed = world.engine.info().await.unwrap().plugins.unwrap().volume.unwrap();
    assert_eq!(listed, ["files"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_volume_is_refused_and_nothing_is_made() {
    let world = World::new().await;
    let refused = async |request| world.engine.create_volume(request).await.unwrap_err();
    assert!(
        refused(named("a/b")).await.message.starts_with("create a/b: \"a/b\" includes invalid characters")
    );
    let strange = VolumeCreateOptions { driver: Some("nfs".into()), ..named("data") };
    let error = refused(strange).await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.message, "error looking up volume plugin nfs: plugin \"nfs\" not found");
    let kernel = VolumeCreateOptions {
        driver_opts: Some([("type".to_owned(), "nfs".to_owned())].into()),
        ..named("data")
    };
    assert_eq!(refused(kernel).await.kind, ErrorKind::Unsupported);
    world.cloud.fail("create-volume", ErrorCode::PermissionDenied, "no right to create buckets");
    assert_eq!(refused(named("data")).await.message, "fake: volume create: no right to create buckets");
    assert!(listed(&world, &[]).is_empty());
    let unnamed = world.engine.create_volume(VolumeCreateOptions::default()).await.unwrap();
    assert_eq!(unnamed.name.len(), 64);
    assert!(unnamed.labels.contains_key("com.docker.volume.anonymous"));
}

#[tokio::test(start_paused = true)]
async fn a_container_has_its_volumes_in_its_job() {
    let world = World::new().await;
    world.link.serve(|request, end: AgentEnd| async move {
        let Request::Put(put) = request else { panic!("{request:?}") };
        assert_eq!(put.path, "/");
        end.reply(Reply::Ready);
        assert!(!end.read_all().await.is_empty());
        end.end(End::Done);
    });
    let id = with_binds(&world, "box", &["data:/data", "fixed:/etc/fixed:ro", "/own"]).await;
    assert!(world.cloud.volume("data").is_some() && world.cloud.volume("fixed").is_some());
    assert_eq!(world.cloud.jobs(), 0);
    world.engine.start("box").await.unwrap();
    let expected = [("data", "/data", false), ("fixed", "/etc/fixed", true)]
        .map(|(name, path, read_only)| (format!("Volume({name:?})"), path.to_owned(), None, read_only));
    assert_eq!(mounts(&world.cloud.specs()[0]), expected);
    let shown = world.engine.inspect("box", false).unwrap().mounts.unwrap();
    let named: Vec<_> =
        shown.iter().map(|mount| (mount.destination.clone().unwrap(), mount.rw.unwrap())).collect();
    assert_eq!(
        named,
        [("/data".to_owned(), true), ("/etc/fixed".to_owned(), false), ("/own".to_owned(), true)]
    );
    assert_eq!(shown[0].name.as_deref(), Some("data"));
    // The anonymous one is there as long as its container, and with it alone.
    let own = shown[2].name.clone().unwrap();
    assert_eq!(listed(&world, &[]).len(), 3);
    assert_eq!(listed(&world, &[("dangling", "true")]), Vec::<String>::new());
    assert_eq!(world.engine.inspect_volume(&own).await.unwrap().usage_data.unwrap().ref_count, 1);
    let error = world.engine.remove_volume(&own, true).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message),
        (ErrorKind::Conflict, format!("remove {own}: volume is in use - [{id}]"))
    );
    world.engine.remove("box", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    assert_eq!(listed(&world, &[]), ["data", "fixed"]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_use_stays_unless_it_is_taken_by_force_from_what_does_not_run() {
    let world = World::new().await;
    let id = with_binds(&world, "box", &["data:/data"]).await;
    let in_use = format!("remove data: volume is in use - [{id}]");
    assert_eq!(world.engine.remove_volume("data", false).await.unwrap_err().message, in_use);
    world.engine.start("box").await.unwrap();
    assert_eq!(world.engine.remove_volume("data", true).await.unwrap_err().message, in_use);
    world.engine.kill("box", None).await.unwrap();
    world.wait("box").await;
    world.cloud.fail("remove-volume", ErrorCode::PermissionDenied, "no");
    let error = world.engine.remove_volume("data", true).await.unwrap_err();
    assert_eq!(error.message, "fake: volume remove data: no");
    assert_eq!(listed(&world, &[]), ["data"]);
    world.engine.remove_volume("data", true).await.unwrap();
    assert!(world.cloud.volume("data").is_none());
    assert!(listed(&world, &[]).is_empty());
    // Gone is gone: an error only for who did not insist.
    world.engine.remove_volume("data", true).await.unwrap();
    assert_eq!(world.engine.remove_volume("data", false).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_and_prunes_take_what_nobody_has() {
    let world = World::new().await;
    for name in ["one", "two", "used"] {
        let labels = Some([("kind".to_owned(), name.to_owned())].into());
        world.engine.create_volume(VolumeCreateOptions { labels, ..named(name) }).await.unwrap();
        world.cloud.fill(name, 2);
    }
    let unnamed = world.engine.create_volume(VolumeCreateOptions::default()).await.unwrap().name;
    with_binds(&world, "box", &["used:/data"]).await;
    assert_eq!(listed(&world, &[("dangling", "false")]), ["used"]);
    assert_eq!(listed(&world, &[("name", "^t")]), ["two"]);
    assert_eq!(listed(&world, &[("label", "kind=one")]), ["one"]);
    assert_eq!(listed(&world, &[("driver", "local")]).len(), 4);
    assert!(listed(&world, &[("driver", "other")]).is_empty());
    assert_eq!(world.engine.list_volumes(&filters(&[("no", "x")])).unwrap_err().kind, ErrorKind::Invalid);

    let pruned = world.engine.prune_volumes(&filters(&[])).await.unwrap();
    assert_eq!((pruned.volumes_deleted.unwrap(), pruned.space_reclaimed), (vec![unnamed], Some(0)));
    let pruned =
        world.engine.prune_volumes(&filters(&[("all", "true"), ("label!", "kind=one")])).await.unwrap();
    assert_eq!(
        (pruned.volumes_deleted.unwrap(), pruned.space_reclaimed),
        (vec!["two".to_owned()], Some(2000))
    );
    assert_eq!(listed(&world, &[]), ["one", "used"]);
}

#[tokio::test(start_paused = true)]
async fn volumes_from_another_container_are_had_too() {
    let world = World::new().await;
    with_binds(&world, "first", &["data:/data"]).await;
    let from = |wish: &str| {
        let wish = wish.to_owned();
        move |request: &mut CreateRequest| request.host.volumes_from = Some(vec![wish])
    };
    world.create_with("second", &["sleep"], from("first:ro")).await;
    let shown = world.engine.inspect("second", false).unwrap().mounts.unwrap();
    assert_eq!((shown[0].name.as_deref(), shown[0].rw), (Some("data"), Some(false)));
    with_binds(&world, "own", &["/own"]).await;
    let mut request = request("third", &["sleep"]);
    from("own")(&mut request);
    assert_eq!(world.engine.create(request.clone()).await.unwrap_err().kind, ErrorKind::Unsupported);
    from("ghost")(&mut request);
    assert_eq!(world.engine.create(request).await.unwrap_err().message, "No such container: ghost");
}

#[tokio::test(start_paused = true)]
async fn after_a_start_that_failed_a_volume_is_mounted_anew_once() {
    let world = World::new().await;
    let id = world
        .create_with("box", &["sleep"], |request| {
            request.host.binds = Some(vec!["data:/data".into()]);
            request.config.labels = Some([("sockerless.linger".to_owned(), "0".to_owned())].into());
        })
        .await;
    world.cloud.fill("data", 1);
    let mounted = || mounts(world.cloud.specs().last().unwrap())[0].0.clone();
    let end = async || {
        world.engine.kill(&id, None).await.unwrap();
        world.settled().await;
    };
    world.engine.start(&id).await.unwrap();
    assert_eq!(mounted(), "Volume(\"data\")");
    end().await;
    world.cloud.fail("create", ErrorCode::InvalidArgument, "no such storage");
    world.engine.start(&id).await.unwrap_err();
    world.engine.start(&id).await.unwrap();
    assert_eq!(mounted(), "Volume(\"data\"), renewed");
    end().await;
    world.engine.start(&id).await.unwrap();
    assert_eq!(mounted(), "Volume(\"data\")");
}
