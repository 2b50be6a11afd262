use std::time::Duration;

use bollard_stubs::models::ContainerStateStatusEnum as Status;
use sockerless_engine::{ErrorKind, Outcome, RemoveRequest, WaitCondition};
use sockerless_ports::backend::{ErrorCode, Phase};

use crate::world::*;

const FORCE: RemoveRequest = RemoveRequest { force: true, volumes: false, link: false };

#[tokio::test(start_paused = true)]
async fn stop_sends_the_signal_and_waits_for_the_end() {
    let world = World::new().await;
    world.run("one", &["sleep"]).await;
    assert_eq!(world.engine.stop("one", None, None).await, Ok(Outcome::Done));
    assert_eq!(world.wait("one").await, 143);
    assert_eq!(world.engine.stop("one", None, None).await, Ok(Outcome::NotModified));
}

#[tokio::test(start_paused = true)]
async fn stop_kills_what_does_not_listen() {
    let world = World::new().await;
    world.run("one", &["stubborn"]).await;
    world.engine.stop("one", Some("SIGTERM"), Some(2)).await.unwrap();
    assert_eq!(world.wait("one").await, 137);
    assert_eq!(world.cloud.stops(), 0, "the agent was there");
}

#[tokio::test(start_paused = true)]
async fn kill_ends_the_job_when_the_agent_is_gone() {
    let world = World::new().await;
    world.run("one", &["sleep"]).await;
    let id = world.engine.inspect("one", false).unwrap().id.unwrap();
    // The agent hangs: it takes no orders, and its line is down.
    world.link.hang(&id).await;
    world.engine.kill("one", None).await.unwrap();
    assert_eq!(world.wait("one").await, 137);
    assert_eq!(world.cloud.stops(), 1);
}

#[tokio::test(start_paused = true)]
async fn kill_of_what_does_not_run_is_a_conflict() {
    let world = World::new().await;
    let id = world.create("one", &["sleep"]).await;
    let error = world.engine.kill("one", None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(error.message, format!("cannot kill container: one: container {id} is not running"));
    let error = world.engine.kill("one", Some("SIGFOO")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, "invalid signal: SIGFOO"));
}

#[tokio::test(start_paused = true)]
async fn a_running_container_is_removed_by_force_alone() {
    let world = World::new().await;
    world.run("one", &["stubborn"]).await;
    let error = world.engine.remove("one", RemoveRequest::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(
        error.message,
        "cannot remove container \"/one\": container is running: stop the container before removing or force remove"
    );
    world.engine.remove("one", FORCE).await.unwrap();
    assert!(world.engine.inspect("one", false).is_err());
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn removal_by_force_does_not_wait_for_a_cloud_that_is_down() {
    let world = World::new().await;
    let id = world.run("one", &["stubborn"]).await;
    world.link.hang(&id).await;
    for _ in 0..40 {
        world.cloud.fail("stop", ErrorCode::Unavailable, "down");
        world.cloud.fail("delete", ErrorCode::Unavailable, "down");
    }
    let removed = world.engine.wait("one", WaitCondition::Removed).unwrap();
    world.engine.remove("one", FORCE).await.unwrap();
    let answer = removed.await;
    assert_eq!(answer.status_code, 137);
    assert!(answer.error.unwrap().message.unwrap().contains("removed by force"));
    // The job goes once the cloud is back.
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn restart_stops_and_starts_and_keeps_what_would_be_removed() {
    let world = World::new().await;
    let id = world.create_with("one", &["sleep"], |request| request.host.auto_remove = Some(true)).await;
    world.engine.start("one").await.unwrap();
    world.engine.restart("one", None, Some(1)).await.unwrap();
    assert_eq!(world.status(&id), Status::RUNNING);
    assert_eq!(world.cloud.made().len(), 1, "its agent does it in place");
    world.engine.restart("one", None, Some(1)).await.unwrap();
    world.engine.kill("one", None).await.unwrap();
    world.settled().await;
    assert!(world.engine.inspect("one", false).is_err());
}

#[tokio::test(start_paused = true)]
async fn restart_starts_what_does_not_run() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    world.engine.restart("one", None, None).await.unwrap();
    assert_eq!(world.status("one"), Status::RUNNING);
}

#[tokio::test(start_paused = true)]
async fn a_container_can_be_stopped_while_its_job_waits_for_its_place() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Starting));
    world.create("one", &["sleep"]).await;
    let engine = world.engine.clone();
    let start = tokio::spawn(async move { engine.start("one").await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.status("one"), Status::CREATED);
    assert_eq!(world.engine.stop("one", None, None).await, Ok(Outcome::Done));
    let error = start.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    world.settled().await;
    // And it can be started again.
    world.cloud.stick(None);
    world.engine.start("one").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn races_of_stop_kill_and_remove_end_with_nothing_left() {
    for round in 0..20u64 {
        let world = World::new().await;
        world.create_with("one", &["sleep"], |request| request.host.auto_remove = Some(round % 2 == 0)).await;
        let calls: Vec<_> = (0..6)
            .map(|index| {
                let engine = world.engine.clone();
                tokio::spawn(async move {
                    for _ in 0..(index * 7 + round) % 11 {
                        tokio::task::yield_now().await;
                    }
                    match index {
                        0 | 1 => engine.start("one").await.err(),
                        2 => engine.stop("one", None, Some(1)).await.err(),
                        3 => engine.kill("one", None).await.err(),
                        4 => engine.restart("one", None, Some(0)).await.err(),
                        _ => engine.remove("one", FORCE).await.err(),
                    }
                })
            })
            .collect();
        for call in calls {
            if let Some(error) = call.await.unwrap() {
                assert!(matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound), "{error:?}");
            }
        }
        match world.engine.remove("one", FORCE).await {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict), "{error:?}")
            }
        }
        world.settled().await;
        assert!(world.cloud.made().values().all(|times| *times == 1));
        while world.engine.inspect("one", false).is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn wait_on_what_was_removed_before_it_ran_is_an_error() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    let exit = world.engine.wait("one", WaitCondition::NextExit).unwrap();
    world.engine.remove("one", RemoveRequest::default()).await.unwrap();
    let answer = exit.await;
    assert_ne!(answer.status_code, 0);
    assert!(answer.error.is_some());
    assert!(world.engine.wait("one", WaitCondition::Removed).is_err());
}
