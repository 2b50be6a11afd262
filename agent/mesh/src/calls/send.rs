//! `sendto`, `sendmsg` and `sendmmsg` with an address.

use std::{net::SocketAddr, rc::Rc};

use bytes::Bytes;
use rustix::io::Errno;

use crate::{
    Fabric,
    caller::{Call, Kind, Socket},
    mesh::Inner,
    tuning,
    watch::{Message, Messages},
};

impl<F: Fabric> Inner<F> {
    pub(crate) fn send(self: &Rc<Self>, call: Call, socket: i32, messages: &Messages, flags: i32) {
        let Some(call) = self.unheard.answer(call) else { return };
        let Ok((socket, _)) = call.socket(socket) else { return };
        match socket.kind {
            Kind::Udp => {}
            Kind::Tcp if flags & libc::MSG_FASTOPEN != 0 => {
                // Programs connect as usual then.
                call.answer(Err(Errno::OPNOTSUPP));
                return;
            }
            // A connected stream ignores the address.
            Kind::Tcp | Kind::Other => return,
        }
        let outcome = match messages {
            Messages::One(message) => self.deliver(&call, &socket, message, flags).map(|sent| sent as i64),
            Messages::Many(messages) => self.deliver_all(&call, &socket, messages, flags),
        };
        self.unheard.finish(call, outcome);
    }

    /// As many as can be sent; an error only of the first, as the kernel has it.
    fn deliver_all(
        self: &Rc<Self>,
        call: &Call,
        socket: &Socket,
        messages: &[(Message, u64)],
        flags: i32,
    ) -> Result<i64, Errno> {
        let mut count = 0;
        for (message, length_at) in messages {
            let sent = self.deliver(call, socket, message, flags).and_then(|sent| {
                // No datagram is as long as 4 GiB.
                call.write(*length_at, &(sent as u32).to_ne_bytes())
            });
            match sent {
                Ok(()) => count += 1,
                Err(errno) if count == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(count)
    }

    fn deliver(
        self: &Rc<Self>,
        call: &Call,
        socket: &Socket,
        message: &Message,
        flags: i32,
    ) -> Result<usize, Errno> {
        let length: usize = message.pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.len));
        if length > tuning::DATAGRAM {
            return Err(Errno::MSGSIZE);
        }
        let mut data = vec![0; length];
        call.gather(&message.pieces, &mut data)?;
        let Some(to) = message.to.or_else(|| socket.peer()) else { return Err(Errno::DESTADDRREQ) };
        if let Some(own) = self.own(to) {
            let sent = socket.send(&data, own, flags)?;
            // Answers come from the shadow.
            self.shared.table.note_datagrams(socket.inode);
            return Ok(sent);
        }
        if !self.shared.concerns(to) {
            return socket.send(&data, to, flags);
        }
        let local: SocketAddr = socket.reachable()?;
        let relay = self.relay(to)?;
        self.shared.table.note_datagrams(socket.inode);
        self.outgoing(&relay, local, Bytes::from(data));
        Ok(length)
    }
}
