//! Members of a pod, or their job, that fail or are lost.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_command_that_is_not_there_is_that_members_error_and_nobody_elses() {
    let world = World::new().await;
    let good = member(&world, "good", &["sleep"]).await;
    let bad = member(&world, "bad", &["nope"]).await;
    world.engine.start(&good).await.unwrap();
    let error = world.engine.start(&bad).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    tokio::time::sleep(LONG).await;
    assert_eq!((world.status("good"), world.cloud.jobs()), (Status::RUNNING, 1));
    world.engine.stop(&good, None, None).await.unwrap();
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_in_the_cloud_ends_every_member_with_the_reason() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    for id in [&one, &other] {
        world.link.hang(id).await;
    }
    world.cloud.set(Phase::Failed, Some(9), "the instance was lost");
    assert_eq!(world.wait(&one).await, 9);
    // The code is that of the main container alone.
    assert_eq!(world.wait(&other).await, 255);
    assert!(world.error(&other).contains("the instance was lost"), "{}", world.error(&other));
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_killed_by_the_success_of_the_first_has_not_succeeded() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    for id in [&one, &other] {
        world.link.hang(id).await;
    }
    world.cloud.set(Phase::Succeeded, Some(0), "");
    assert_eq!(world.wait(&one).await, 0);
    assert_eq!(world.wait(&other).await, 255);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_made_fails_each_start_and_leaves_nothing() {
    let world = World::new().await;
    let (one, other) = (member(&world, "one", &["sleep"]).await, member(&world, "other", &["sleep"]).await);
    world.cloud.fail("create", ErrorCode::PermissionDenied, "no rights");
    let error = world.engine.start(&one).await.unwrap_err();
    assert_eq!(error.message, "no rights");
    world.settled().await;
    world.engine.start(&other).await.unwrap();
    world.engine.start(&one).await.unwrap();
    assert_eq!(world.cloud.jobs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_leaves_its_container_out() {
    let world = World::new().await;
    let one = member(&world, "one", &["sleep"]).await;
    member(&world, "other", &["sleep"]).await;
    *world.registry.refusal.lock().unwrap() = Some(ImageError::Denied("no rights".into()));
    assert_eq!(world.engine.start(&one).await.unwrap_err().message, "no rights");
    *world.registry.refusal.lock().unwrap() = None;
    world.settled().await;
    world.engine.start(&one).await.unwrap();
    assert_eq!(world.cloud.specs()[0].containers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn restart_policies_bring_the_members_of_a_failed_job_back_into_one() {
    let world = World::new().await;
    let mut ids: Vec<String> = Vec::new();
    for name in ["one", "other"] {
        let always = |request: &mut CreateRequest| {
            labelled("p")(request);
            request.host.restart_policy =
                Some(RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None });
        };
        ids.push(world.create_with(name, &["sleep"], always).await);
    }
    for id in &ids {
        world.engine.start(id).await.unwrap();
    }
    for id in &ids {
        world.link.hang(id).await;
    }
    world.cloud.set(Phase::Failed, None, "the instance was lost");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((world.status("one"), world.status("other")), (Status::RUNNING, Status::RUNNING));
    let made = world.cloud.made();
    assert_eq!((world.cloud.jobs(), made.len(), world.cloud.clashes()), (1, 2, 0), "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_agent_does_not_answer_ends_without_the_others() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    world.link.hang(&other).await;
    world.engine.kill(&other, None).await.unwrap();
    assert_eq!(world.wait(&other).await, 137);
    assert_eq!((world.status("one"), world.cloud.stops()), (Status::RUNNING, 0));
    // Nobody has seen the end of its process: it is not started a second time beside that.
    let error = world.engine.start(&other).await.unwrap_err();
    assert!(error.message.contains("two must not run at once"), "{error}");
    world.engine.stop(&one, None, None).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.stops(), 1);
    world.engine.start(&other).await.unwrap();
    assert_eq!(world.cloud.clashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_kill_does_not_end_is_given_up_although_its_line_is_up() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    world.link.stall(&other);
    world.engine.stop(&other, None, Some(1)).await.unwrap();
    assert_eq!(world.wait(&other).await, 137);
    assert_eq!((world.status(&one), world.cloud.stops()), (Status::RUNNING, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_answer_leaves_the_job_to_one_that_lingers() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    world.engine.stop(&one, None, None).await.unwrap();
    world.link.hang(&other).await;
    world.engine.kill(&other, None).await.unwrap();
    assert_eq!(world.wait(&other).await, 137);
    assert_eq!((world.cloud.stops(), world.cloud.jobs()), (0, 1));
    // What it keeps is of use as before.
    world.engine.start(&one).await.unwrap();
    assert_eq!((world.cloud.made().len(), world.cloud.stops()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_gone_for_long_is_taken_for_lost_while_others_are_there() {
    let world = World::new().await;
    let (one, other) = two(&world).await;
    world.link.hang(&other).await;
    assert_eq!(world.wait(&other).await, 255);
    assert!(world.error(&other).contains("does not answer"), "{}", world.error(&other));
    assert_eq!(world.status(&one), Status::RUNNING);
}
