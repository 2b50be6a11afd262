//! A link with scripted agents on two networks.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use sha2::{Digest as _, Sha256};
use sockerless_agent_wire::{
    Frame, Frames, FromAgent, FromDaemon, Hello, Key, Position, VERSIONS,
    mesh::{Connected, Target},
    request::{Health, Protocol, Reply, Request},
    streams,
};
use sockerless_link::{AgentLink, AgentLinkConfig};
use sockerless_ports::link::{
    Admission, AgentEvents, Catching, Digest, Exit, Launch, LaunchFailure, Link, Mesh, MeshView, Output,
    Refusal, Route, RunId,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

struct Engine;

#[async_trait]
impl AgentEvents for Engine {
    async fn bound(&self, _: &RunId, _: Digest) -> Result<(), Refusal> {
        Ok(())
    }
    async fn launch(&self, _: &RunId) -> Result<Option<Launch>, Refusal> {
        Err(Refusal("nothing to do".to_owned()))
    }
    async fn started(&self, _: &RunId, _: u32) {}
    async fn failed(&self, _: &RunId, _: LaunchFailure) {}
    async fn kept(&self, _: &RunId, _: Output) -> u64 {
        0
    }
    async fn output(&self, _: &RunId, _: Output, _: u64, _: Bytes) -> Result<(), Refusal> {
        Ok(())
    }
    async fn exited(&self, _: &RunId, _: Exit) {}
    async fn health(&self, _: &RunId, _: Health) {}
    async fn leaving(&self, _: &RunId) {}
    async fn line(&self, _: &RunId, _: bool) {}
}

/// Runs 1 and 2 are on 172.18.0.0/24, runs 3 and 4 on 172.18.1.0/24: two networks of one name. The last byte of an address is
/// the run.
#[derive(Default)]
pub struct Networks {
    /// Who asked for which way.
    pub asked: Mutex<Vec<(u32, Ipv4Addr)>>,
    /// The socket of the API, for run 1 alone.
    pub api: Mutex<Option<PathBuf>>,
    /// Where the gateways of networks lead.
    pub machine: Mutex<Option<IpAddr>>,
}

fn third(run: u32) -> u8 {
    u8::from(run > 2)
}

pub fn address(run: u32) -> Ipv4Addr {
    Ipv4Addr::new(172, 18, third(run), u8::try_from(run).unwrap())
}

#[async_trait]
impl Mesh for Networks {
    fn view(&self, _: &RunId) -> MeshView {
        MeshView { catch: true, ..MeshView::default() }
    }

    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        self.asked.lock().unwrap().push((from.generation, to));
        let [a, b, network, host] = to.octets();
        match (a, b, host) {
            (172, 18, 1..=4) if network == third(from.generation) && third(host.into()) == network => {
                Route::To { run: run(host.into()), from: address(from.generation) }
            }
            // That of the gateways.
            (172, 18, 254) if network == third(from.generation) => {
                self.machine.lock().unwrap().map_or(Route::Closed, Route::Outside)
            }
            (172, 18, _) if network == third(from.generation) => Route::Nobody,
            _ => Route::Foreign,
        }
    }

    fn api(&self, from: &RunId) -> Option<PathBuf> {
        self.api.lock().unwrap().clone().filter(|_| from.generation == 1)
    }

    async fn catching(&self, _: &RunId, _: Catching) {}
}

pub struct World {
    pub link: Arc<AgentLink>,
    pub networks: Arc<Networks>,
    port: u16,
}

pub fn run(generation: u32) -> RunId {
    RunId { container: "abc".to_owned(), generation }
}

pub async fn world() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = AgentLink::new(AgentLinkConfig::default());
    let networks = Arc::<Networks>::default();
    link.join(Arc::clone(&networks) as _);
    for generation in 1..=4 {
        let ticket = Sha256::digest([1; 32]).into();
        link.admit(Admission { run: run(generation), ticket, secret: None }, Arc::new(Engine));
    }
    tokio::spawn(Arc::clone(&link).serve(listener));
    World { link, networks, port }
}

/// An agent that says what a test wants.
pub struct Raw {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    frames: Vec<Frame>,
    pub welcome: FromDaemon,
}

impl Raw {
    pub async fn greet(world: &World, generation: u32, change: impl FnOnce(Hello) -> Hello) -> Self {
        let (socket, _) = connect_async(format!("ws://127.0.0.1:{}/agent/v1", world.port)).await.unwrap();
        let hello = change(Hello {
            versions: VERSIONS,
            software: "test".to_owned(),
            run: run(generation).to_string(),
            ticket: Some(Key::new([1; 32])),
            secret: Key::new([2; 32]),
            idle: false,
            streams: vec![Position { stream: streams::STDIN, offset: 0, credit: 10 }],
            commands: 0,
            session: None,
            channels: vec![],
        });
        let mut raw = Self { socket, frames: Vec::new(), welcome: FromDaemon::Confirmed };
        raw.say(FromAgent::Hello(Box::new(hello))).await;
        raw.welcome = raw.hear(|_| true).await.unwrap();
        raw
    }

    pub async fn say(&mut self, message: FromAgent) {
        self.send(Frame::control(&message).unwrap()).await;
    }

    pub async fn send(&mut self, frame: Frame) {
        let mut message = BytesMut::new();
        frame.encode(&mut message);
        self.socket.send(Message::Binary(message.freeze())).await.unwrap();
    }

    /// The next frame; none at the end.
    pub async fn frame(&mut self) -> Option<Frame> {
        while self.frames.is_empty() {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    self.frames.extend(Frames::new(bytes).map(Result::unwrap))
                }
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
        Some(self.frames.remove(0))
    }

    /// The next control message of a kind; none at the end.
    pub async fn hear(&mut self, wanted: impl Fn(&FromDaemon) -> bool) -> Option<FromDaemon> {
        loop {
            if let Frame::Control(json) = self.frame().await? {
                let message = FromDaemon::parse(&json).unwrap();
                if wanted(&message) {
                    return Some(message);
                }
            }
        }
    }

    /// Bytes on the first channel.
    pub async fn write(&mut self, offset: u64, bytes: &'static [u8]) {
        let stream = streams::of(FIRST, streams::OUTPUT);
        self.send(Frame::Data { stream, offset, bytes: Bytes::from_static(bytes) }).await;
    }

    pub async fn connect(&mut self, channel: u32, address: Ipv4Addr) {
        self.reach(channel, Protocol::Tcp, address, 80).await;
    }

    pub async fn reach(&mut self, channel: u32, protocol: Protocol, address: Ipv4Addr, port: u16) {
        let target = Target { protocol, address, port };
        self.say(FromAgent::Connect { channel, target }).await;
    }

    pub async fn outcome(&mut self) -> Connected {
        match self.hear(|message| matches!(message, FromDaemon::Connected { .. })).await {
            Some(FromDaemon::Connected { outcome, .. }) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Is asked for a connection, and answers.
    pub async fn answer(&mut self, reply: Reply) -> (u32, Request) {
        match self.hear(|message| matches!(message, FromDaemon::Open { .. })).await {
            Some(FromDaemon::Open { channel, request }) => {
                self.say(FromAgent::Opened { channel, reply, input: (0, 0), outputs: [0; 2] }).await;
                (channel, *request)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The first channel that an agent opens.
pub const FIRST: u32 = streams::OF_AGENT;
