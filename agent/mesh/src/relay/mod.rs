//! What stands on this machine for those who are elsewhere.

mod admission;
mod datagrams;
mod hold;
mod splice;

use std::{
    io,
    net::{Ipv4Addr, TcpListener, UdpSocket},
};

pub(crate) use admission::Admission;
pub(crate) use datagrams::Relay;
pub(crate) use hold::Hold;
pub(crate) use splice::splice;

use crate::tuning::PORTS;

/// Opens something on 127.0.0.1, on a port that programs do not choose by themselves if there is one.
fn open<S>(bind: impl Fn((Ipv4Addr, u16)) -> io::Result<S>) -> io::Result<S> {
    let count = PORTS.end() - PORTS.start() + 1;
    let mut seed = [0; 2];
    // Any start will do.
    let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
    let start = u16::from_ne_bytes(seed) % count;
    let port = |turn: u16| PORTS.start() + (start + turn) % count;
    let tried = (0..TRIES).find_map(|turn| bind((Ipv4Addr::LOCALHOST, port(turn))).ok());
    tried.map_or_else(|| bind((Ipv4Addr::LOCALHOST, 0)), Ok)
}

/// Before the kernel chooses a port.
const TRIES: u16 = 16;

fn open_tcp() -> io::Result<TcpListener> {
    open(TcpListener::bind)
}

fn open_udp() -> io::Result<UdpSocket> {
    open(UdpSocket::bind)
}
