//! What an agent may ask for that is not what it claims to be: the host decides who reaches whom, and each line speaks for its
//! own run alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod outside;
mod world;

use std::net::Ipv4Addr;

use bytes::Bytes;
use sockerless_agent_wire::{
    Frame, FromAgent, FromDaemon, Hello, Versions,
    mesh::Connected,
    request::{End, Fault, FaultKind, Reply, Request},
    streams,
};
use sockerless_ports::link::Link;

use world::{FIRST, Raw, address, run, world};

#[tokio::test]
async fn a_forged_connection_to_another_network_is_refused_and_reaches_nobody() {
    let world = world().await;
    let mut agent = Raw::greet(&world, 1, |hello| hello).await;
    let mut victim = Raw::greet(&world, 3, |hello| hello).await;
    for (place, forged) in
        [address(3), Ipv4Addr::LOCALHOST, Ipv4Addr::new(169, 254, 169, 254)].into_iter().enumerate()
    {
        agent.connect(FIRST + u32::try_from(place).unwrap(), forged).await;
        assert_eq!(agent.outcome().await, Connected::Unreachable, "{forged}");
    }
    assert!(
        world.networks.asked.lock().unwrap().iter().all(|(from, _)| *from == 1),
        "its line says who it is"
    );
    // What the victim hears next is what a neighbour of its own asks.
    let mut neighbour = Raw::greet(&world, 4, |hello| hello).await;
    neighbour.connect(FIRST, address(3)).await;
    let (_, request) = victim.answer(Reply::Ready).await;
    let Request::Reach(reach) = request else { panic!("{request:?}") };
    assert_eq!((reach.from, reach.target.address, reach.target.port), (address(4), address(3), 80));
    assert!(matches!(neighbour.outcome().await, Connected::Open { credit: 1.. }));
}

#[tokio::test]
async fn networks_of_one_name_do_not_mix() {
    let world = world().await;
    let (mut one, mut two) =
        (Raw::greet(&world, 2, |hello| hello).await, Raw::greet(&world, 4, |hello| hello).await);
    for (client, server) in [(1, &mut one), (3, &mut two)] {
        let mut agent = Raw::greet(&world, client, |hello| hello).await;
        agent.connect(FIRST, address(client + 1)).await;
        let (channel, _) = server.answer(Reply::Ready).await;
        assert!(matches!(agent.outcome().await, Connected::Open { .. }));
        let bytes = Bytes::from(format!("from {client}"));
        agent
            .send(Frame::Data {
                stream: streams::of(FIRST, streams::OUTPUT),
                offset: 0,
                bytes: bytes.clone(),
            })
            .await;
        loop {
            if let Some(Frame::Data { stream, bytes: came, .. }) = server.frame().await {
                assert_eq!((stream, came), (streams::of(channel, streams::INPUT), bytes));
                break;
            }
        }
    }
}

#[tokio::test]
async fn how_it_ends_at_the_one_side_is_told_to_the_other() {
    let world = world().await;
    let (mut a, mut b) =
        (Raw::greet(&world, 1, |hello| hello).await, Raw::greet(&world, 2, |hello| hello).await);
    let fault = |kind| Reply::Failed(Fault { kind, message: "no".to_owned() });
    a.connect(FIRST, address(2)).await;
    b.answer(fault(FaultKind::Refused)).await;
    assert_eq!(a.outcome().await, Connected::Refused);
    a.connect(FIRST + 1, address(2)).await;
    b.answer(fault(FaultKind::Internal)).await;
    assert_eq!(a.outcome().await, Connected::TimedOut);
    a.connect(FIRST + 2, address(2)).await;
    let (channel, _) = b.answer(Reply::Ready).await;
    assert!(matches!(a.outcome().await, Connected::Open { .. }));
    b.say(FromAgent::Ended {
        channel,
        end: End::Failed(Fault { kind: FaultKind::Internal, message: String::new() }),
    })
    .await;
    let gone = a.hear(|message| matches!(message, FromDaemon::Disconnected { .. })).await;
    assert_eq!(gone, Some(FromDaemon::Disconnected { channel: FIRST + 2, reset: true }));
    a.connect(FIRST + 3, address(2)).await;
    let (channel, _) = b.answer(Reply::Ready).await;
    assert!(matches!(a.outcome().await, Connected::Open { .. }));
    a.say(FromAgent::HangUp { channel: FIRST + 3 }).await;
    let closed =
        b.hear(|message| matches!(message, FromDaemon::Close { channel: of, .. } if *of == channel)).await;
    assert!(closed.is_some());
    a.connect(FIRST + 4, Ipv4Addr::new(172, 18, 0, 77)).await;
    assert_eq!(a.outcome().await, Connected::Unreachable, "nobody has that address");
}

