//! What happens between the end of a container and its next start.

use std::time::Duration;

use bollard_stubs::models::ContainerStateStatusEnum as Status;
use sockerless_engine::{ErrorKind, LABEL_LINGER, Outcome, RemoveRequest};
use sockerless_ports::{
    backend::{ErrorCode, Phase},
    link::{
        Output,
        request::{End, Reply, Request},
    },
    store::Kind,
};

use crate::world::*;

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Agents whose containers have changed nothing.
fn unchanged(world: &World) {
    world.link.serve(|request, end: AgentEnd| async move {
        match request {
            Request::Walk | Request::Changed => {
                end.reply(Reply::Ready);
                if request == Request::Changed {
                    // The end of an archive.
                    end.write(Output::Stdout, vec![0; 1024]).await;
                }
                end.end(End::Done);
            }
            Request::Put(_) => {
                end.reply(Reply::Ready);
                end.read_all().await;
                end.end(End::Done);
            }
            _ => {}
        }
    });
}

async fn labelled(world: &World, name: &str, linger: &str) -> String {
    let labels = Some([(LABEL_LINGER.to_owned(), linger.to_owned())].into());
    let id = world.create_with(name, &["exit", "0"], |request| request.config.labels = labels).await;
    world.engine.start(name).await.unwrap();
    world.wait(name).await;
    id
}

