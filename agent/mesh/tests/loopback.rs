//! The rung `loopback`: listeners that stand for peers' ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
    rc::Rc,
};

use fixture::{Peers, fabric::read, with};
use sockerless_mesh::{Loopback, loopback::OWN_SEAT};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

const PEER: [u8; 4] = [172, 18, 0, 3];

fn listens(peers: &Peers, ports: &[u16]) {
    peers.ports.borrow_mut().entry(PEER.into()).or_default().send_replace(ports.to_vec());
}

/// A port that is free on all addresses.
async fn free() -> u16 {
    TcpListener::bind("0.0.0.0:0").await.unwrap().local_addr().unwrap().port()
}

/// Connects once somebody listens.
async fn reach(to: SocketAddrV4) -> TcpStream {
    loop {
        match TcpStream::connect(to).await {
            Ok(stream) => return stream,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[test]
fn a_peers_ports_are_reached_on_an_address_of_its_own_from_when_it_listens_until_it_does_not() {
    with(async |container| {
        let (port, later) = (free().await, free().await);
        container.peers.echo(PEER, port).await;
        container.peers.echo(PEER, later).await;
        listens(&container.peers, &[port]);
        let loopback = Loopback::start(Rc::clone(&container.peers));
        let seat = loopback.seat(PEER.into());
        assert_ne!(seat, OWN_SEAT);
        assert_eq!(seat, loopback.seat(PEER.into()));
        loopback.replace(&BTreeSet::from([PEER.into()]));
        let mut stream = reach(SocketAddrV4::new(seat, port)).await;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read(stream).await.unwrap(), format!("172.18.0.3:{port}\nhello").as_bytes());
        assert!(TcpStream::connect(SocketAddrV4::new(seat, later)).await.is_err());
        listens(&container.peers, &[later]);
        drop(reach(SocketAddrV4::new(seat, later)).await);
        while TcpStream::connect(SocketAddrV4::new(seat, port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
        loopback.replace(&BTreeSet::new());
        while TcpStream::connect(SocketAddrV4::new(seat, later)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_port_that_the_container_itself_has_is_told_of_as_a_clash_until_it_is_free() {
    with(async |container| {
        let own = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = own.local_addr().unwrap().port();
        container.peers.echo(PEER, port).await;
        listens(&container.peers, &[port]);
        let loopback = Loopback::start(Rc::clone(&container.peers));
        let mut clashes = loopback.clashes();
        loopback.replace(&BTreeSet::from([PEER.into()]));
        let at = SocketAddrV4::new(loopback.seat(Ipv4Addr::from(PEER)), port);
        assert_eq!(*clashes.wait_for(|known| !known.is_empty()).await.unwrap(), BTreeSet::from([at]));
        drop(own);
        clashes.wait_for(BTreeSet::is_empty).await.unwrap();
        drop(reach(at).await);
    });
}

#[test]
fn a_refusal_that_comes_after_the_connection_is_a_reset() {
    with(async |container| {
        let port = free().await;
        listens(&container.peers, &[port]);
        let loopback = Loopback::start(Rc::clone(&container.peers));
        loopback.replace(&BTreeSet::from([PEER.into()]));
        let stream = reach(SocketAddrV4::new(loopback.seat(PEER.into()), port)).await;
        assert_eq!(read(stream).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
}
