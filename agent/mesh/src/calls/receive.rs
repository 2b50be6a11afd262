//! `recvfrom`, `recvmsg` and `recvmmsg` of sockets whose senders are not who they seem.

use std::{net::SocketAddr, os::fd::AsFd, rc::Rc};

use rustix::io::Errno;
use tokio::{
    io::Interest,
    time::{Instant, sleep_until},
};

use super::connect::errno;
use crate::{
    Fabric,
    caller::{Call, MESSAGE_LENGTH, Name, Piece, Socket, decode, encode},
    kernel::{Received, receive_message, watch},
    mesh::Inner,
    tuning,
    watch::From,
};

/// Control data that is passed on, bytes: what a program asks for by socket options is far less.
const CONTROL: usize = 4096;

impl<F: Fabric> Inner<F> {
    pub(crate) async fn receive(self: Rc<Self>, call: Call, socket: i32, from: From, flags: i32) {
        let Some(call) = self.unheard.answer(call) else { return };
        let Ok((socket, _)) = call.socket(socket) else { return };
        let waits = flags & libc::MSG_DONTWAIT == 0 && socket.blocks();
        let until = socket.patience().map(|patience| Instant::now() + patience);
        let mut outcome = self.take(&call, &socket, &from, flags);
        if outcome == Err(Errno::AGAIN) && waits {
            let watched = match watch(socket.as_fd(), Interest::READABLE) {
                Ok(watched) => watched,
                Err(error) => return self.unheard.finish(call, Err(errno(error))),
            };
            while outcome == Err(Errno::AGAIN) && until.is_none_or(|until| Instant::now() < until) {
                // No longer than until it is worth a look whether anybody still waits.
                let look = Instant::now() + tuning::WAITING;
                tokio::select! {
                    ready = watched.readable() => match ready {
                        Ok(mut ready) => ready.clear_ready(),
                        Err(error) => {
                            outcome = Err(errno(error));
                            break;
                        }
                    },
                    () = sleep_until(until.map_or(look, |until| until.min(look))) => {}
                }
                if !call.is_valid() {
                    // Interrupted or killed; nothing was taken.
                    return;
                }
                outcome = self.take(&call, &socket, &from, flags);
            }
        }
        self.unheard.finish(call, outcome);
    }

    fn take(&self, call: &Call, socket: &Socket, from: &From, flags: i32) -> Result<i64, Errno> {
        match from {
            From::Plain { data, name, length_at } => {
                let received = self.one(call, socket, &[*data], 0, flags)?;
                // The kernel writes a name only where it says how long it is.
                call.tell(&received.name, *name, *length_at)?;
                Ok(received.count)
            }
            From::Message(header) => {
                let pieces = call.pieces(header)?;
                let room = if header.control == 0 { 0 } else { header.control_length };
                let received = self.one(call, socket, &pieces, room, flags)?;
                received.fill(call, header)?;
                Ok(received.count)
            }
            From::Many(messages) => {
                let mut count = 0;
                for place in messages.places() {
                    let header = call.header(place)?;
                    let pieces = call.pieces(&header)?;
                    let room = if header.control == 0 { 0 } else { header.control_length };
                    let received = match self.one(call, socket, &pieces, room, flags) {
                        Ok(received) => received,
                        Err(errno) if count == 0 => return Err(errno),
                        Err(_) => break,
                    };
                    received.fill(call, &header)?;
                    call.write(place + MESSAGE_LENGTH, &(received.count as u32).to_ne_bytes())?;
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    /// One datagram, with its data in the program's memory already.
    fn one(
        &self,
        call: &Call,
        socket: &Socket,
        pieces: &[Piece],
        room: u64,
        flags: i32,
    ) -> Result<Taken, Errno> {
        let length = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len));
        let mut data = vec![0; length.min(tuning::DATAGRAM)];
        let mut control = vec![0; usize::try_from(room).map_or(CONTROL, |room| room.min(CONTROL))];
        let asked = flags & !libc::MSG_WAITFORONE | libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let Received { length, name, control: used, flags: told } =
            receive_message(socket.as_fd(), &mut data, &mut control, asked).map_err(errno)?;
        data.truncate(length);
        control.truncate(used);
        call.scatter(pieces, &data)?;
        let name = match decode(&name) {
            Name::Internet(sender) => encode(self.seems(sender), socket.v6),
            Name::Nobody | Name::Other => name,
        };
        let count = if flags & libc::MSG_TRUNC == 0 { data.len() } else { length };
        Ok(Taken { count: count as i64, name, control, flags: told })
    }

    /// Who the program is to believe a sender to be.
    fn seems(&self, sender: SocketAddr) -> SocketAddr {
        let relayed = self.shared.table.relayed(sender);
        relayed.or_else(|| self.shared.behind(sender)).unwrap_or(sender)
    }
}

/// A datagram that was taken off a socket.
struct Taken {
    count: i64,
    name: Vec<u8>,
    control: Vec<u8>,
    flags: i32,
}

impl Taken {
    fn fill(&self, call: &Call, header: &crate::caller::Header) -> Result<(), Errno> {
        if header.name != 0 {
            let room = self.name.len().min(header.name_length as usize);
            call.write(header.name, &self.name[..room])?;
        }
        call.write(header.control, &self.control)?;
        call.fill(header, self.name.len(), self.control.len(), self.flags)
    }
}
