//! Agents that do not behave, and strangers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use sha2::{Digest as _, Sha256};
use sockerless_agent_wire::{
    Frame, Frames, FromAgent, FromDaemon, Hello, Key, Position, VERSIONS, Versions, limits, streams,
};
use sockerless_link::{AgentLink, AgentLinkConfig};
use sockerless_ports::link::{
    Admission, AgentEvents, Digest, Exit, Launch, LaunchFailure, Link, Output, Refusal, RunId,
    request::{Fault, FaultKind, Health, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// A container for whose agent there is nothing to start.
const IDLE: &str = "idle";

/// Passes on what it is told; keeps nothing and takes no output.
struct Engine {
    told: mpsc::UnboundedSender<String>,
    /// Asks the agent for something before a launch, and after the end.
    asks: Option<Weak<AgentLink>>,
}

#[async_trait]
impl AgentEvents for Engine {
    async fn bound(&self, _: &RunId, _: Digest) -> Result<(), Refusal> {
        self.say("bound")
    }
    async fn launch(&self, run: &RunId) -> Result<Option<Launch>, Refusal> {
        self.ask(run).await;
        self.say("launch")?;
        let launch = Launch { argv: vec!["x".into()], ..Launch::default() };
        Ok((run.container != IDLE).then_some(launch))
    }
    async fn started(&self, _: &RunId, pid: u32) {
        self.say(&format!("started {pid}")).unwrap();
    }
    async fn failed(&self, _: &RunId, _: LaunchFailure) {
        self.say("failed").unwrap();
    }
    async fn kept(&self, _: &RunId, _: Output) -> u64 {
        100
    }
    async fn output(&self, _: &RunId, _: Output, offset: u64, bytes: Bytes) -> Result<(), Refusal> {
        self.say(&format!("output {offset} {}", String::from_utf8_lossy(&bytes)))?;
        Err(Refusal("no more of this".to_owned()))
    }
    async fn exited(&self, run: &RunId, exit: Exit) {
        self.ask(run).await;
        self.say(&format!("exited {}", exit.code)).unwrap();
    }
    async fn health(&self, _: &RunId, _: Health) {}

    async fn leaving(&self, _: &RunId) {}

    async fn line(&self, _: &RunId, up: bool) {
        self.say(&format!("line {up}")).unwrap();
    }
}

impl Engine {
    async fn ask(&self, run: &RunId) {
        if let Some(link) = self.asks.as_ref().and_then(Weak::upgrade) {
            let (reply, _) = link.open(run, Request::Processes).await.unwrap();
            assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
        }
    }

    fn say(&self, what: &str) -> Result<(), Refusal> {
        self.told.send(what.to_owned()).map_err(|_| Refusal("the test is over".to_owned()))
    }
}

struct World {
    link: Arc<AgentLink>,
    port: u16,
    told: mpsc::UnboundedReceiver<String>,
}

fn run() -> RunId {
    RunId { container: "abc".to_owned(), generation: 2 }
}

async fn world() -> World {
    world_that(false).await
}

async fn world_that(asks: bool) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = AgentLink::new(AgentLinkConfig { callback_url: Some("ws://here".to_owned()), tls: None });
    assert_eq!(link.callback_url().as_deref(), Some("ws://here"));
    let (engine, told) = mpsc::unbounded_channel();
    let ticket = Sha256::digest([1; 32]).into();
    let engine = Engine { told: engine, asks: asks.then(|| Arc::downgrade(&link)) };
    link.admit(Admission { run: run(), ticket, secret: None }, Arc::new(engine));
    tokio::spawn(Arc::clone(&link).serve(listener));
    World { link, port, told }
}

fn hello() -> Hello {
    Hello {
        versions: VERSIONS,
        software: "test".to_owned(),
        run: run().to_string(),
        ticket: Some(Key::new([1; 32])),
        secret: Key::new([2; 32]),
        idle: false,
        streams: vec![Position { stream: streams::STDIN, offset: 0, credit: 10 }],
        commands: 0,
        session: None,
        channels: vec![],
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn dial(world: &World) -> Socket {
    connect_async(format!("ws://127.0.0.1:{}/agent/v1", world.port)).await.unwrap().0
}

async fn send(socket: &mut Socket, frames: &[Frame]) {
    let mut message = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut message));
    socket.send(Message::Binary(message.freeze())).await.unwrap();
}

async fn greet(world: &World, hello: Hello) -> (Socket, FromDaemon) {
    let mut socket = dial(world).await;
    send(&mut socket, &[Frame::control(&FromAgent::Hello(Box::new(hello))).unwrap()]).await;
    let answer = next(&mut socket).await.unwrap();
    (socket, answer)
}

/// The next control message; none at the end of the connection.
async fn next(socket: &mut Socket) -> Option<FromDaemon> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message {
            for frame in Frames::new(bytes) {
                if let Frame::Control(json) = frame.unwrap() {
                    return Some(FromDaemon::parse(&json).unwrap());
                }
            }
        }
    }
    None
}

