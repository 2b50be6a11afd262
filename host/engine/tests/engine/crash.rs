//! The daemon dies at every point of a life; the next one finishes or undoes what was begun.

use bollard_stubs::models::ContainerStateStatusEnum as Status;
use sockerless_engine::{AttachRequest, RemoveRequest};
use sockerless_ports::store::Kind;

use crate::world::*;

/// The power goes after each commit of a start in turn. Whatever the point: no job is made twice for one start,
/// the container ends up startable, and nothing is left behind.
#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_of_a_start_loses_and_doubles_nothing() {
    let mut interrupted = 0;
    for commits in 0..12 {
        let mut world = World::new().await;
        let id = world.create("job", &["echo", "done"]).await;
        world.store.cut_after(commits);
        let engine = world.engine.clone();
        let start = tokio::spawn(async move { engine.start("job").await });
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        world.crash().await;
        start.await.unwrap().ok();
        world.reopen().await;
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;

        assert!(
            world.cloud.made().values().all(|times| *times == 1),
            "after {commits}: {:?}",
            world.cloud.made()
        );
        let state = world.engine.inspect(&id, false).unwrap().state.unwrap();
        match state.status.unwrap() {
            Status::EXITED => {
                assert_eq!((state.exit_code, state.error.as_deref()), (Some(0), Some("")), "after {commits}");
                assert_eq!(world.output("job").await, "done\n", "after {commits}");
            }
            Status::CREATED => {
                interrupted += 1;
                world.engine.start("job").await.unwrap();
                assert_eq!(world.wait("job").await, 0);
            }
            other => panic!("{other} after {commits}"),
        }
        world.settled().await;
        assert_eq!(world.cloud.jobs(), 0);
        assert_eq!(world.store.count(Kind::Intent), 0);
    }
    assert!(interrupted > 0, "no crash came before the intent");
}

#[tokio::test(start_paused = true)]
async fn a_running_container_is_picked_up_again_with_all_its_output() {
    let mut world = World::new().await;
    let id = world
        .create_with("cat", &["cat"], |request| {
            request.config.open_stdin = Some(true);
            request.config.stdin_once = Some(true);
        })
        .await;
    let all = AttachRequest { stream: true, stdin: true, stdout: true, ..AttachRequest::default() };
    let attached = world.engine.attach(&id, all.clone()).await.unwrap();
    world.engine.start(&id).await.unwrap();
    attached.input.unwrap().write("before\n".into()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.crash().await;
    world.reopen().await;
    assert_eq!(world.status("cat"), Status::RUNNING);
    let attached = world.engine.attach(&id, all).await.unwrap();
    let mut input = attached.input.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    input.write("after\n".into()).await.unwrap();
    input.close().await.unwrap();
    assert_eq!(text(attached.output).await, "after\n");
    assert_eq!(world.wait(&id).await, 0);
    assert_eq!(world.output(&id).await, "before\nafter\n");
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_while_the_daemon_is_dead_is_told_by_the_agent_that_comes_back() {
    let mut world = World::new().await;
    let id = world.create("job", &["sleep"]).await;
    world.engine.start(&id).await.unwrap();
    world.crash().await;
    // The agent gets its signal as if from within the container.
    use sockerless_ports::Link as _;
    world.link.signal_from_within(&id, 15).await;
    world.reopen().await;
    assert_eq!(world.wait(&id).await, 143);
    world.settled().await;
    assert!(!world.link.is_connected(&sockerless_ports::link::RunId { container: id, generation: 1 }));
}

#[tokio::test(start_paused = true)]
async fn what_ended_stays_as_it_was() {
    let mut world = World::new().await;
    world.run("old", &["exit", "9"]).await;
    world.wait("old").await;
    world.settled().await;
    world.engine.rename("old", "older").await.unwrap();
    world.crash().await;
    world.reopen().await;
    assert_eq!(world.wait("older").await, 9);
    assert_eq!(world.status("older"), Status::EXITED);
    assert_eq!(world.cloud.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_deleted_by_the_next_daemon_when_this_one_dies_before() {
    let mut world = World::new().await;
    let id = world.run("job", &["exit", "0"]).await;
    world.wait(&id).await;
    // The container is gone from the state, but its job is still there.
    world.engine.remove(&id, RemoveRequest::default()).await.unwrap();
    world.crash().await;
    assert_eq!(world.store.count(Kind::Container), 0);
    world.reopen().await;
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn orphans_of_this_owner_are_deleted_and_others_are_left_alone() {
    let mut world = World::new().await;
    world.run("mine", &["sleep"]).await;
    let owner = world.cloud.specs()[0].owner.clone();
    world.crash().await;
    world.cloud.plant("sl-orphan", &owner);
    world.cloud.plant("sl-foreign", "another");
    world.reopen().await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let left: Vec<_> = world.cloud.specs().into_iter().map(|spec| spec.name).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"sl-foreign".to_owned()) && !left.contains(&"sl-orphan".to_owned()));
    assert_eq!(world.status("mine"), Status::RUNNING);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_under_way_is_brought_to_its_end() {
    let mut world = World::new().await;
    let id = world.run("stubborn", &["stubborn"]).await;
    let engine = world.engine.clone();
    tokio::spawn(async move { engine.stop("stubborn", None, Some(5)).await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.crash().await;
    world.reopen().await;
    assert_eq!(world.wait(&id).await, 137);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_under_way_is_finished() {
    let mut world = World::new().await;
    let id = world.create("gone", &["exit", "0"]).await;
    world.store.cut_after(1);
    let engine = world.engine.clone();
    let removal = tokio::spawn(async move { engine.remove("gone", RemoveRequest::default()).await });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.crash().await;
    removal.await.unwrap().ok();
    world.reopen().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(world.engine.inspect(&id, false).is_err());
    assert_eq!(world.store.count(Kind::Container), 0);
    world.create("gone", &["exit", "0"]).await;
}
