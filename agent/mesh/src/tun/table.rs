//! Which of the agent's sockets stands for whom.
//!
//! The kernel of the namespace does TCP: a connection of the container's is led, packet by packet, to a listener of the
//! agent's, and one to the container comes from a socket of the agent's. Each end that is not there has a *seat*, an address
//! that only these packets have.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{Ipv4Addr, SocketAddrV4},
    rc::{Rc, Weak},
};

use super::{packet::Header, space::AGENT};

/// One connection, or exchange of datagrams.
#[derive(Debug)]
pub(super) struct Flow {
    pub protocol: u8,
    /// The container's end.
    pub near: SocketAddrV4,
    /// The other, as the container knows it.
    pub far: SocketAddrV4,
    /// What stands for the other towards the agent.
    pub seat: SocketAddrV4,
    /// The agent's socket, once it is known.
    agent: Cell<Option<SocketAddrV4>>,
    /// Nothing but last packets come.
    pub over: Cell<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    by_ends: RefCell<HashMap<(u8, SocketAddrV4, SocketAddrV4), Rc<Flow>>>,
    by_seat: RefCell<HashMap<(u8, SocketAddrV4), Rc<Flow>>>,
    seats: Cell<u32>,
}

/// Seats' addresses: 198.19.0.0/16, which no network has (RFC 2544).
const SEATS: u32 = 0xc613_0000;
/// Ports of one address.
const PORTS: u32 = 60_000;
const FIRST_PORT: u32 = 1024;

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on between these.
    Redirect { from: SocketAddrV4, to: SocketAddrV4 },
    /// It belongs to nothing that is known.
    Unknown,
    /// It comes again when there is an answer.
    Wait,
}

impl Table {
    fn seat(&self) -> SocketAddrV4 {
        let number = self.seats.get();
        self.seats.set(number.wrapping_add(1));
        let address = Ipv4Addr::from(SEATS | (number / PORTS) & 0xffff);
        // Below 65,536 by the constants.
        SocketAddrV4::new(address, (FIRST_PORT + number % PORTS) as u16)
    }

    fn add(&self, flow: Flow) -> Rc<Flow> {
        let flow = Rc::new(flow);
        self.by_ends.borrow_mut().insert((flow.protocol, flow.near, flow.far), Rc::clone(&flow));
        self.by_seat.borrow_mut().insert((flow.protocol, flow.seat), Rc::clone(&flow));
        flow
    }

    /// What the container begins. One of the same ends is over, or its first packet would have been known.
    pub fn outgoing(&self, header: &Header) -> Rc<Flow> {
        let Header { protocol, from: near, to: far, .. } = *header;
        self.add(Flow {
            protocol,
            near,
            far,
            seat: self.seat(),
            agent: Cell::new(None),
            over: Cell::new(false),
        })
    }

    /// What comes from a peer.
    pub fn incoming(&self, protocol: u8, peer: Ipv4Addr, near: SocketAddrV4) -> Rc<Flow> {
        loop {
            let seat = self.seat();
            let far = SocketAddrV4::new(peer, seat.port());
            if !self.by_ends.borrow().contains_key(&(protocol, near, far)) {
                return self.add(Flow {
                    protocol,
                    near,
                    far,
                    seat,
                    agent: Cell::new(None),
                    over: Cell::new(false),
                });
            }
        }
    }

    /// The agent's end is here: packets go on.
    pub fn meet(&self, flow: &Flow, agent: SocketAddrV4) {
        flow.agent.set(Some(agent));
    }

    pub fn remove(&self, flow: &Rc<Flow>) {
        let ends = (flow.protocol, flow.near, flow.far);
        let mut by_ends = self.by_ends.borrow_mut();
        if by_ends.get(&ends).is_some_and(|known| Rc::ptr_eq(known, flow)) {
            by_ends.remove(&ends);
        }
        drop(by_ends);
        self.by_seat.borrow_mut().remove(&(flow.protocol, flow.seat));
    }

    pub fn fate(&self, header: &Header) -> Fate {
        let Header { protocol, from, to, .. } = *header;
        if *from.ip() == AGENT {
            return match self.by_seat.borrow().get(&(protocol, to)) {
                Some(flow) => {
                    if flow.agent.get().is_none() {
                        flow.agent.set(Some(from));
                    }
                    Fate::Redirect { from: flow.far, to: flow.near }
                }
                None => Fate::Unknown,
            };
        }
        match self.by_ends.borrow().get(&(protocol, from, to)) {
            Some(flow) => match flow.agent.get() {
                Some(agent) => Fate::Redirect { from: flow.seat, to: agent },
                None => Fate::Wait,
            },
            None => Fate::Unknown,
        }
    }

    /// A packet opens a connection: one between the same ends that is over gives way.
    pub fn give_way(&self, header: &Header) {
        let flow = self.by_ends.borrow().get(&(header.protocol, header.from, header.to)).cloned();
        if let Some(flow) = flow.filter(|flow| flow.over.get()) {
            self.remove(&flow);
        }
    }
}

/// Keeps a flow for as long as it lives, and is told when that ends.
pub struct Seat {
    pub(super) flow: Rc<Flow>,
    pub(super) table: Weak<Table>,
    pub(super) ended: fn(Rc<Table>, Rc<Flow>),
}

impl Seat {
    /// Where to send: the container's end.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        self.flow.seat
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            (self.ended)(table, Rc::clone(&self.flow));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{TCP, UDP, datagram};
    use super::*;

    fn header(from: SocketAddrV4, to: SocketAddrV4) -> Header {
        Header::parse(&datagram(from, to, b"x").unwrap()).unwrap()
    }

    fn end(last: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([172, 18, 0, last].into(), port)
    }

    #[test]
    fn a_flow_is_led_there_and_back_from_when_the_agent_is_there_until_it_ends() {
        let table = Table::default();
        let opening = header(end(2, 40_000), end(3, 80));
        assert_eq!(table.fate(&opening), Fate::Unknown);
        let flow = table.outgoing(&opening);
        assert_eq!(table.fate(&opening), Fate::Wait);
        let agent = SocketAddrV4::new(AGENT, 5000);
        table.meet(&flow, agent);
        assert_eq!(table.fate(&opening), Fate::Redirect { from: flow.seat, to: agent });
        let back = header(agent, flow.seat);
        assert_eq!(table.fate(&back), Fate::Redirect { from: end(3, 80), to: end(2, 40_000) });
        table.give_way(&opening);
        assert_ne!(table.fate(&opening), Fate::Unknown, "it is not over");
        flow.over.set(true);
        table.give_way(&opening);
        assert_eq!(table.fate(&opening), Fate::Unknown);
        assert_eq!(table.fate(&back), Fate::Unknown);
    }

    #[test]
    fn one_from_a_peer_has_the_peers_address_and_a_seat_of_its_own() {
        let table = Table::default();
        let [one, other] = [(); 2].map(|()| table.incoming(UDP, [172, 18, 0, 3].into(), end(2, 53)));
        assert_ne!(one.seat, other.seat);
        assert_ne!(one.far, other.far);
        assert_eq!(one.far.ip(), &Ipv4Addr::from([172, 18, 0, 3]));
        let agent = SocketAddrV4::new(AGENT, 5000);
        assert_eq!(table.fate(&header(agent, one.seat)), Fate::Redirect { from: one.far, to: end(2, 53) });
        assert_eq!(table.fate(&header(end(2, 53), one.far)), Fate::Redirect { from: one.seat, to: agent });
        assert_ne!(TCP, UDP);
    }
}
