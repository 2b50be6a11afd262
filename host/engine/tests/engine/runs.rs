use bollard_stubs::models::ContainerStateStatusEnum as Status;
use futures_util::StreamExt;
use sockerless_engine::{LogsRequest, Outcome, RemoveRequest, WaitCondition};
use sockerless_ports::store::Kind;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_container_runs_to_its_exit_code_and_its_job_is_deleted() {
    let world = World::new().await;
    let id = world.create("job", &["exit", "7"]).await;
    let exit = world.engine.wait("job", WaitCondition::NextExit).unwrap();
    assert_eq!(world.engine.start("job").await, Ok(Outcome::Done));
    assert_eq!(exit.await.status_code, 7);
    assert_eq!(world.wait(&id[..12]).await, 7);
    assert_eq!(world.status("job"), Status::EXITED);
    world.settled().await;
    world.engine.remove("/job", RemoveRequest::default()).await.unwrap();
    assert_eq!(world.engine.inspect("job", false).unwrap_err().message, "No such container: job");
    assert_eq!(world.store.count(Kind::Container), 0);
    assert!(!world.logs.exists(&id));
}

#[tokio::test(start_paused = true)]
async fn output_is_in_the_logs_when_wait_answers() {
    let world = World::new().await;
    world.run("hello", &["echo", "hello"]).await;
    assert_eq!(world.wait("hello").await, 0);
    assert_eq!(world.output("hello").await, "hello\n");
}

#[tokio::test(start_paused = true)]
async fn logs_are_a_chunk_for_each_line_but_as_they_came_from_a_terminal() {
    let world = World::new().await;
    for (name, tty, expected) in
        [("plain", false, &["one\n", "two\n"][..]), ("terminal", true, &["one\ntwo\n"])]
    {
        world.create_with(name, &["echo", "one\ntwo"], |request| request.config.tty = Some(tty)).await;
        world.engine.start(name).await.unwrap();
        world.wait(name).await;
        let request = LogsRequest { stdout: true, ..LogsRequest::default() };
        let chunks = world.engine.logs(name, request).await.unwrap().chunks;
        let chunks: Vec<_> = chunks.map(|chunk| chunk.unwrap().bytes).collect().await;
        assert_eq!(chunks, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_delivered_once_and_the_ticket_is_kept_as_a_hash_only() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world.run(name, &["sleep"]).await;
    }
    assert_eq!(world.cloud.puts(), 1);
    let specs = world.cloud.specs();
    let ticket = |index: usize| {
        specs[index].containers[0].env.iter().find(|(key, _)| key == "SOCKERLESS_TICKET").unwrap().1.clone()
    };
    assert_ne!(ticket(0), ticket(1));
    let kept = world.store.text();
    assert!(!kept.contains(&ticket(0)) && !kept.contains(&ticket(1)));
}

#[tokio::test(start_paused = true)]
async fn starting_what_runs_is_not_modified() {
    let world = World::new().await;
    world.run("one", &["sleep"]).await;
    assert_eq!(world.engine.start("one").await, Ok(Outcome::NotModified));
    assert_eq!(world.cloud.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn auto_removal_reports_the_exit_code_to_those_who_wait_for_the_removal() {
    let world = World::new().await;
    let id = world.create_with("rm", &["exit", "3"], |request| request.host.auto_remove = Some(true)).await;
    let removed = world.engine.wait("rm", WaitCondition::Removed).unwrap();
    world.engine.start("rm").await.unwrap();
    assert_eq!(removed.await.status_code, 3);
    assert!(world.engine.inspect(&id, false).is_err());
    world.settled().await;
    assert!(!world.logs.exists(&id));
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_life_in_order() {
    use futures_util::StreamExt;
    let world = World::new().await;
    let mut events = world.engine.events(Default::default()).unwrap();
    world.run("tale", &["sleep"]).await;
    world.engine.stop("tale", None, Some(5)).await.unwrap();
    world.engine.rename("tale", "told").await.unwrap();
    world.engine.remove("told", RemoveRequest::default()).await.unwrap();
    let mut actions = Vec::new();
    for _ in 0..9 {
        let event = events.next().await.unwrap();
        let attributes = event.actor.unwrap().attributes.unwrap();
        actions.push(event.action.clone().unwrap());
        match event.action.as_deref() {
            Some("kill") => assert_eq!(attributes["signal"], "15"),
            Some("die") => assert_eq!(attributes["exitCode"], "143"),
            Some("rename") => {
                assert_eq!((attributes["oldName"].as_str(), attributes["name"].as_str()), ("/tale", "told"))
            }
            Some("connect" | "disconnect") => assert_eq!(attributes["name"], "bridge"),
            _ => assert_eq!(attributes["image"], "busybox"),
        }
    }
    assert_eq!(
        actions,
        ["create", "connect", "start", "kill", "die", "disconnect", "stop", "rename", "destroy"]
    );
    let filters = [("event".to_owned(), vec!["die".to_owned()])].into();
    let request = sockerless_engine::EventsRequest {
        until: Some(std::time::SystemTime::now()),
        filters,
        ..Default::default()
    };
    assert_eq!(world.engine.events(request).unwrap().count().await, 1);
}
