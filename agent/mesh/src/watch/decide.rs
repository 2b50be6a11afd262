//! Which calls are for the mesh.

use std::net::SocketAddr;

use rustix::io::Errno;

use super::{
    Decision::{self, Hand, Proceed},
    From, Message, Messages, Shared, Wanted,
};
use crate::{
    addresses::v4,
    caller::{Call, MESSAGE_LENGTH, Name, Piece, Vectored},
    dns,
};

impl Shared {
    /// What is to become of a call. Whatever cannot be read is the kernel's to refuse.
    pub(super) fn decide(&self, call: &Call) -> Decision {
        let arguments = call.told.arguments;
        let decided = match call.told.call {
            _ if !self.addresses.any() => Ok(Proceed),
            libc::SYS_connect => self.connect(call),
            libc::SYS_bind => self.bind(call),
            libc::SYS_sendto => self.send_to(call),
            libc::SYS_sendmsg => self.send_message(call),
            libc::SYS_sendmmsg => self.send_messages(call),
            libc::SYS_recvfrom => {
                let data = Piece { base: arguments[1], len: arguments[2] as usize };
                let from = || Ok(From::Plain { data, name: arguments[4], length_at: arguments[5] });
                self.receive(call, call.small(3), from)
            }
            libc::SYS_recvmsg => {
                self.receive(call, call.small(2), || Ok(From::Message(call.header(arguments[1])?)))
            }
            libc::SYS_recvmmsg => {
                let from = || Ok(From::Many(Vectored::new(arguments[1], arguments[2])));
                self.receive(call, call.small(3), from)
            }
            libc::SYS_getpeername => Ok(self.peer_name(call)),
            libc::SYS_getsockname => Ok(self.own_name(call)),
            _ => Ok(Proceed),
        };
        decided.unwrap_or(Proceed)
    }

    /// Whether what goes there goes through the mesh.
    pub(crate) fn concerns(&self, to: SocketAddr) -> bool {
        to.port() == dns::PORT || v4(to.ip()).is_some_and(|ip| self.addresses.is_virtual(ip))
    }

    fn connect(&self, call: &Call) -> Result<Decision, Errno> {
        match call.name(call.told.arguments[1], call.told.arguments[2])? {
            Name::Internet(to) if self.concerns(to) => return Ok(Hand(Wanted::Connect(call.small(0), to))),
            Name::Internet(_) | Name::Nobody if self.table.any_datagrams() => {
                if let Some(inode) = call.inode(call.small(0)) {
                    self.table.disconnect(inode);
                }
            }
            _ => {}
        }
        Ok(Proceed)
    }

    fn bind(&self, call: &Call) -> Result<Decision, Errno> {
        let name = call.name(call.told.arguments[1], call.told.arguments[2])?;
        Ok(match name {
            Name::Internet(to) if v4(to.ip()).is_some_and(|ip| self.addresses.is_own(ip)) => {
                Hand(Wanted::Bind(call.small(0), to))
            }
            _ => Proceed,
        })
    }

    fn send_to(&self, call: &Call) -> Result<Decision, Errno> {
        let arguments = call.told.arguments;
        let Name::Internet(to) = call.name(arguments[4], arguments[5])? else { return Ok(Proceed) };
        if !self.concerns(to) {
            return Ok(Proceed);
        }
        let pieces = vec![Piece { base: arguments[1], len: arguments[2] as usize }];
        let messages = Messages::One(Message { to: Some(to), pieces });
        Ok(Hand(Wanted::Send { socket: call.small(0), messages, flags: call.small(3) }))
    }

    fn send_message(&self, call: &Call) -> Result<Decision, Errno> {
        let header = call.header(call.told.arguments[1])?;
        let Name::Internet(to) = call.name(header.name, header.name_length.into())? else {
            return Ok(Proceed);
        };
        if !self.concerns(to) {
            return Ok(Proceed);
        }
        let messages = Messages::One(Message { to: Some(to), pieces: call.pieces(&header)? });
        Ok(Hand(Wanted::Send { socket: call.small(0), messages, flags: call.small(2) }))
    }

    fn send_messages(&self, call: &Call) -> Result<Decision, Errno> {
        let places = Vectored::new(call.told.arguments[1], call.told.arguments[2]);
        let mut messages = Vec::new();
        let mut concerned = false;
        for place in places.places() {
            let header = call.header(place)?;
            let to = match call.name(header.name, header.name_length.into())? {
                Name::Internet(to) => Some(to),
                _ => None,
            };
            concerned |= to.is_some_and(|to| self.concerns(to));
            messages.push((header, to, place));
        }
        if !concerned {
            return Ok(Proceed);
        }
        let message =
            |(header, to, place)| Ok((Message { to, pieces: call.pieces(&header)? }, place + MESSAGE_LENGTH));
        let messages = messages.into_iter().map(message).collect::<Result<_, Errno>>()?;
        let messages = Messages::Many(messages);
        Ok(Hand(Wanted::Send { socket: call.small(0), messages, flags: call.small(3) }))
    }

    fn receive(
        &self,
        call: &Call,
        flags: i32,
        from: impl FnOnce() -> Result<From, Errno>,
    ) -> Result<Decision, Errno> {
        if !self.table.any_datagrams() || flags & libc::MSG_ERRQUEUE != 0 {
            return Ok(Proceed);
        }
        let socket = call.small(0);
        let redirected = call.inode(socket).is_some_and(|inode| self.table.has_datagrams(inode));
        if !redirected {
            return Ok(Proceed);
        }
        Ok(Hand(Wanted::Receive { socket, from: from()?, flags }))
    }
}
