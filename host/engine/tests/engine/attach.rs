use bytes::Bytes;
use sockerless_engine::{AttachRequest, Attachment, ErrorKind};
use sockerless_ports::link::TerminalSize;

use crate::world::*;

fn all() -> AttachRequest {
    AttachRequest { stream: true, stdin: true, stdout: true, stderr: true, ..AttachRequest::default() }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_attaches_and_writes_before_the_start_loses_nothing() {
    let world = World::new().await;
    let id = world
        .create_with("cat", &["cat"], |request| {
            request.config.open_stdin = Some(true);
            request.config.stdin_once = Some(true);
            request.host.auto_remove = Some(true);
        })
        .await;
    let Attachment { output, input } = world.engine.attach(&id, all()).await.unwrap();
    let mut input = input.unwrap();
    let writer = tokio::spawn(async move {
        input.write(Bytes::from("early\n")).await.unwrap();
        input.close().await.unwrap();
    });
    tokio::task::yield_now().await;
    world.engine.start(&id).await.unwrap();
    writer.await.unwrap();
    // Removed by now, and still there to be read.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(world.engine.inspect(&id, false).is_err());
    assert_eq!(text(output).await, "early\n");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!world.logs.exists(&id));
}

#[tokio::test(start_paused = true)]
async fn an_exited_container_takes_new_input_when_it_starts_again() {
    let world = World::new().await;
    let id = world
        .create_with("helper", &["cat"], |request| {
            request.config.open_stdin = Some(true);
            request.config.stdin_once = Some(true);
        })
        .await;
    for stage in ["one\n", "two\n", "three\n"] {
        let Attachment { output, input } = world.engine.attach(&id, all()).await.unwrap();
        world.engine.start(&id).await.unwrap();
        let mut input = input.unwrap();
        input.write(Bytes::from(stage)).await.unwrap();
        input.close().await.unwrap();
        assert_eq!(text(output).await, stage);
        assert_eq!(world.wait(&id).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn logs_and_stream_show_each_byte_once() {
    let world = World::new().await;
    let id = world.create_with("cat", &["cat"], |request| request.config.open_stdin = Some(true)).await;
    world.engine.start(&id).await.unwrap();
    let mut first = world.engine.attach(&id, all()).await.unwrap().input.unwrap();
    first.write(Bytes::from("old\n")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let second = world.engine.attach(&id, AttachRequest { logs: true, ..all() }).await.unwrap();
    let mut input = second.input.unwrap();
    input.write(Bytes::from("new\n")).await.unwrap();
    // Without StdinOnce the input stays open for the next client.
    input.close().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.engine.kill(&id, None).await.unwrap();
    assert_eq!(text(second.output).await, "old\nnew\n");
    let late = world
        .engine
        .attach(&id, AttachRequest { logs: true, stream: false, stdin: false, ..all() })
        .await
        .unwrap();
    assert_eq!(text(late.output).await, "old\nnew\n");
}

#[tokio::test(start_paused = true)]
async fn the_detach_keys_let_the_client_go_and_the_process_go_on() {
    let world = World::new().await;
    let id = world
        .create_with("tty", &["cat"], |request| {
            request.config.open_stdin = Some(true);
            request.config.tty = Some(true);
        })
        .await;
    world.engine.start(&id).await.unwrap();
    let Attachment { output, input } = world.engine.attach(&id, all()).await.unwrap();
    assert!(output.tty);
    let mut input = input.unwrap();
    input.write(Bytes::from("a\x10")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(input.write(Bytes::from("\x11b")).await.is_err());
    text(output).await;
    assert_eq!(world.status(&id), bollard_stubs::models::ContainerStateStatusEnum::RUNNING);
    let bad = AttachRequest { detach_keys: Some("ctrl-!".into()), ..all() };
    let error = world.engine.attach(&id, bad).await.err().unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Invalid, "Invalid detach keys (ctrl-!) provided")
    );
}

#[tokio::test(start_paused = true)]
async fn an_attached_client_is_let_go_when_the_start_fails() {
    let world = World::new().await;
    let id = world.create("nope", &["nope"]).await;
    let attached = world.engine.attach(&id, all()).await.unwrap();
    assert!(attached.input.is_none(), "the container takes no input");
    world.engine.start(&id).await.unwrap_err();
    assert_eq!(text(attached.output).await, "");
}

#[tokio::test(start_paused = true)]
async fn the_terminals_size_reaches_the_process() {
    let world = World::new().await;
    let id = world.create("sized", &["cat"]).await;
    let size = TerminalSize { columns: 120, rows: 40 };
    assert_eq!(world.engine.resize(&id, size).await.unwrap_err().kind, ErrorKind::Conflict);
    world.engine.start(&id).await.unwrap();
    world.engine.resize(&id, size).await.unwrap();
    world.engine.kill(&id, None).await.unwrap();
    world.wait(&id).await;
    assert_eq!(world.output(&id).await, "120x40\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_writes_stays_attached_until_it_has_no_more() {
    let world = World::new().await;
    let id = world
        .create_with("cat", &["cat"], |request| {
            request.config.open_stdin = Some(true);
            request.config.stdin_once = Some(true);
        })
        .await;
    world.engine.start(&id).await.unwrap();
    let input_alone = AttachRequest { stdout: false, stderr: false, ..all() };
    let Attachment { output, input } = world.engine.attach(&id, input_alone).await.unwrap();
    let mut ended = tokio::spawn(text(output));
    let minute = std::time::Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, &mut ended).await.is_err(), "it ended although the container runs");
    let mut input = input.unwrap();
    input.write(Bytes::from("late\n")).await.unwrap();
    input.close().await.unwrap();
    assert_eq!(ended.await.unwrap(), "");
    assert_eq!(world.wait(&id).await, 0);
    assert_eq!(world.output(&id).await, "late\n");
}
