//! What carries connections to the peers: the agent's line to the daemon.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

/// The way to the peers, and who they are. The agent implements it; everything is called on the thread of [`Mesh::start`].
///
/// [`Mesh::start`]: crate::Mesh::start
pub trait Fabric: 'static {
    /// A connection to a peer's port. `poll_shutdown` ends one direction (the other goes on); an error of a read or
    /// a write, and a drop before both directions have ended, is a reset.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Connects to a port of a peer by TCP.
    ///
    /// Called once for each `connect` of a program to a virtual address that is not the container's own; the program waits
    /// meanwhile. The future is dropped when the program is gone, and after [`tuning::DIAL`](crate::tuning::DIAL).
    fn connect(&self, to: SocketAddrV4) -> impl Future<Output = Result<Self::Stream, Refusal>>;

    /// Opens an exchange of datagrams with a peer's UDP port, for one socket of a program; never waits.
    ///
    /// `None` when nobody has this address. The exchange ends when either side drops its ends, and after
    /// [`tuning::FLOW`](crate::tuning::FLOW) without a datagram.
    fn datagrams(&self, to: SocketAddrV4) -> Option<Datagrams>;

    /// The addresses behind a name, or `None` when the name is none of the mesh's: the name server that the program has
    /// asked answers then. An empty list is a name of the mesh without an address at the moment.
    ///
    /// `name` is in lower case, without the dot at the end. Several addresses are rotated by the mesh.
    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>>;

    /// The name of a virtual address, for reverse look-ups.
    fn name(&self, address: Ipv4Addr) -> Option<String>;

    /// The name servers that are asked in the place of one, one after the other, for what is none of the mesh's names; itself
    /// if there are none.
    fn name_servers(&self, _asked: SocketAddr) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// The TCP ports that a peer listens on: each list is the whole of it, and comes when it has changed. Ends when the peer is
    /// gone. For the rung `loopback` alone.
    fn ports(&self, peer: Ipv4Addr) -> mpsc::Receiver<Vec<u16>>;
}

/// Why a peer's port cannot be connected to; what the program is told stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody listens there: `ECONNREFUSED`.
    Refused,
    /// Nobody has this address, or it may not be reached: `EHOSTUNREACH`.
    Unreachable,
    /// No answer in time: `ETIMEDOUT`.
    TimedOut,
}

/// Both ends of an exchange of datagrams, each of at most 65,507 bytes.
#[derive(Debug)]
pub struct Datagrams {
    /// To the peer. What does not fit into the channel is lost, as UDP may.
    pub to_peer: mpsc::Sender<Bytes>,
    /// From the peer.
    pub from_peer: mpsc::Receiver<Bytes>,
}
