//! Several containers in one job.

mod crash;
mod failures;
mod stacks;

use std::{collections::HashMap, time::Duration};

use bollard_stubs::models::{
    ContainerStateStatusEnum as Status, EndpointSettings, NetworkCreateRequest, NetworkingConfig,
    RestartPolicy, RestartPolicyNameEnum,
};
use sockerless_engine::*;
use sockerless_ports::{
    backend::{ErrorCode, Features, Phase, WorkloadKind},
    link::{
        Route, RunId,
        request::{Fault, FaultKind, Reply},
    },
    registry::ImageError,
    store::Kind,
};

use crate::world::{World, everything, request};

/// Longer than any agent lingers.
const LONG: Duration = Duration::from_secs(3600);

fn labelled(pod: &str) -> impl FnOnce(&mut CreateRequest) + use<> {
    let pod = pod.to_owned();
    move |request| {
        request.config.labels.get_or_insert_default().insert("sockerless.pod".into(), pod);
    }
}

fn on(network: &str) -> impl FnOnce(&mut CreateRequest) + use<> {
    let network = network.to_owned();
    move |request| {
        request.host.network_mode = Some(network.clone());
        let settings = HashMap::from([(network, EndpointSettings::default())]);
        request.networking = NetworkingConfig { endpoints_config: Some(settings) };
    }
}

fn sharing(other: &str) -> impl FnOnce(&mut CreateRequest) + use<> {
    let mode = format!("container:{other}");
    move |request| request.host.network_mode = Some(mode)
}

async fn network(world: &World, name: &str, options: &[(&str, &str)]) {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let options = options.iter().map(owned).collect();
    let request =
        NetworkCreateRequest { name: name.into(), options: Some(options), ..NetworkCreateRequest::default() };
    world.engine.create_network(request).await.unwrap();
}

/// Created, not started.
async fn member(world: &World, name: &str, argv: &[&str]) -> String {
    world.create_with(name, argv, labelled("p")).await
}

/// Two members, both started.
async fn two(world: &World) -> (String, String) {
    let (one, other) = (member(world, "one", &["sleep"]).await, member(world, "other", &["sleep"]).await);
    world.engine.start(&one).await.unwrap();
    world.engine.start(&other).await.unwrap();
    assert_eq!(world.cloud.jobs(), 1);
    (one, other)
}

fn force() -> RemoveRequest {
    RemoveRequest { force: true, ..RemoveRequest::default() }
}