#[tokio::test(start_paused = true)]
async fn an_exited_container_starts_in_place_without_a_new_job() {
    let world = World::new().await;
    let id = world.run("again", &["echo", "x"]).await;
    world.wait("again").await;
    for generation in 2..=10 {
        assert_eq!(world.engine.start("again").await, Ok(Outcome::Done));
        world.wait("again").await;
        assert_eq!(world.link.awaited(&id).last(), Some(&generation));
    }
    assert_eq!(world.output("again").await, "x\n".repeat(10));
    assert_eq!(world.cloud.made().len(), 1);
    assert_eq!(world.cloud.clashes(), 0);
    assert!(world.link.awaited(&id).len() <= 2);
    world.settled().await;
    assert!(world.link.awaited(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_the_linger_a_start_is_a_new_job() {
    let world = World::new().await;
    unchanged(&world);
    world.run("again", &["echo", "x"]).await;
    world.wait("again").await;
    seconds(590).await;
    assert_eq!(world.cloud.jobs(), 1);
    seconds(60).await;
    assert_eq!((world.cloud.jobs(), world.store.count(Kind::Intent)), (0, 0));
    world.engine.start("again").await.unwrap();
    world.wait("again").await;
    assert_eq!(world.output("again").await, "x\nx\n");
    assert_eq!((world.cloud.made().len(), world.error("again").as_str()), (2, ""));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_is_said_where_one_looks_for_what_went_wrong() {
    let world = World::new().await;
    world.run("again", &["echo", "x"]).await;
    world.wait("again").await;
    world.settled().await;
    let error = world.error("again");
    assert!(error.contains("could not be saved, the next start begins without it"), "{error}");
    assert_eq!(world.wait("again").await, 0, "that is no failure of the container's");
    world.engine.start("again").await.unwrap();
    assert_eq!(world.error("again"), "");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_while_changes_are_saved_waits_for_that_and_has_them() {
    let world = World::new().await;
    unchanged(&world);
    let id = world.run("again", &["echo", "x"]).await;
    world.wait("again").await;
    world.link.leave(&id, 1).await;
    world.engine.start("again").await.unwrap();
    world.wait("again").await;
    assert_eq!((world.cloud.made().len(), world.cloud.clashes(), world.error("again").as_str()), (2, 0, ""));
}

#[tokio::test(start_paused = true)]
async fn a_label_says_how_long_the_agent_lingers() {
    let world = World::new().await;
    unchanged(&world);
    labelled(&world, "short", "5").await;
    seconds(20).await;
    assert_eq!(world.cloud.jobs(), 0);
    labelled(&world, "none", "0").await;
    seconds(10).await;
    assert_eq!(world.cloud.jobs(), 0);
    labelled(&world, "long", "2h").await;
    seconds(7000).await;
    assert_eq!(world.cloud.jobs(), 1);
    let labels = Some([(LABEL_LINGER.to_owned(), "soon".to_owned())].into());
    let mut request = request("bad", &["sleep"]);
    request.config.labels = labels;
    assert_eq!(world.engine.create(request).await.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn what_removes_itself_does_not_linger_and_what_is_removed_lingers_no_more() {
    let world = World::new().await;
    let id = world.create_with("rm", &["exit", "0"], |request| request.host.auto_remove = Some(true)).await;
    world.engine.start("rm").await.unwrap();
    seconds(10).await;
    assert_eq!(world.cloud.jobs(), 0);
    assert!(world.link.awaited(&id).is_empty());
    let id = world.run("kept", &["exit", "0"]).await;
    world.wait("kept").await;
    seconds(10).await;
    assert_eq!(world.cloud.jobs(), 1);
    world.engine.remove("kept", RemoveRequest::default()).await.unwrap();
    seconds(10).await;
    assert_eq!((world.cloud.jobs(), world.store.count(Kind::Intent)), (0, 0));
    assert!(world.link.awaited(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_container_without_agent_does_not_linger() {
    let world = World::with(None, everything()).await;
    world.run("bare", &["whatever"]).await;
    world.cloud.set(Phase::Succeeded, Some(0), "");
    world.wait("bare").await;
    seconds(10).await;
    assert_eq!(world.cloud.jobs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lingering_agent_finds_the_next_daemon() {
    let mut world = World::new().await;
    let id = world.run("again", &["echo", "x"]).await;
    world.wait("again").await;
    world.engine.start("again").await.unwrap();
    world.wait("again").await;
    world.crash().await;
    world.reopen().await;
    world.engine.start("again").await.unwrap();
    world.wait("again").await;
    assert_eq!(world.output("again").await, "x\nx\nx\n");
    assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (1, 0));
    world.crash().await;
    world.reopen().await;
    // The time is not forgotten either.
    world.settled().await;
    assert!(world.link.awaited(&id).is_empty());
}

/// The power goes after each commit of a start in place in turn. Whatever the point: never do two processes run, and
/// nothing is left behind.
#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_of_a_start_in_place_loses_and_doubles_nothing() {
    for commits in 0..8 {
        let mut world = World::new().await;
        let id = world.run("job", &["echo", "x"]).await;
        world.wait("job").await;
        seconds(1).await;
        world.store.cut_after(commits);
        let engine = world.engine.clone();
        let start = tokio::spawn(async move { engine.start("job").await });
        seconds(3).await;
        world.crash().await;
        start.await.unwrap().ok();
        world.reopen().await;
        seconds(120).await;
        let state = world.engine.inspect(&id, false).unwrap().state.unwrap();
        assert_eq!((state.status, state.exit_code), (Some(Status::EXITED), Some(0)), "after {commits}");
        let runs = world.output("job").await.lines().count();
        assert!((1..=2).contains(&runs), "after {commits}");
        world.engine.start("job").await.unwrap();
        world.wait("job").await;
        assert_eq!(world.output("job").await.lines().count(), runs + 1, "after {commits}");
        assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (1, 0), "after {commits}");
        world.settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_replaced_once_its_job_has_ended() {
    let world = World::new().await;
    let id = world.run("job", &["echo", "x"]).await;
    world.wait("job").await;
    world.link.deafen(&id, 1);
    world.engine.start("job").await.unwrap();
    assert_eq!(world.wait("job").await, 0);
    assert_eq!(world.output("job").await, "x\nx\n");
    assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (2, 0));
    assert_eq!(world.link.awaited(&id), [2]);
    // What was lost is said where one looks for what went wrong.
    assert!(world.error("job").contains("is lost"), "{}", world.error("job"));
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_may_hold_a_process_is_waited_for_before_another_is_made() {
    let world = World::new().await;
    let id = world.run("job", &["stubborn"]).await;
    // The agent hangs with its process, the cloud does not end jobs, and the user insists.
    world.link.hang(&id).await;
    for _ in 0..60 {
        world.cloud.fail("stop", ErrorCode::Unavailable, "down");
    }
    let engine = world.engine.clone();
    let stop = tokio::spawn(async move { engine.stop("job", None, Some(1)).await });
    seconds(30).await;
    assert_eq!(world.status("job"), Status::RUNNING);
    world.engine.remove("job", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    stop.await.unwrap().ok();
    world.settled().await;
    assert_eq!(world.cloud.clashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_processes_never_run_at_once_even_when_the_first_was_started_behind_the_daemons_back() {
    let world = World::new().await;
    let id = world.run("job", &["stubborn"]).await;
    world.engine.kill("job", None).await.unwrap();
    world.wait("job").await;
    // The agent starts the process in place, but its word of that never arrives.
    world.link.mute(&id, 2);
    for _ in 0..5 {
        world.cloud.fail("stop", ErrorCode::Unavailable, "down");
    }
    world.engine.start("job").await.unwrap();
    assert_eq!(world.status("job"), Status::RUNNING);
    assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (2, 0));
    assert!(world.cloud.stops() > 0, "the first job was stopped before");
    world.engine.remove("job", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_is_refused_as_long_as_the_cloud_does_not_confirm_the_end_of_the_old_job() {
    let world = World::new().await;
    let id = world.run("job", &["stubborn"]).await;
    world.engine.kill("job", None).await.unwrap();
    world.wait("job").await;
    world.link.mute(&id, 2);
    for _ in 0..100 {
        world.cloud.fail("stop", ErrorCode::Unavailable, "down");
    }
    let error = world.engine.start("job").await.unwrap_err();
    assert!(error.message.contains("two must not run at once"), "{error}");
    assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (1, 0));
    // Once the cloud is back, so is the container.
    seconds(3600).await;
    world.engine.start("job").await.unwrap();
    assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_while_its_agent_lingers_is_no_fault_of_the_container() {
    let world = World::new().await;
    world.run("job", &["exit", "3"]).await;
    world.wait("job").await;
    seconds(60).await;
    assert_eq!((world.status("job"), world.error("job").as_str()), (Status::EXITED, ""));
    world.cloud.set(Phase::Failed, Some(1), "timeout");
    seconds(60).await;
    assert_eq!((world.status("job"), world.wait("job").await), (Status::EXITED, 3));
    assert!(world.error("job").contains("was lost before"), "{}", world.error("job"));
    assert_eq!(world.cloud.jobs(), 0);
    world.engine.start("job").await.unwrap();
    world.wait("job").await;
    assert_eq!(world.cloud.made().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_the_cloud_sends_away_does_not_linger_any_longer() {
    let world = World::new().await;
    unchanged(&world);
    let id = world.run("job", &["exit", "3"]).await;
    world.wait("job").await;
    world.link.leave(&id, 1).await;
    seconds(20).await;
    assert_eq!((world.cloud.jobs(), world.status("job")), (0, Status::EXITED));
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_meets_a_start_in_place_ends_the_process_that_was_started() {
    for yields in 0..12 {
        let world = World::new().await;
        world.run("job", &["sleep"]).await;
        world.engine.stop("job", None, None).await.unwrap();
        let engine = world.engine.clone();
        let start = tokio::spawn(async move { engine.start("job").await });
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        world.engine.stop("job", None, None).await.unwrap();
        start.await.unwrap().ok();
        seconds(1).await;
        if world.status("job") == Status::RUNNING {
            // The stop came first.
            world.engine.stop("job", None, None).await.unwrap();
        }
        assert_eq!((world.status("job"), world.wait("job").await), (Status::EXITED, 143), "{yields}");
        assert_eq!((world.cloud.made().len(), world.cloud.clashes()), (1, 0), "{yields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_gone_fails_the_start_in_place_and_leaves_the_files() {
    let world = World::new().await;
    let id = world.run("job", &["exit", "0"]).await;
    world.wait("job").await;
    world.link.break_program(&id, 2);
    let error = world.engine.start("job").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!((world.status("job"), world.cloud.jobs()), (Status::EXITED, 1));
    world.engine.start("job").await.unwrap();
    assert_eq!(world.wait("job").await, 0);
    assert_eq!(world.cloud.made().len(), 1);
}
