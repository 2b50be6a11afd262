//! What the doctor runs.

use sockerless_engine::{ErrorKind, Step, failed_step};
use sockerless_ports::backend::{ErrorCode, Phase};

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_trial_leaves_nothing_behind() {
    let world = World::new().await;
    // The fake's agent knows no such program: that it says so shows that it was there.
    let error = world.engine.try_out("busybox").await.unwrap_err();
    assert_eq!((error.kind, failed_step(&error.message)), (ErrorKind::Invalid, Step::Process));
    assert_eq!((world.cloud.jobs(), world.cloud.made().len()), (0, 1));
    assert_eq!(world.store.count(sockerless_ports::store::Kind::Container), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_refuses_the_job_fails_the_first_step() {
    let world = World::new().await;
    world.cloud.fail("create", ErrorCode::PermissionDenied, "not yours");
    let error = world.engine.try_out("busybox").await.unwrap_err();
    assert_eq!((failed_step(&error.message), error.message.as_str()), (Step::Job, "not yours"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_before_its_agent_connects_fails_the_agents_step() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Starting));
    let engine = world.engine.clone();
    let trial = tokio::spawn(async move { engine.try_out("busybox").await });
    while world.cloud.jobs() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.cloud.set(Phase::Failed, Some(126), "");
    let error = trial.await.unwrap().unwrap_err();
    assert_eq!(failed_step(&error.message), Step::Agent, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_come_fails_the_step_of_the_way_back() {
    let world = World::new().await;
    world.cloud.stick(Some(Phase::Running));
    let error = world.engine.try_out("busybox").await.unwrap_err();
    assert_eq!(failed_step(&error.message), Step::Callback, "{error}");
}
