//! Processes beside the container's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use bytes::Bytes;
use fixture::{PATIENCE, World, shell};
use sockerless_ports::link::{
    Channel, Link, Output,
    request::{End, Exec, Reply, Request},
};
use tokio::time::timeout;

fn exec(script: &str) -> Exec {
    Exec {
        id: "e".repeat(64),
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        ..Exec::default()
    }
}

async fn open(world: &World, exec: Exec) -> Box<dyn Channel> {
    let opening = world.link().open(&world.run, Request::Exec(Box::new(exec)));
    let (reply, channel) = timeout(PATIENCE, opening).await.expect("waited in vain").unwrap();
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    channel
}

/// Both outputs, and the end.
async fn finish(channel: &dyn Channel) -> (Vec<u8>, Vec<u8>, End) {
    let (mut out, mut err) = (vec![], vec![]);
    let reading = async {
        while let Some((output, bytes)) = channel.read().await {
            if output == Output::Stdout { &mut out } else { &mut err }.extend_from_slice(&bytes);
        }
        channel.end().await.unwrap()
    };
    let end = timeout(PATIENCE, reading).await.expect("waited in vain");
    (out, err, end)
}

async fn world() -> World {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

#[tokio::test]
async fn its_outputs_arrive_apart_and_then_its_exit_code() {
    let world = world().await;
    let channel = open(&world, exec("echo out; echo err >&2; exit 7")).await;
    let (out, err, end) = finish(&*channel).await;
    assert_eq!((out, err, end), (b"out\n".to_vec(), b"err\n".to_vec(), End::Exited { code: 7 }));
}

#[tokio::test]
async fn its_input_arrives_and_the_end_of_it_too() {
    let world = world().await;
    let channel = open(&world, Exec { stdin: true, ..exec("cat; echo end >&2") }).await;
    let much = Bytes::from(vec![b'x'; 3_000_000]);
    let writing = async {
        channel.write(much.clone()).await.unwrap();
        channel.finish();
    };
    let ((), (out, err, end)) = tokio::join!(writing, finish(&*channel));
    assert!(out == much);
    assert_eq!((err, end), (b"end\n".to_vec(), End::Exited { code: 0 }));
}
