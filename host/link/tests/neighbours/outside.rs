//! Connections out of the mesh: to the daemon's API and to its machine.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use sockerless_agent_wire::{Frame, FromAgent, FromDaemon, mesh::Connected, request::Protocol, streams};
use sockerless_ports::link::Link;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket, UnixListener},
};

use crate::world::{FIRST, Raw, World, address, run, world};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 254);

/// What is said on the first channel until its end.
async fn read(agent: &mut Raw) -> Vec<u8> {
    let input = streams::of(FIRST, streams::INPUT);
    let mut came = Vec::new();
    loop {
        match agent.frame().await.unwrap() {
            Frame::Data { stream, bytes, .. } if stream == input => {
                came.extend_from_slice(&bytes);
                let offset = came.len() as u64;
                agent.send(Frame::Acknowledge { stream, offset, credit: 100 }).await;
            }
            Frame::Finish { stream, .. } if stream == input => return came,
            _ => {}
        }
    }
}

async fn gone(agent: &mut Raw) -> FromDaemon {
    agent.hear(|message| matches!(message, FromDaemon::Disconnected { .. })).await.unwrap()
}

async fn finish(agent: &mut Raw, offset: u64) {
    agent.send(Frame::Finish { stream: streams::of(FIRST, streams::OUTPUT), offset }).await;
}

fn open(world: &World, address: IpAddr) {
    *world.networks.machine.lock().unwrap() = Some(address);
}

#[tokio::test]
async fn the_api_is_reached_by_the_run_that_has_its_socket_and_half_of_it_may_be_closed() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let api = UnixListener::bind(&path).unwrap();
    *world.networks.api.lock().unwrap() = Some(path);
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    agent.say(FromAgent::ConnectApi { channel: FIRST }).await;
    assert!(matches!(agent.outcome().await, Connected::Open { credit: 1.. }));
    let (mut stream, _) = api.accept().await.unwrap();
    agent.write(0, b"GET /_ping").await;
    finish(&mut agent, 10).await;
    let mut asked = String::new();
    stream.read_to_string(&mut asked).await.unwrap();
    assert_eq!(asked, "GET /_ping");
    // More than the agent takes at once, after its own end.
    let answer = vec![b'x'; 1 << 20];
    let said = answer.clone();
    let answering = tokio::spawn(async move {
        stream.write_all(&said).await.unwrap();
    });
    assert!(read(&mut agent).await == answer);
    answering.await.unwrap();
    assert_eq!(gone(&mut agent).await, FromDaemon::Disconnected { channel: FIRST, reset: false });
}

#[tokio::test]
async fn a_forged_request_for_the_api_is_refused_and_reaches_nobody() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let api = UnixListener::bind(&path).unwrap();
    *world.networks.api.lock().unwrap() = Some(path);
    let mut forger = Raw::greet(&world, 2, |hello| hello).await;
    forger.say(FromAgent::ConnectApi { channel: FIRST }).await;
    assert_eq!(forger.outcome().await, Connected::Refused);
    // Whoever comes next is the first that the API hears of.
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    agent.say(FromAgent::ConnectApi { channel: FIRST }).await;
    agent.outcome().await;
    let (mut stream, _) = api.accept().await.unwrap();
    agent.write(0, b"me").await;
    let mut who = [0; 2];
    stream.read_exact(&mut who).await.unwrap();
    assert_eq!(&who, b"me");
    // The operator takes it away: what comes from now on is refused.
    *world.networks.api.lock().unwrap() = None;
    agent.say(FromAgent::ConnectApi { channel: FIRST + 1 }).await;
    assert_eq!(agent.outcome().await, Connected::Refused);
}