#[tokio::test]
async fn a_connection_outlives_a_cut_of_either_line() {
    let world = world().await;
    let (mut a, mut b) =
        (Raw::greet(&world, 1, |hello| hello).await, Raw::greet(&world, 2, |hello| hello).await);
    let FromDaemon::Welcome { session, .. } = a.welcome else { panic!() };
    a.connect(FIRST, address(2)).await;
    // The answer comes while its line is down, and is said again.
    drop(a);
    let (channel, _) = b.answer(Reply::Ready).await;
    let again = |hello: Hello| Hello { session: Some(session), channels: vec![(FIRST, 0, 100)], ..hello };
    let mut a = Raw::greet(&world, 1, again).await;
    assert!(matches!(a.outcome().await, Connected::Open { .. }));
    let FromDaemon::Welcome { session, .. } = b.welcome else { panic!() };
    let data = |offset, bytes: &'static [u8]| Frame::Data {
        stream: streams::of(FIRST, streams::OUTPUT),
        offset,
        bytes: Bytes::from_static(bytes),
    };
    a.send(data(0, b"half ")).await;
    drop(b);
    a.send(data(5, b"way")).await;
    let resumed = |hello: Hello| Hello { session: Some(session), channels: vec![(channel, 0, 100)], ..hello };
    let mut b = Raw::greet(&world, 2, resumed).await;
    let mut came = Vec::new();
    while came.len() < 8 {
        if let Some(Frame::Data { bytes, offset, .. }) = b.frame().await {
            assert_eq!(offset, came.len() as u64);
            came.extend_from_slice(&bytes);
        }
    }
    assert_eq!(came, b"half way");
    // Only now, when the other end has dealt with it, may the first send more.
    b.send(Frame::Acknowledge { stream: streams::of(channel, streams::INPUT), offset: 8, credit: 100 }).await;
    loop {
        if let Some(Frame::Acknowledge { stream, offset, .. }) = a.frame().await
            && stream == streams::of(FIRST, streams::OUTPUT)
        {
            assert_eq!(offset, 8);
            break;
        }
    }
    world.link.dismiss(&run(2));
    let gone = a.hear(|message| matches!(message, FromDaemon::Disconnected { .. })).await;
    assert_eq!(gone, Some(FromDaemon::Disconnected { channel: FIRST, reset: true }));
}

#[tokio::test]
async fn an_agent_of_the_first_version_hears_nothing_of_the_mesh_and_is_not_asked_for_connections() {
    let world = world().await;
    let old = |hello: Hello| Hello { versions: Versions { min: 1, max: 1 }, ..hello };
    let mut agent = Raw::greet(&world, 1, old).await;
    assert!(matches!(agent.welcome, FromDaemon::Welcome { version: 1, .. }));
    let mut new = Raw::greet(&world, 2, |hello| hello).await;
    assert!(new.hear(|message| matches!(message, FromDaemon::Mesh(_))).await.is_some());
    new.connect(FIRST, address(1)).await;
    assert_eq!(new.outcome().await, Connected::Unreachable);
    agent.connect(FIRST, address(2)).await;
    assert_eq!(agent.hear(|_| true).await, None, "that breaks the protocol, and nothing came before");
}

#[tokio::test]
async fn a_flood_is_cut_off_where_it_exceeds_what_was_allowed() {
    let world = world().await;
    let (mut a, mut b) =
        (Raw::greet(&world, 1, |hello| hello).await, Raw::greet(&world, 2, |hello| hello).await);
    a.connect(FIRST, address(2)).await;
    b.answer(Reply::Ready).await;
    let Connected::Open { credit } = a.outcome().await else { panic!() };
    // The other end deals with nothing.
    let stream = streams::of(FIRST, streams::OUTPUT);
    let piece = Bytes::from(vec![0; 64 << 10]);
    let mut offset = 0;
    while offset <= u64::from(credit) {
        a.send(Frame::Data { stream, offset, bytes: piece.clone() }).await;
        offset += piece.len() as u64;
    }
    assert_eq!(a.hear(|_| true).await, None, "the line is cut");
}
