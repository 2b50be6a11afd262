//! What an agent that went without a word has left in the cloud's log.

use std::time::Duration;

use bytes::Bytes;
use sockerless_ports::{
    Logs as _,
    link::{Output, RunId},
};

use crate::world::*;

/// A container whose agent has delivered this much, and then dies.
async fn died(delivered: &str, in_cloud: &[&str]) -> World {
    let world = World::new().await;
    world.cloud.lag(Duration::from_secs(180));
    let container = world.run("one", &["silent"]).await;
    let run = RunId { container, generation: 1 };
    if !delivered.is_empty() {
        let bytes = Bytes::copy_from_slice(delivered.as_bytes());
        world.logs.append(&run, Output::Stdout, bytes).await.unwrap();
    }
    for line in in_cloud {
        world.cloud.log_late(line, false, Duration::from_secs(60));
    }
    world.cloud.log("sockerless-agent: the line is lost; trying again", true);
    world.engine.kill("one", Some("HUP")).await.unwrap();
    assert_eq!(world.wait("one").await, 1);
    world
}

#[tokio::test(start_paused = true)]
async fn it_is_read_there_from_the_byte_on_that_was_delivered_last() {
    let world = died("one\ntw", &["one", "two", "three"]).await;
    assert_eq!(world.output("one").await, "one\ntwo\nthree\n");
    world.settled().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_added_where_the_cloud_has_something_else() {
    let world =
        died("one\ntwo\n", &["one", "[sockerless: 4 bytes left out here, the log was too slow]", "three"]);
    assert_eq!(world.await.output("one").await, "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_nothing_was_heard_of_leaves_all() {
    let world = died("", &["one", "two"]).await;
    assert_eq!(world.output("one").await, "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_reports_the_end_leaves_nothing() {
    let world = World::new().await;
    world.run("one", &["echo", "hi"]).await;
    assert_eq!(world.wait("one").await, 0);
    world.engine.remove("one", Default::default()).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.log_reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_wants_an_end_does_not_wait_for_what_was_left() {
    let world = World::new().await;
    world.cloud.lag(Duration::from_secs(180));
    world.run("one", &["silent"]).await;
    let begun = tokio::time::Instant::now();
    world.engine.kill("one", Some("HUP")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.status("one"), bollard_stubs::models::ContainerStateStatusEnum::RUNNING);
    world
        .engine
        .remove("one", sockerless_engine::RemoveRequest { force: true, ..Default::default() })
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(25));
    world.settled().await;
}
