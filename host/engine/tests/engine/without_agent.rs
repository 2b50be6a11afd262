use std::time::Duration;

use bollard_stubs::models::ContainerStateStatusEnum;
use sockerless_engine::{AttachRequest, ErrorKind, Outcome, RemoveRequest};
use sockerless_ports::backend::{ErrorCode, Phase};

use crate::world::*;

async fn world() -> World {
    World::with(None, everything()).await
}

#[tokio::test(start_paused = true)]
async fn the_image_runs_directly_and_the_cloud_tells_code_and_output() {
    let world = world().await;
    world
        .create_with("one", &["serve", "--now"], |request| request.config.env = Some(vec!["A=b".into()]))
        .await;
    assert_eq!(world.engine.start("one").await, Ok(Outcome::Done));
    let spec = &world.cloud.specs()[0];
    let main = &spec.containers[0];
    assert_eq!(
        (main.command.as_slice(), main.args.as_slice()),
        (&["serve".to_owned()][..], &["--now".to_owned()][..])
    );
    assert!(main.env.contains(&("A".into(), "b".into())) && main.mounts.is_empty());
    world.cloud.log("out", false);
    world.cloud.log("err", true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.cloud.log("last", false);
    world.cloud.set(Phase::Failed, Some(3), "");
    assert_eq!(world.wait("one").await, 3);
    assert_eq!(world.output("one").await, "out\nerr\nlast\n");
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_still_comes_is_read_to_its_end() {
    let world = world().await;
    world.run("one", &["serve"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.cloud.set(Phase::Succeeded, None, "");
    for line in ["one", "two", "three"] {
        // Less than clouds' logs lag, together more.
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.cloud.log(line, false);
    }
    assert_eq!(world.wait("one").await, 0);
    assert_eq!(world.output("one").await, "one\ntwo\nthree\n");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_when_the_last_lines_must_be_there_by_the_backends_word() {
    let world = world().await;
    world.cloud.lag(Duration::from_secs(180));
    world.run("one", &["serve"]).await;
    world.cloud.log_late("first", false, Duration::from_secs(60));
    world.cloud.log_late("last", false, Duration::from_secs(175));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.cloud.set(Phase::Failed, Some(3), "");
    assert_eq!(world.wait("one").await, 3);
    assert_eq!(world.output("one").await, "first\nlast\n");
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_last_lines_are_awaited_can_be_removed_by_force() {
    let world = world().await;
    world.cloud.lag(Duration::from_secs(3600));
    world.run("one", &["serve"]).await;
    world.cloud.set(Phase::Succeeded, None, "");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.status("one"), ContainerStateStatusEnum::RUNNING);
    let begun = tokio::time::Instant::now();
    world.engine.remove("one", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
    // Nobody reads any more: what comes late would make the log anew.
    let reads = world.cloud.log_reads();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.cloud.log_reads(), reads);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_the_last_lines_of_a_short_process() {
    let world = world().await;
    world.cloud.lag(Duration::from_secs(180));
    world.cloud.stick(Some(Phase::Starting));
    world.create("one", &["serve"]).await;
    let engine = world.engine.clone();
    let start = tokio::spawn(async move { engine.start("one").await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.cloud.log_late("late", false, Duration::from_secs(100));
    world.cloud.set(Phase::Failed, Some(3), "");
    let begun = tokio::time::Instant::now();
    start.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(world.wait("one").await, 3);
    assert_eq!(world.output("one").await, "late\n");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_the_backend_refuses_is_not_waited_for() {
    let world = world().await;
    for _ in 0..100 {
        world.cloud.fail("logs", ErrorCode::Unsupported, "no workspace");
    }
    world.run("one", &["serve"]).await;
    let begun = tokio::time::Instant::now();
    world.cloud.set(Phase::Succeeded, None, "");
    assert_eq!(world.wait("one").await, 0);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_daemon_doubles_no_line() {
    let mut world = world().await;
    world.run("one", &["serve"]).await;
    world.cloud.log("first", false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.crash().await;
    world.cloud.log("second", false);
    world.reopen().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.cloud.set(Phase::Succeeded, None, "");
    assert_eq!(world.wait("one").await, 0);
    assert_eq!(world.output("one").await, "first\nsecond\n");
}

#[tokio::test(start_paused = true)]
async fn what_needs_an_agent_names_the_setting() {
    let world = world().await;
    world.create_with("one", &["serve"], |request| request.config.open_stdin = Some(true)).await;
    let request = AttachRequest { stream: true, stdin: true, stdout: true, ..AttachRequest::default() };
    let error = world.engine.attach("one", request).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("SOCKERLESS_CALLBACK_URL"));
    world.engine.start("one").await.unwrap();
    let error = world.engine.kill("one", Some("WINCH")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(world.engine.info().await.unwrap().warnings.unwrap()[0].contains("SOCKERLESS_CALLBACK_URL"));
}

#[tokio::test(start_paused = true)]
async fn the_cloud_stops_it() {
    let world = world().await;
    world.run("one", &["serve"]).await;
    world.cloud.fail("stop", ErrorCode::Unavailable, "busy");
    world.engine.kill("one", None).await.unwrap();
    assert_eq!(world.wait("one").await, 137);
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_could_not_start_fails_the_start() {
    let world = world().await;
    world.cloud.stick(Some(Phase::Starting));
    world.cloud.lag(Duration::from_secs(180));
    world.create("one", &["serve"]).await;
    let engine = world.engine.clone();
    let start = tokio::spawn(async move { engine.start("one").await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    world.cloud.set(Phase::Failed, None, "container image is unauthorised");
    assert_eq!(start.await.unwrap().unwrap_err().message, "container image is unauthorised");
    assert!(begun.elapsed() < Duration::from_secs(60), "nothing has run that could have written");
}
