//! The names of sockets, as their program believes them to be: `getpeername`, `getsockname`.

use std::net::SocketAddr;

use super::{
    Decision::{self, Answer, Proceed},
    Shared,
};
use crate::{
    addresses::v4,
    caller::{Call, Socket, encode},
};

impl Shared {
    pub(super) fn peer_name(&self, call: &Call) -> Decision {
        let known = |socket: &Socket| {
            let peer = socket.peer()?;
            self.table.peer(socket.inode).or_else(|| self.behind(peer))
        };
        name(call, known)
    }

    pub(super) fn own_name(&self, call: &Call) -> Decision {
        let known = |socket: &Socket| {
            let local = socket.local().ok()?;
            if let Some(own) = self.behind(local) {
                return Some(own);
            }
            let peer = v4(self.table.peer(socket.inode)?.ip())?;
            Some((self.addresses.own_beside(peer)?, local.port()).into())
        };
        name(call, known)
    }

    /// The virtual address whose shadow this is.
    pub(crate) fn behind(&self, address: SocketAddr) -> Option<SocketAddr> {
        Some((self.addresses.behind(v4(address.ip())?)?, address.port()).into())
    }
}

/// Answers with a name that the mesh knows better than the kernel.
fn name(call: &Call, known: impl FnOnce(&Socket) -> Option<SocketAddr>) -> Decision {
    let Ok((socket, _)) = call.socket(call.small(0)) else { return Proceed };
    let Some(name) = known(&socket) else { return Proceed };
    let [_, base, length_at, ..] = call.told.arguments;
    Answer(call.tell(&encode(name, socket.v6), base, length_at).map(|()| 0))
}