fn refused(answer: FromDaemon) -> (String, bool) {
    match answer {
        FromDaemon::Refused { reason, again } => (reason, again),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_agent_of_another_version_is_refused_with_both_versions() {
    let world = world().await;
    let versions = Versions { min: 7, max: 9 };
    let (reason, again) = refused(greet(&world, Hello { versions, ..hello() }).await.1);
    assert!(reason.contains("7 to 9") && reason.contains("1 to 2"), "{reason}");
    assert!(!again);
}

#[tokio::test]
async fn an_unknown_run_may_be_known_later_a_wrong_key_never_fits() {
    let mut world = world().await;
    for run in ["abc.3", "abd.2", "abc", "", "abc.x"] {
        let (_, again) = refused(greet(&world, Hello { run: run.to_owned(), ..hello() }).await.1);
        assert!(again, "{run}");
    }
    for ticket in [None, Some(Key::new([9; 32]))] {
        let (reason, again) = refused(greet(&world, Hello { ticket, ..hello() }).await.1);
        assert!(!again && reason.contains("ticket"), "{reason}");
    }
    assert!(world.told.try_recv().is_err(), "the engine was not bothered");
    let (_socket, welcome) = greet(&world, hello()).await;
    let FromDaemon::Welcome { version: 2, streams: positions, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!(
        positions[0],
        Position { stream: streams::STDOUT, offset: 100, credit: limits::OUTPUT_WINDOW }
    );
    assert_eq!(world.told.recv().await.unwrap(), "bound");
    // The ticket alone is of no use any more, the secret alone is enough.
    let other = Key::new([3; 32]);
    assert!(!refused(greet(&world, Hello { secret: other, ..hello() }).await.1).1);
    let (_again, welcome) = greet(&world, Hello { ticket: None, ..hello() }).await;
    assert!(matches!(welcome, FromDaemon::Welcome { .. }));
}

#[tokio::test]
async fn a_connection_that_comes_anew_replaces_the_one_before() {
    let mut world = world().await;
    let (mut first, _) = greet(&world, hello()).await;
    let (_second, _) = greet(&world, hello()).await;
    assert_eq!(next(&mut first).await, None);
    for told in ["bound", "line true", "line false", "line true"] {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
    assert!(world.link.is_connected(&run()));
}

#[tokio::test]
async fn who_breaks_the_protocol_is_cut_off() {
    for frame in [
        Frame::Data { stream: streams::STDOUT, offset: 101, bytes: Bytes::from_static(b"gap") },
        Frame::Data { stream: 99, offset: 0, bytes: Bytes::from_static(b"no such stream") },
        Frame::Finish { stream: streams::STDOUT, offset: 1 },
        Frame::Acknowledge { stream: streams::STDIN, offset: 11, credit: 0 },
        Frame::Control(Bytes::from_static(b"no json")),
        Frame::control(&FromAgent::Hello(Box::new(hello()))).unwrap(),
    ] {
        let mut world = world().await;
        let (mut socket, _) = greet(&world, hello()).await;
        send(&mut socket, &[frame]).await;
        assert_eq!(next(&mut socket).await, None);
        for told in ["bound", "line true", "line false"] {
            assert_eq!(world.told.recv().await.unwrap(), told);
        }
    }
}

#[tokio::test]
async fn what_the_engine_has_already_is_not_told_again_and_its_refusal_reaches_the_agent() {
    let mut world = world().await;
    let (mut socket, _) = greet(&world, Hello { idle: true, ..hello() }).await;
    assert!(matches!(next(&mut socket).await, Some(FromDaemon::Launch(_))));
    let data = Frame::Data { stream: streams::STDOUT, offset: 98, bytes: Bytes::from_static(b"98new") };
    let started = Frame::control(&FromAgent::Started { pid: 5 }).unwrap();
    send(&mut socket, &[started.clone(), started, data]).await;
    assert_eq!(refused(next(&mut socket).await.unwrap()), ("no more of this".to_owned(), false));
    for told in ["bound", "line true", "launch", "started 5", "output 100 new", "line false"] {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
}

#[tokio::test]
async fn an_agent_for_which_there_is_nothing_to_start_may_come_back_and_asks_again() {
    let mut world = world().await;
    let (engine, mut told) = mpsc::unbounded_channel();
    let idle = RunId { container: IDLE.to_owned(), generation: 1 };
    let ticket = Sha256::digest([1; 32]).into();
    let engine = Engine { told: engine, asks: None };
    world.link.admit(Admission { run: idle.clone(), ticket, secret: None }, Arc::new(engine));
    let hello = || Hello { run: idle.to_string(), idle: true, ..hello() };
    for told_before in ["bound", "line false"] {
        let (socket, welcome) = greet(&world, hello()).await;
        assert!(matches!(welcome, FromDaemon::Welcome { .. }), "{welcome:?}");
        for expected in [told_before, "line true", "launch"] {
            assert_eq!(told.recv().await.unwrap(), expected);
        }
        drop(socket);
    }
    assert!(world.told.try_recv().is_err());
}

#[tokio::test]
async fn the_end_is_confirmed_on_each_connection_but_told_once() {
    let mut world = world().await;
    let exited = FromAgent::Exited { code: 3, signal: None, out_of_memory: false, time: 0 };
    for _ in 0..2 {
        let (mut socket, _) = greet(&world, hello()).await;
        send(&mut socket, &[Frame::control(&exited).unwrap()]).await;
        assert_eq!(next(&mut socket).await, Some(FromDaemon::Confirmed));
    }
    for told in ["bound", "line true", "exited 3", "line false", "line true"] {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
}

/// The channel on which the daemon asks.
async fn asked(socket: &mut Socket) -> u32 {
    match next(socket).await {
        Some(FromDaemon::Open { channel, .. }) => channel,
        other => panic!("{other:?}"),
    }
}

async fn refuse(socket: &mut Socket, channel: u32) {
    let fault = Fault { kind: FaultKind::Internal, message: "no".to_owned() };
    let reply = Reply::Failed(fault);
    let opened = FromAgent::Opened { channel, reply, input: (0, 0), outputs: [0, 0] };
    send(socket, &[Frame::control(&opened).unwrap()]).await;
}

#[tokio::test]
async fn a_line_that_breaks_while_the_engine_waits_for_the_agent_comes_back() {
    let mut world = world_that(true).await;
    let exited = FromAgent::Exited { code: 3, signal: None, out_of_memory: false, time: 0 };
    let (mut socket, _) = greet(&world, hello()).await;
    send(&mut socket, &[Frame::control(&exited).unwrap()]).await;
    asked(&mut socket).await;
    // Twice: what is still to be told of the second one waits behind the first.
    for _ in 0..2 {
        drop(socket);
        let welcome;
        (socket, welcome) = greet(&world, hello()).await;
        assert!(matches!(welcome, FromDaemon::Welcome { .. }), "{welcome:?}");
    }
    let channel = asked(&mut socket).await;
    refuse(&mut socket, channel).await;
    while next(&mut socket).await != Some(FromDaemon::Confirmed) {}
    let told = ["bound", "line true", "exited 3", "line false", "line true", "line false", "line true"];
    for told in told {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
    assert!(world.link.is_connected(&run()));
}

#[tokio::test]
async fn a_launch_for_which_the_engine_waits_for_the_agent_is_given_once_on_the_line_that_came_back() {
    let mut world = world_that(true).await;
    let hello = || Hello { idle: true, ..hello() };
    let (mut socket, _) = greet(&world, hello()).await;
    asked(&mut socket).await;
    drop(socket);
    let (mut socket, _) = greet(&world, hello()).await;
    let channel = asked(&mut socket).await;
    refuse(&mut socket, channel).await;
    while !matches!(next(&mut socket).await, Some(FromDaemon::Launch(_))) {}
    for told in ["bound", "line true", "launch", "line false", "line true"] {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
    send(&mut socket, &[Frame::control(&FromAgent::Started { pid: 5 }).unwrap()]).await;
    assert_eq!(world.told.recv().await.unwrap(), "started 5");
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_dead_after_fifteen_seconds() {
    let mut world = world().await;
    let (_socket, _) = greet(&world, hello()).await;
    for told in ["bound", "line true"] {
        assert_eq!(world.told.recv().await.unwrap(), told);
    }
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    assert_eq!(world.told.recv().await.unwrap(), "line false");
    // Counted from its last word, which came before the clock was stopped.
    assert!((11..=15).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(!world.link.is_connected(&run()));
}

#[tokio::test]
async fn other_requests_are_answered_as_http() {
    let world = world().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "HTTP/1.1 404"),
        ("GET /agent/v1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "HTTP/1.1 426"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(status), "{answer}");
    }
}
