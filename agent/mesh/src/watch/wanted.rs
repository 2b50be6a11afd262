//! What a program wants, when it is for the mesh.

use std::net::SocketAddr;

use crate::caller::{Header, Piece, Vectored};

#[derive(Debug)]
pub(crate) enum Wanted {
    /// `connect` of a descriptor.
    Connect(i32, SocketAddr),
    /// `bind` of a descriptor to the container's own virtual address.
    Bind(i32, SocketAddr),
    Send {
        socket: i32,
        messages: Messages,
        flags: i32,
    },
    Receive {
        socket: i32,
        from: From,
        flags: i32,
    },
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Messages {
    /// `sendto`, `sendmsg`.
    One(Message),
    /// `sendmmsg`, with the places of each message's length.
    Many(Vec<(Message, u64)>),
}

#[derive(Debug)]
pub(crate) struct Message {
    /// `None` goes to who the socket is connected to.
    pub(crate) to: Option<SocketAddr>,
    pub(crate) pieces: Vec<Piece>,
}

/// Where to what is received.
#[derive(Debug)]
pub(crate) enum From {
    /// `recvfrom`: data, and where the sender's name and its length go.
    Plain { data: Piece, name: u64, length_at: u64 },
    /// `recvmsg`.
    Message(Header),
    /// `recvmmsg`.
    Many(Vectored),
}
