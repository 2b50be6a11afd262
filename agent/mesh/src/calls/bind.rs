//! `bind` to the container's own virtual address.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::{
    Fabric,
    addresses::{shadow, v4},
    caller::{Call, Kind},
    mesh::Inner,
};

impl<F: Fabric> Inner<F> {
    /// No interface has the address: its shadow is bound, where connections from peers arrive.
    pub(crate) fn bind(&self, call: Call, socket: i32, to: SocketAddr) {
        let Ok((socket, _)) = call.socket(socket) else { return };
        let (Some(ip), true) = (v4(to.ip()), socket.kind != Kind::Other) else { return };
        let own = SocketAddr::from((shadow(ip), to.port()));
        let bound = match socket.bind(own) {
            // The call was interrupted after it was done, and is made again.
            Err(Errno::INVAL) if socket.local().is_ok_and(|local| local.ip() == own.ip()) => Ok(()),
            bound => bound,
        };
        if bound.is_ok() && socket.kind == Kind::Udp {
            // What it receives from the container itself comes from a shadow.
            self.shared.table.note_datagrams(socket.inode);
        }
        call.answer(bound.map(|()| 0));
    }
}