#[tokio::test]
async fn a_run_that_ends_takes_its_connections_to_the_api_along() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let api = UnixListener::bind(&path).unwrap();
    *world.networks.api.lock().unwrap() = Some(path);
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    for channel in [FIRST, FIRST + 1] {
        agent.say(FromAgent::ConnectApi { channel }).await;
        agent.outcome().await;
    }
    let (mut first, _) = api.accept().await.unwrap();
    let (mut second, _) = api.accept().await.unwrap();
    agent.say(FromAgent::HangUp { channel: FIRST }).await;
    assert_eq!(first.read(&mut [0; 8]).await.unwrap_or_default(), 0);
    world.link.dismiss(&run(1));
    assert_eq!(second.read(&mut [0; 8]).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_gateway_leads_to_the_daemons_machine_or_refuses() {
    let world = world().await;
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    agent.connect(FIRST, GATEWAY).await;
    assert_eq!(agent.outcome().await, Connected::Refused, "nobody has opened it");
    agent.say(FromAgent::HangUp { channel: FIRST }).await;
    open(&world, Ipv4Addr::LOCALHOST.into());
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    agent.reach(FIRST, Protocol::Tcp, GATEWAY, port).await;
    assert!(matches!(agent.outcome().await, Connected::Open { .. }));
    let (mut stream, _) = server.accept().await.unwrap();
    agent.write(0, b"hello").await;
    let mut came = [0; 5];
    stream.read_exact(&mut came).await.unwrap();
    stream.write_all(b"and hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!((&came, read(&mut agent).await), (b"hello", b"and hello".to_vec()));
    finish(&mut agent, 5).await;
    assert_eq!(gone(&mut agent).await, FromDaemon::Disconnected { channel: FIRST, reset: false });
    drop(server);
    agent.reach(FIRST + 1, Protocol::Tcp, GATEWAY, port).await;
    assert_eq!(agent.outcome().await, Connected::Refused, "nobody listens");
    // The other network's gateway is none of this run's.
    agent.reach(FIRST + 2, Protocol::Tcp, Ipv4Addr::new(172, 18, 1, 254), port).await;
    assert_eq!(agent.outcome().await, Connected::Unreachable);
}

#[tokio::test]
async fn datagrams_reach_the_daemons_machine_and_come_back() {
    let world = world().await;
    open(&world, Ipv4Addr::LOCALHOST.into());
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    agent.reach(FIRST, Protocol::Udp, GATEWAY, server.local_addr().unwrap().port()).await;
    assert!(matches!(agent.outcome().await, Connected::Open { .. }));
    agent.write(0, b"\0\x02hi\0\x01").await;
    agent.write(6, b"x").await;
    let mut buffer = [0; 16];
    let (length, from) = server.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"hi");
    assert_eq!(server.recv_from(&mut buffer).await.unwrap().0, 1);
    server.send_to(b"back", from).await.unwrap();
    loop {
        if let Some(Frame::Data { bytes, .. }) = agent.frame().await {
            assert_eq!(&bytes[..], b"\0\x04back");
            break;
        }
    }
}

/// A datagram, with its length, of one byte more than IPv4 has room for.
static LARGE: [u8; 2 + 65_508] = {
    let mut framed = [0; 2 + 65_508];
    (framed[0], framed[1]) = (0xff, 0xe4);
    framed
};

#[tokio::test]
async fn a_datagram_that_is_too_large_for_the_way_is_lost_alone() {
    let world = world().await;
    open(&world, Ipv4Addr::LOCALHOST.into());
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    agent.reach(FIRST, Protocol::Udp, GATEWAY, server.local_addr().unwrap().port()).await;
    assert!(matches!(agent.outcome().await, Connected::Open { .. }));
    let mut sent = 0;
    for piece in LARGE.chunks(16 * 1024).chain([&b"\0\x02hi"[..]]) {
        agent.write(sent, piece).await;
        sent += piece.len() as u64;
    }
    let mut buffer = [0; 16];
    assert_eq!(server.recv_from(&mut buffer).await.unwrap().0, 2);
    assert_eq!(&buffer[..2], b"hi");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_forged_request_is_warned_of_however_seldom() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let world = world().await;
    let mut forger = Raw::greet(&world, 2, |hello| hello).await;
    for channel in FIRST..FIRST + 5 {
        forger.connect(channel, address(3)).await;
        assert_eq!(forger.outcome().await, Connected::Unreachable);
    }
    forger.say(FromAgent::ConnectApi { channel: FIRST + 9 }).await;
    forger.outcome().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 3, "the first, the second and the fourth: {log}");
    let run = run(2).to_string();
    assert!(warnings.iter().all(|line| line.contains("172.18.1.3:80") && line.contains(&run)), "{log}");
}
