use bollard_stubs::models::ContainerStateStatusEnum as Status;
use sockerless_engine::{ErrorKind, WaitCondition};
use sockerless_ports::{
    backend::{Error, ErrorCode, Phase},
    registry::ImageError,
    store::Kind,
};

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_command_that_does_not_exist_is_told_as_dockerd_tells_it() {
    let world = World::new().await;
    world.create("nope", &["nope"]).await;
    let error = world.engine.start("nope").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        error.message,
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: \
         unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown"
    );
    let state = world.engine.inspect("nope", false).unwrap().state.unwrap();
    assert_eq!((state.status, state.exit_code), (Some(Status::CREATED), Some(127)));
    assert_eq!(state.error.unwrap(), error.message);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_with_auto_removal_removes_the_container() {
    let world = World::new().await;
    world.create_with("nope", &["nope"], |request| request.host.auto_remove = Some(true)).await;
    let removed = world.engine.wait("nope", WaitCondition::Removed).unwrap();
    world.engine.start("nope").await.unwrap_err();
    assert_eq!(removed.await.status_code, 127);
    assert!(world.engine.inspect("nope", false).is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_after_a_failed_start_is_told_of_it_and_who_waits_for_an_exit_goes_on_waiting() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    let mut exit = Box::pin(world.engine.wait("one", WaitCondition::NextExit).unwrap());
    world.cloud.fail("create", ErrorCode::PermissionDenied, "not yours");
    world.engine.start("one").await.unwrap_err();
    let answer = world.engine.wait("one", WaitCondition::NotRunning).unwrap().await;
    assert_eq!(answer.status_code, 128);
    assert_eq!(answer.error.unwrap().message.unwrap(), "not yours");
    assert!(futures_util::poll!(&mut exit).is_pending());
    world.engine.start("one").await.unwrap();
    assert!(futures_util::poll!(&mut exit).is_pending());
    world.engine.kill("one", None).await.unwrap();
    assert_eq!(exit.await.status_code, 137);
}

#[tokio::test(start_paused = true)]
async fn the_providers_message_reaches_the_user_and_stays_to_be_inspected() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    let words = "Permission 'run.jobs.create' denied on resource 'projects/wrong'";
    world.cloud.fail("create", ErrorCode::PermissionDenied, words);
    let error = world.engine.start("one").await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Internal, words));
    assert_eq!((world.status("one"), world.error("one").as_str()), (Status::CREATED, words));
    world.settled().await;
    // The next start is as good as new.
    world.engine.start("one").await.unwrap();
    assert_eq!(world.error("one"), "");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_down_for_a_while_is_asked_again() {
    let world = World::new().await;
    world.create("one", &["exit", "0"]).await;
    for operation in ["put", "create", "create", "status", "delete"] {
        world.cloud.fail(operation, ErrorCode::Unavailable, "try again");
    }
    world.engine.start("one").await.unwrap();
    assert_eq!(world.wait("one").await, 0);
    world.settled().await;
    assert!(world.cloud.made().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_start_it_twice() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    world.cloud.lose_answer("create");
    world.engine.start("one").await.unwrap();
    assert_eq!(world.cloud.made().values().sum::<u32>(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_making_never_got_an_answer_is_looked_up_and_deleted() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    world.cloud.stick(Some(Phase::Starting));
    world.cloud.lose_answer("create");
    for _ in 0..100 {
        world.cloud.fail_later("create", ErrorCode::Unavailable, "down");
    }
    let error = world.engine.start("one").await.unwrap_err();
    assert_eq!(error.message, "down");
    assert_eq!(world.cloud.made().len(), 1);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_provided_fails_the_start_with_the_reason() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    *world.registry.refusal.lock().unwrap() = Some(ImageError::Denied("push denied: no rights".into()));
    let error = world.engine.start("one").await.unwrap_err();
    assert_eq!(error.message, "push denied: no rights");
    assert!(world.cloud.made().is_empty());
    assert_eq!(world.store.count(Kind::Intent), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_before_its_agent_comes_fails_the_start() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Starting));
    world.create("one", &["sleep"]).await;
    let engine = world.engine.clone();
    let start = tokio::spawn(async move { engine.start("one").await });
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(world.registry.forgotten.lock().unwrap().is_empty());
    world.cloud.set(Phase::Failed, None, "Image 'x' not found");
    let error = start.await.unwrap().unwrap_err();
    assert!(error.message.ends_with("Image 'x' not found"), "{error}");
    // The next start looks where the image is.
    assert_eq!(world.registry.forgotten.lock().unwrap().len(), 1);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_status_cannot_be_told_does_not_hide_that_of_others() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Starting));
    let mut starts = tokio::task::JoinSet::new();
    for name in ["one", "two", "three", "four", "five"] {
        world.create(name, &["sleep"]).await;
        let engine = world.engine.clone();
        starts.spawn(async move { engine.start(name).await });
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    world.cloud.poison(Some(world.cloud.specs().swap_remove(0).name));
    world.cloud.set(Phase::Failed, None, "Image 'x' not found");
    let patience = std::time::Duration::from_secs(600);
    for left in (1..=4).rev() {
        let end = tokio::time::timeout(patience, starts.join_next()).await;
        let error = end.expect("a status in time").unwrap().unwrap().unwrap_err();
        assert!(error.message.ends_with("Image 'x' not found"), "{error}");
        assert_eq!(starts.len(), left);
    }
    assert!(tokio::time::timeout(patience, starts.join_next()).await.is_err());
    world.cloud.poison(None);
    let error = starts.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(error.message.ends_with("Image 'x' not found"), "{error}");
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_status_call_that_fails_for_all_is_not_made_for_each() {
    let of_provider = |code, status| Error { provider_status: Some(status), ..Error::new(code, "down") };
    for error in [
        of_provider(ErrorCode::Unavailable, 503),
        of_provider(ErrorCode::PermissionDenied, 403),
        of_provider(ErrorCode::Conflict, 409),
        Error::new(ErrorCode::Internal, "the plugin has ended by itself"),
    ] {
        let world = World::new().await;
        world.cloud.stick(Some(Phase::Starting));
        for _ in 0..1000 {
            world.cloud.fail_with("status", error.clone());
        }
        let mut starts = tokio::task::JoinSet::new();
        for job in 0..40 {
            let name = format!("job-{job}");
            world.create(&name, &["sleep"]).await;
            let engine = world.engine.clone();
            starts.spawn(async move { engine.start(&name).await });
        }
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let calls = 1000 - world.cloud.heal("status");
        assert!((3..=20).contains(&calls), "{calls} calls: {error:?}");
        world.cloud.set(Phase::Failed, None, "Image 'x' not found");
        let patience = std::time::Duration::from_secs(60);
        while let Some(end) =
            tokio::time::timeout(patience, starts.join_next()).await.expect("a status in time")
        {
            assert!(end.unwrap().unwrap_err().message.ends_with("Image 'x' not found"));
        }
        world.settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_reach_the_daemon_fails_the_start_with_the_setting() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Running));
    world.create("one", &["sleep"]).await;
    let error = world.engine.start("one").await.unwrap_err();
    assert!(error.message.contains("ws://10.0.0.1:4000"), "{error}");
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_without_a_word_leaves_the_clouds_exit_code() {
    let world = World::new().await;
    world.run("one", &["silent"]).await;
    world.engine.kill("one", Some("HUP")).await.unwrap();
    assert_eq!(world.wait("one").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_vanishes_is_an_error_and_not_a_zero() {
    let world = World::new().await;
    let id = world.run("one", &["sleep"]).await;
    world.link.hang(&id).await;
    world.cloud.set(Phase::Absent, None, "");
    let answer = world.engine.wait("one", WaitCondition::NotRunning).unwrap().await;
    assert_eq!(answer.status_code, 255);
    assert!(answer.error.unwrap().message.unwrap().contains("exit code is unknown"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_that_is_not_kept() {
    let world = World::new().await;
    world.create("one", &["sleep"]).await;
    world.store.cut_after(0);
    let failed = world.engine.create(request("two", &["sleep"])).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Internal);
    assert!(world.engine.inspect("two", false).is_err());
    assert!(world.engine.rename("one", "three").await.is_err());
    assert!(world.engine.inspect("three", false).is_err());
    assert!(world.engine.start("one").await.is_err());
    assert_eq!(world.status("one"), Status::CREATED);
    world.store.heal();
    world.create("two", &["sleep"]).await;
    world.engine.rename("one", "three").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_agent_came_although_all_answers_were_lost_keeps_its_job() {
    let world = World::new().await;
    let id = world.create("one", &["sleep"]).await;
    world.cloud.lose_answer("create");
    for _ in 0..100 {
        world.cloud.fail_later("create", ErrorCode::Unavailable, "down");
    }
    world.engine.start("one").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!((world.status("one"), world.cloud.jobs()), (Status::RUNNING, 1));
    world.link.hang(&id).await;
    world.engine.kill("one", None).await.unwrap();
    assert_eq!(world.wait("one").await, 137);
    world.settled().await;
}