#[tokio::test(start_paused = true)]
async fn members_are_placed_in_one_job_and_each_has_its_own_life() {
    let world = World::new().await;
    let web = member(&world, "web", &["sleep"]).await;
    let client = member(&world, "client", &["echo", "hello"]).await;
    world.engine.start(&web).await.unwrap();
    assert_eq!(world.cloud.jobs(), 1);
    let spec = world.cloud.specs().remove(0);
    assert_eq!(spec.kind, WorkloadKind::Pod);
    assert_eq!(spec.containers.len(), 2);
    assert_ne!(spec.containers[0].name, spec.containers[1].name);
    for (index, container) in spec.containers.iter().enumerate() {
        let place = ("SOCKERLESS_POD".to_owned(), format!("{}/{index}/2", spec.name));
        assert!(container.env.contains(&place), "its agent is to know of the others");
    }
    assert_eq!(spec.volumes.iter().filter(|volume| volume.name.starts_with("agent")).count(), 1);
    assert_eq!(world.status("web"), Status::RUNNING);
    assert_eq!(world.status("client"), Status::CREATED);
    assert!(!world.cloud.runs(&client));

    world.engine.start(&client).await.unwrap();
    assert_eq!(world.wait(&client).await, 0);
    assert_eq!(world.output(&client).await, "hello\n");
    assert_eq!(world.status("web"), Status::RUNNING);
    assert_eq!((world.cloud.jobs(), world.cloud.made().len()), (1, 1));

    world.engine.stop(&web, None, None).await.unwrap();
    assert_eq!(world.wait(&web).await, 143);
    // Both linger; then the job goes.
    assert_eq!(world.cloud.jobs(), 1);
    world.settled().await;
    assert_eq!((world.cloud.stops(), world.cloud.clashes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_label_and_option_each_container_is_a_job() {
    let world = World::new().await;
    network(&world, "plain", &[]).await;
    for name in ["one", "other"] {
        world.create_with(name, &["sleep"], on("plain")).await;
        world.engine.start(name).await.unwrap();
    }
    assert_eq!(world.cloud.jobs(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_containers_of_a_network_that_asks_for_it_are_a_pod() {
    let world = World::new().await;
    network(&world, "together", &[("com.sockerless.pod", "true")]).await;
    for name in ["one", "other"] {
        world.create_with(name, &["sleep"], on("together")).await;
    }
    for name in ["one", "other"] {
        world.engine.start(name).await.unwrap();
    }
    assert_eq!(world.cloud.jobs(), 1);
    // Both have their own address, and each is told that the other is beside it.
    let of = |name: &str| {
        let inspected = world.engine.inspect(name, false).unwrap();
        let networks = inspected.network_settings.unwrap().networks.unwrap();
        (inspected.id.unwrap(), networks["together"].ip_address.clone().unwrap())
    };
    let ((one, first), (other, second)) = (of("one"), of("other"));
    assert_ne!(first, second);
    let run = RunId { container: one, generation: 1 };
    let view = world.link.sees(&run, |view| !view.pod.is_empty()).await;
    assert_eq!(view.pod, [second.parse::<std::net::Ipv4Addr>().unwrap()]);
    let run = RunId { container: other, generation: 1 };
    assert_eq!(world.link.sees(&run, |_| true).await.pod, [first.parse::<std::net::Ipv4Addr>().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn members_on_different_networks_do_not_share_a_job() {
    let world = World::new().await;
    for name in ["one", "other"] {
        network(&world, &format!("{name}-net"), &[]).await;
        let with = |request: &mut CreateRequest| {
            labelled("p")(request);
            on(&format!("{name}-net"))(request);
        };
        world.create_with(name, &["sleep"], with).await;
    }
    world.engine.start("one").await.unwrap();
    world.engine.start("other").await.unwrap();
    assert_eq!(world.cloud.jobs(), 2);
}

#[tokio::test(start_paused = true)]
async fn members_that_are_started_at_the_same_moment_have_one_job() {
    let world = World::new().await;
    let names = ["aa", "bb", "cc", "dd"];
    for name in names {
        member(&world, name, &["sleep"]).await;
    }
    let starts = names.map(|name| {
        let engine = world.engine.clone();
        tokio::spawn(async move { engine.start(name).await })
    });
    for start in starts {
        start.await.unwrap().unwrap();
    }
    assert_eq!((world.cloud.jobs(), world.cloud.specs()[0].containers.len()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_created_later_has_a_job_of_its_own_and_the_client_is_told() {
    let world = World::new().await;
    two(&world).await;
    let mut late = request("late", &["sleep"]);
    labelled("p")(&mut late);
    let created = world.engine.create(late).await.unwrap();
    assert!(created.warnings[0].contains("a job of its own"), "{:?}", created.warnings);
    world.engine.start("late").await.unwrap();
    assert_eq!(world.cloud.jobs(), 2);
    assert_eq!(world.status("late"), Status::RUNNING);
    // Once all have ended there is a place for everybody.
    for name in ["one", "other", "late"] {
        world.engine.stop(name, None, None).await.unwrap();
    }
    world.settled().await;
    for name in ["late", "one", "other"] {
        world.engine.start(name).await.unwrap();
    }
    assert_eq!((world.cloud.jobs(), world.cloud.specs()[0].containers.len()), (1, 3));
    assert_eq!(world.cloud.clashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_has_ended_is_started_in_place_as_long_as_any_other_runs() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    // The first one is the job's main container.
    world.engine.stop(&one, None, None).await.unwrap();
    tokio::time::sleep(LONG).await;
    assert_eq!((world.status("one"), world.status("other")), (Status::EXITED, Status::RUNNING));
    world.engine.start(&one).await.unwrap();
    assert_eq!((world.cloud.jobs(), world.cloud.made().len(), world.cloud.clashes()), (1, 1, 0));
    world.engine.restart(&other, None, None).await.unwrap();
    assert!(world.cloud.runs(&one) && world.cloud.runs(&other));
    assert_eq!(world.cloud.made().len(), 1);
    for id in [&one, &other] {
        world.engine.kill(id, None).await.unwrap();
        assert_eq!(world.wait(id).await, 137);
    }
    world.settled().await;
    assert_eq!(world.cloud.stops(), 0);
}

#[tokio::test(start_paused = true)]
async fn removing_a_member_ends_its_process_alone_and_the_job_goes_with_the_last() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    world.engine.remove(&one, force()).await.unwrap();
    assert!(world.engine.inspect(&one, false).is_err());
    assert!(!world.cloud.runs(&one));
    tokio::time::sleep(LONG).await;
    assert_eq!((world.status("other"), world.cloud.jobs()), (Status::RUNNING, 1));
    world.engine.remove(&other, force()).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.stops(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_goes_by_itself_leaves_the_others_their_job() {
    let world = World::new().await;
    let once = |request: &mut CreateRequest| {
        labelled("p")(request);
        request.host.auto_remove = Some(true);
    };
    let once = world.create_with("once", &["exit", "3"], once).await;
    let stays = member(&world, "stays", &["sleep"]).await;
    let code = world.engine.wait(&once, WaitCondition::Removed).unwrap();
    world.engine.start(&once).await.unwrap();
    world.engine.start(&stays).await.unwrap();
    assert_eq!(code.await.status_code, 3);
    tokio::time::sleep(LONG).await;
    assert_eq!((world.status("stays"), world.cloud.jobs()), (Status::RUNNING, 1));
    world.engine.stop(&stays, None, None).await.unwrap();
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_nobody_starts_does_not_keep_the_job() {
    let world = World::new().await;
    let short = member(&world, "short", &["exit", "0"]).await;
    let never = member(&world, "never", &["sleep"]).await;
    world.engine.start(&short).await.unwrap();
    assert_eq!(world.wait(&short).await, 0);
    world.settled().await;
    assert_eq!(world.status("never"), Status::CREATED);
    assert!(world.link.awaited(&never).is_empty());
    world.engine.start(&never).await.unwrap();
    assert_eq!((world.cloud.made().len(), world.status("never")), (2, Status::RUNNING));
}

#[tokio::test(start_paused = true)]
async fn the_agent_of_a_member_that_is_not_to_be_started_any_more_stays_and_is_not_held_up() {
    let world = World::new().await;
    let good = member(&world, "good", &["sleep"]).await;
    let bad = member(&world, "bad", &["sleep"]).await;
    let files = PutArchive { path: "/".into(), ..PutArchive::default() };
    let empty = futures_util::stream::iter([Ok(vec![0; 1024].into())]);
    world.engine.write_path("bad", files, Box::pin(empty)).await.unwrap();
    world.link.serve(|_, end| async move {
        end.reply(Reply::Failed(Fault { kind: FaultKind::Internal, message: "no".into() }));
    });
    world.engine.start(&good).await.unwrap();
    world.engine.start(&bad).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.link.is_idle(&bad));
    tokio::time::sleep(LONG).await;
    assert_eq!((world.status("good"), world.cloud.jobs()), (Status::RUNNING, 1));
}

#[tokio::test(start_paused = true)]
async fn the_agent_of_a_removed_member_is_told_of_no_fewer_bytes_than_before() {
    let mut world = World::new().await;
    let stays = member(&world, "stays", &["sleep"]).await;
    let gone = member(&world, "gone", &["echo", "hello"]).await;
    world.engine.start(&stays).await.unwrap();
    world.engine.start(&gone).await.unwrap();
    assert_eq!(world.wait(&gone).await, 0);
    world.engine.remove(&gone, RemoveRequest::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.link.kept(&gone).await, 6);
    world.crash().await;
    world.reopen().await;
    assert_eq!(world.link.kept(&gone).await, 6);
    assert_eq!(world.status(&stays), Status::RUNNING);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_given_up_is_not_forgotten_by_the_next_daemon() {
    let mut world = World::new().await;
    let (one, other) = two(&world).await;
    world.link.hang(&other).await;
    assert_eq!(world.wait(&other).await, 255);
    world.crash().await;
    world.reopen().await;
    // It still runs: no second one may begin.
    let error = world.engine.start(&other).await.unwrap_err();
    assert!(error.message.contains("two must not run at once"), "{error}");
    world.crash().await;
    world.link.recover(&other);
    world.reopen().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!world.cloud.runs(&other));
    world.engine.start(&other).await.unwrap();
    assert_eq!((world.status(&one), world.cloud.clashes()), (Status::RUNNING, 0));
}

/// The power goes after each commit of the removal in turn.
#[tokio::test(start_paused = true)]
async fn the_agent_of_a_member_that_is_removed_after_a_start_in_place_is_known_to_the_next_daemon() {
    for commits in 0..5 {
        let mut world = World::new().await;
        let (one, other) = two(&world).await;
        world.engine.restart(&other, None, None).await.unwrap();
        assert!(world.link.awaited(&other).contains(&2));
        world.store.cut_after(commits);
        let engine = world.engine.clone();
        let removing = {
            let other = other.clone();
            tokio::spawn(async move { engine.remove(&other, force()).await })
        };
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.crash().await;
        removing.await.unwrap().ok();
        world.reopen().await;
        assert_eq!(world.link.awaited(&other), [2], "after {commits}");
        tokio::time::sleep(LONG).await;
        assert_eq!((world.status(&one), world.cloud.jobs()), (Status::RUNNING, 1), "after {commits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_nobody_needs_claims_nothing_from_the_next_daemon() {
    let mut world = World::new().await;
    let short = member(&world, "short", &["exit", "0"]).await;
    let never = member(&world, "never", &["sleep"]).await;
    world.engine.start(&short).await.unwrap();
    for _ in 0..20 {
        world.cloud.fail("delete", ErrorCode::Unavailable, "not now");
    }
    assert_eq!(world.wait(&short).await, 0);
    while !world.link.awaited(&never).is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // In a job of its own, by the same number.
    world.engine.start(&never).await.unwrap();
    assert_eq!(world.cloud.jobs(), 2);
    world.crash().await;
    world.reopen().await;
    tokio::time::sleep(LONG).await;
    assert_eq!((world.cloud.jobs(), world.status("never")), (1, Status::RUNNING));
    world.engine.stop(&never, None, None).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.clashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pods_members_are_found_again_by_the_next_daemon() {
    let mut world = World::new().await;
    let (one, other) = (member(&world, "one", &["sleep"]).await, member(&world, "other", &["sleep"]).await);
    let third = member(&world, "third", &["echo", "late"]).await;
    world.engine.start(&one).await.unwrap();
    world.engine.start(&other).await.unwrap();
    world.engine.stop(&one, None, None).await.unwrap();
    for _ in 0..2 {
        world.crash().await;
        world.reopen().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((world.status("one"), world.status("other")), (Status::EXITED, Status::RUNNING));
    }
    // One lingers and is started in place; one waits for its first start.
    world.engine.start(&one).await.unwrap();
    world.engine.start(&third).await.unwrap();
    assert_eq!(world.wait(&third).await, 0);
    assert_eq!(world.output(&third).await, "late\n");
    assert_eq!((world.cloud.jobs(), world.cloud.made().len(), world.cloud.clashes()), (1, 1, 0));
    world.crash().await;
    world.reopen().await;
    for id in [&one, &other] {
        world.engine.stop(id, None, None).await.unwrap();
        assert_eq!(world.wait(id).await, 143);
    }
    world.settled().await;
}

/// The power goes after each commit in turn.
#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_of_a_pods_start_loses_and_doubles_nothing() {
    for commits in 0..16 {
        let mut world = World::new().await;
        let (one, other) =
            (member(&world, "one", &["echo", "done"]).await, member(&world, "other", &["sleep"]).await);
        world.store.cut_after(commits);
        let starts = ["one", "other"].map(|name| {
            let engine = world.engine.clone();
            tokio::spawn(async move { engine.start(name).await })
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.crash().await;
        for start in starts {
            start.await.unwrap().ok();
        }
        world.reopen().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(
            world.cloud.made().values().all(|times| *times == 1),
            "after {commits}: {:?}",
            world.cloud.made()
        );
        for id in [&one, &other] {
            if world.status(id) == Status::CREATED {
                world.engine.start(id).await.unwrap_or_else(|error| panic!("after {commits}: {error}"));
            }
        }
        assert_eq!(world.wait(&one).await, 0, "after {commits}");
        assert_eq!(world.output(&one).await, "done\n", "after {commits}");
        assert_eq!(world.status(&other), Status::RUNNING, "after {commits}");
        world.engine.stop(&other, None, None).await.unwrap();
        world.settled().await;
        assert_eq!((world.cloud.clashes(), world.store.count(Kind::Intent)), (0, 0), "after {commits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_without_sidecars_has_no_pods_and_says_so() {
    let features = Features { sidecars: false, ..everything() };
    let world = World::with(Some("ws://10.0.0.1:4000"), features).await;
    let mut one = request("one", &["sleep"]);
    labelled("p")(&mut one);
    let created = world.engine.create(one).await.unwrap();
    assert!(created.warnings[0].contains("no jobs of several containers"), "{:?}", created.warnings);
    member(&world, "other", &["sleep"]).await;
    world.engine.start("one").await.unwrap();
    world.engine.start("other").await.unwrap();
    assert_eq!(world.cloud.jobs(), 2);
    let mut guest = request("guest", &["sleep"]);
    sharing("one")(&mut guest);
    assert_eq!(world.engine.create(guest).await.unwrap_err().kind, ErrorKind::Unsupported);
}
